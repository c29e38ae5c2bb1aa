// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_NET_PEER_H
#define BITCOIN_PODL_NET_PEER_H

#include <podl/net_messages.h>
#include <podl/net_schedule_sync.h>
#include <podl/net_small_fetcher.h>

#include <common/bloom.h>
#include <uint256.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace podl {

/** A page of the schedule that is being read, a few entries at a time. */
struct PageReader {
    ScheduleMessage message;
    size_t next{0};
    ScheduleSync::Page result{};
};

/** What the message thread remembers of one peer that speaks PoDL. */
class PeerState
{
public:
    //! Proven DATA offences that make a peer misbehaving.
    static constexpr int MAX_OFFENCES{2};
    //! Announcements that wait to be sent; the oldest go first when there are more.
    static constexpr size_t MAX_ANNOUNCEMENTS{5000};

    bool m_want_headers{false}; //!< the schedule advanced since we last asked for headers
    int m_offences{0};
    std::optional<PageReader> m_page;
    std::vector<ScheduleSync::Question> m_questions; //!< to be sent
    std::vector<FetchRequest> m_requests;            //!< to be sent

    /** The peer has, or has heard of, an object. */
    void SetKnown(const ObjectRef& object) { m_known.insert(Key(object)); }

    /** Queue an announcement, unless the peer knows the object. */
    void Announce(const ObjectRef& object)
    {
        if (m_known.contains(Key(object))) return;
        SetKnown(object);
        m_announcements.push_back(object);
        if (m_announcements.size() > MAX_ANNOUNCEMENTS) m_announcements.pop_front();
    }

    /** Take the next message's worth of announcements. */
    InvMessage TakeAnnouncements()
    {
        const auto end{m_announcements.begin() + std::min(m_announcements.size(), MAX_INV_COUNT)};
        InvMessage inv{{m_announcements.begin(), end}};
        m_announcements.erase(m_announcements.begin(), end);
        return inv;
    }

private:
    //! With the type: a body and its commitment share the block hash.
    static std::array<uint8_t, 1 + uint256::size()> Key(const ObjectRef& object)
    {
        std::array<uint8_t, 1 + uint256::size()> key;
        key[0] = static_cast<uint8_t>(object.type);
        std::ranges::copy(object.id, key.begin() + 1);
        return key;
    }

    CRollingBloomFilter m_known{MAX_ANNOUNCEMENTS, 0.000001};
    std::deque<ObjectRef> m_announcements;
};

} // namespace podl

#endif // BITCOIN_PODL_NET_PEER_H
