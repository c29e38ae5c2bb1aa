// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/net.h>

#include <podl/entry.h>

#include <chain.h>
#include <util/time.h>
#include <validation.h>

#include <utility>

namespace podl {
namespace {

//! Fetches are planned anew at least this often, to notice silence.
constexpr auto PLAN_INTERVAL{100ms};
//! What is wanted is asked of the manager at least this often.
constexpr auto WANTED_INTERVAL{1s};
//! Time in which entries of a page are checked before other peers have their turn: each costs a signature and a disk write.
constexpr auto READ_TIME{50ms};

constexpr size_t ENTRY_TYPE_OFFSET{1};

ObjectType TypeOf(ObjectKind kind) { return kind == ObjectKind::BODY ? ObjectType::BODY : ObjectType::DATA; }

} // namespace

void Net::Note(const ObjectRef& object)
{
    {
        LOCK(m_mutex);
        m_notes.changed = true;
        // Peers that come later are told of everything anyway.
        if (!m_podl_peers.empty()) m_notes.objects.push_back(object);
    }
    m_connman.WakeMessageHandler();
}

void Net::EntryAccepted(const uint256& id) { Note({ObjectType::ENTRY, id}); }

void Net::CommitmentAccepted(const uint256& hash) { Note({ObjectType::COMMITMENT, hash}); }

void Net::RevealAccepted(const uint256& reveal_id, const uint256&) { Note({ObjectType::REVEAL, reveal_id}); }

void Net::ObjectStored(ObjectKind kind, const uint256& hash) { Note({TypeOf(kind), hash}); }

void Net::CandidateChanged(const uint256&) { WITH_LOCK(m_mutex, m_notes.changed = true); }

PeerState& Net::State(NodeId peer)
{
    const auto [it, fresh]{m_peers.try_emplace(peer)};
    if (fresh) {
        m_chunks.Connected(peer);
        m_schedule.Connected(peer);
        for (const ObjectRef& object : m_server.Inventory()) it->second.Announce(object);
    }
    return it->second;
}

void Net::AnnounceToAll(const ObjectRef& object)
{
    for (auto& [_, state] : m_peers) state.Announce(object);
}

void Net::ReadNotes()
{
    const Notes notes{WITH_LOCK(m_mutex, return std::exchange(m_notes, Notes{}))};
    for (const NodeId peer : notes.gone) {
        m_small.Disconnected(peer);
        m_chunks.Disconnected(peer);
        m_schedule.Disconnected(peer);
        m_server.Disconnected(peer);
        m_peers.erase(peer);
    }
    bool advanced{false};
    for (const ObjectRef& object : notes.objects) {
        AnnounceToAll(object);
        if (object.type != ObjectType::ENTRY) continue;
        OnNewEntry(object.id);
        advanced = true;
    }
    if (advanced) {
        m_schedule.Advanced();
        // A release may have opened what was held back until now.
        for (const ObjectRef& object : m_server.Inventory()) AnnounceToAll(object);
        m_advanced = true;
    }
    if (notes.changed) m_next_wanted = {};
    if (notes.changed || !notes.gone.empty()) m_replan = true;
}

void Net::OnNewEntry(const uint256& id)
{
    const auto bytes{m_manager.GetEntryBytes(id)};
    if (!bytes || EntryType{bytes->at(ENTRY_TYPE_OFFSET)} != EntryType::FINAL) return;
    // Headers that were cut off before may be in order now.
    for (auto& [_, state] : m_peers) state.m_want_headers = true;
    m_server.NewHeight();
}

bool Net::Have(const ObjectRef& object) const
{
    switch (object.type) {
    case ObjectType::ENTRY: return m_manager.IndexOf(object.id).has_value();
    case ObjectType::COMMITMENT: return m_manager.GetCommitmentBytes(object.id).has_value();
    case ObjectType::REVEAL: return m_manager.GetRevealBytes(object.id).has_value();
    case ObjectType::BODY:
    case ObjectType::DATA: return false; // only what is wanted is fetched
    } // no default case, so the compiler can warn about missing cases
    return false;
}

bool Net::CanReadSchedule()
{
    if (!m_has_first_parent) {
        LOCK(cs_main);
        m_has_first_parent = m_chainman.m_best_header && m_chainman.m_best_header->nHeight >= m_manager.PodlHeight() - 1;
    }
    return m_has_first_parent;
}

void Net::Plan()
{
    const auto now{Clock::now()};
    if (now >= m_next_wanted) {
        m_next_wanted = now + WANTED_INTERVAL;
        m_chunks.SetLimits(m_manager.Limits());
        m_chunks.SetWanted(m_manager.Wanted());
        // At the first height the chain decides what commitments build on, not the schedule.
        const auto prev{m_manager.OpenPrev()};
        m_advanced = m_advanced || prev != m_open_prev;
        m_open_prev = prev;
    } else if (!m_replan && now < m_next_plan) {
        return;
    }
    m_next_plan = now + PLAN_INTERVAL;
    m_replan = false;

    if (CanReadSchedule()) {
        for (const auto& question : m_schedule.Next(now)) m_peers.at(question.peer).m_questions.push_back(question);
    }
    // Each try counts, so a long schedule must not use them up entry by entry.
    if (m_advanced && !m_schedule.IsBusy()) {
        m_advanced = false;
        m_small.Retry();
    }
    for (const auto& request : m_small.Next(now, [this](const ObjectRef& object) { return Have(object); })) {
        m_peers.at(request.peer).m_requests.push_back(request);
    }
    for (const auto& request : m_chunks.Next(now)) m_peers.at(request.peer).m_requests.push_back(request);
}

void Net::ReadPage(NodeId peer, PeerState& state)
{
    if (!state.m_page) return;
    PageReader& reader{*state.m_page};
    ScheduleSync::Page& page{reader.result};
    const auto deadline{Clock::now() + READ_TIME};
    while (reader.next < reader.message.entries.size() && !page.stopped) {
        if (Clock::now() >= deadline) {
            m_connman.WakeMessageHandler();
            return;
        }
        const Bytes& bytes{reader.message.entries[reader.next]};
        const ObjectRef object{ObjectType::ENTRY, SmallObjectId(ObjectType::ENTRY, bytes).value_or(uint256{})};
        const Submission result{Submit(object, bytes)};
        Judge(peer, object, result);
        page.from_start = page.from_start || (reader.next == 0 && object.id == m_manager.ChainId());
        page.stopped = result.status == SubmitStatus::LATER || result.status == SubmitStatus::REFUSED;
        page.fresh += result.status == SubmitStatus::ACCEPTED;
        page.known += result.status == SubmitStatus::DUPLICATE;
        if (!page.stopped) {
            page.last = object.id;
            state.SetKnown(object);
        }
        ++reader.next;
    }
    page.more = reader.message.more;
    page.last_index = m_manager.IndexOf(page.last).value_or(0);
    m_schedule.Received(peer, page, Clock::now());
    state.m_page.reset();
    m_replan = true;
}

bool Net::SendMessages(CNode& node)
{
    AssertLockHeld(NetEventsInterface::g_msgproc_mutex);
    ReadNotes();
    const NodeId peer{node.GetId()};
    if (!IsPodlPeer(peer) || IsLoading()) return false;
    PeerState& state{State(peer)};
    ReadPage(peer, state);
    Plan();
    Flush(node, state);
    return state.m_want_headers && !m_schedule.IsBusy();
}

void Net::AskedHeaders(NodeId peer)
{
    AssertLockHeld(NetEventsInterface::g_msgproc_mutex);
    State(peer).m_want_headers = false;
}

} // namespace podl
