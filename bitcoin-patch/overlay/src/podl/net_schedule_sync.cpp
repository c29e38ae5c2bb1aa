// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/net_schedule_sync.h>

#include <algorithm>
#include <utility>

namespace podl {

void ScheduleSync::Heard(NodeId peer)
{
    if (const auto it{m_peers.find(peer)}; it != m_peers.end()) it->second.behind = false;
}

void ScheduleSync::Advanced()
{
    for (auto& [_, state] : m_peers) {
        if (std::exchange(state.stopped, false)) state.ask = true;
    }
}

void ScheduleSync::Orphan(NodeId peer, SteadyClock::time_point now)
{
    const auto it{m_peers.find(peer)};
    if (it == m_peers.end() || now < it->second.next_orphan) return;
    Peer& state{it->second};
    state.next_orphan = now + ORPHAN_INTERVAL;
    state.ask = state.walk = true;
    state.walked = 0;
    state.behind = false;
}

bool ScheduleSync::IsBusy() const
{
    return std::ranges::any_of(m_peers, [](const auto& peer) { return peer.second.reading || (peer.second.bulk && peer.second.since); });
}

bool ScheduleSync::Arrived(NodeId peer)
{
    const auto it{m_peers.find(peer)};
    if (it == m_peers.end() || !it->second.since) return false;
    it->second.since.reset();
    it->second.reading = true;
    return true;
}

std::vector<ScheduleSync::Question> ScheduleSync::Next(SteadyClock::time_point now)
{
    std::vector<Question> questions;
    for (auto& [peer, state] : m_peers) {
        if (state.since && now - *state.since > TIMEOUT) {
            state.since.reset();
            state.bulk = false;
            state.next_poll = now + TIMEOUT;
        }
        if (state.since || state.reading) continue;
        if (!state.behind && now >= state.next_poll && !IsBusy()) state.ask = true;
        if (!state.ask) continue;
        questions.push_back({peer, state.after});
        state.ask = false;
        state.since = now;
        state.next_poll = now + POLL_INTERVAL;
    }
    return questions;
}

void ScheduleSync::Received(NodeId peer, const Page& page, SteadyClock::time_point now)
{
    const auto it{m_peers.find(peer)};
    if (it == m_peers.end()) return;
    Peer& state{it->second};
    state.reading = false;
    state.bulk = false;
    state.after.reset();
    state.next_poll = now + POLL_INTERVAL;

    state.stopped = page.stopped;
    const bool more{page.more && !page.stopped};
    const bool stale{page.from_start && page.fresh == 0};
    if (more && page.fresh > 0) {
        state.ask = state.bulk = true;
    } else if (more && state.walk && page.last_index > state.walked) {
        state.ask = true;
        state.walked = page.last_index;
        state.after = page.last;
    } else {
        state.walk = false;
        state.behind = stale && !page.stopped;
        if (page.stopped) state.next_poll = now + STOPPED_INTERVAL;
        if (more && !stale) state.next_poll = now + OVERTAKEN_INTERVAL;
    }
}

} // namespace podl
