// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/net_small_fetcher.h>

#include <algorithm>
#include <tuple>

namespace podl {

void SmallFetcher::Announced(NodeId peer, const ObjectRef& object)
{
    Peer& state{m_peers[peer]};
    if (state.announced >= MAX_ANNOUNCED) return;
    const auto [it, fresh]{m_items.try_emplace(object)};
    Item& item{it->second};
    if (std::ranges::find(item.sources, peer, &Source::peer) != item.sources.end()) return;
    item.sources.push_back({peer});
    ++state.announced;
    if (fresh) {
        item.order = m_next_order++;
        m_queue.emplace(item.order, object);
    }
}

void SmallFetcher::Disconnected(NodeId peer)
{
    for (auto it{m_items.begin()}; it != m_items.end();) {
        DropSource(it++, peer);
    }
    m_peers.erase(peer);
}

void SmallFetcher::Retry()
{
    for (auto& [object, item] : m_items) {
        if (!item.parked) continue;
        item.parked = false;
        m_queue.emplace(item.order, object);
    }
}

NodeId SmallFetcher::Choose(const Item& item) const
{
    NodeId best{-1};
    std::tuple<size_t, size_t> best_rank{};
    for (const Source& source : item.sources) {
        const Peer& state{m_peers.at(source.peer)};
        if (state.in_flight >= MAX_IN_FLIGHT) continue;
        const std::tuple rank{source.silent, state.silent};
        if (best == -1 || rank < best_rank) std::tie(best, best_rank) = std::tuple{source.peer, rank};
    }
    return best;
}

void SmallFetcher::Expire(SteadyClock::time_point now)
{
    for (auto& [object, item] : m_items) {
        if (item.asked == -1 || now - item.since <= TIMEOUT) continue;
        ++m_peers.at(item.asked).silent;
        ++std::ranges::find(item.sources, item.asked, &Source::peer)->silent;
        StopWaiting(item);
        m_queue.emplace(item.order, object);
    }
}

std::vector<FetchRequest> SmallFetcher::Next(SteadyClock::time_point now, const std::function<bool(const ObjectRef&)>& have)
{
    Expire(now);
    std::vector<FetchRequest> requests;
    for (auto it{m_queue.begin()}; it != m_queue.end();) {
        const ObjectRef object{it->second};
        const auto item{m_items.find(object)};
        const NodeId peer{Choose(item->second)};
        if (peer == -1) {
            ++it;
            continue;
        }
        if (have(object)) {
            ++it;
            Erase(item);
            continue;
        }
        item->second.asked = peer;
        item->second.since = now;
        ++m_peers.at(peer).in_flight;
        requests.push_back({peer, object});
        it = m_queue.erase(it);
    }
    return requests;
}

bool SmallFetcher::Received(NodeId peer, const ObjectRef& object)
{
    const auto it{m_items.find(object)};
    if (it == m_items.end()) return false;
    Answered(it->second, peer);
    return true;
}

void SmallFetcher::NotFound(NodeId peer, const ObjectRef& object)
{
    const auto it{m_items.find(object)};
    if (it == m_items.end()) return;
    Answered(it->second, peer);
    DropSource(it, peer);
}

void SmallFetcher::Judged(NodeId peer, const ObjectRef& object, Outcome outcome)
{
    const auto it{m_items.find(object)};
    if (it == m_items.end()) return;
    Item& item{it->second};
    switch (outcome) {
    case Outcome::DONE:
        Erase(it);
        return;
    case Outcome::BAD:
        DropSource(it, peer);
        return;
    case Outcome::LATER:
        // Copies that nobody asked for must not use up the tries.
        if (item.asked != -1 || item.parked) return;
        item.parked = ++item.retries <= MAX_RETRIES;
        if (!item.parked) Erase(it);
        return;
    } // no default case, so the compiler can warn about missing cases
}

void SmallFetcher::StopWaiting(Item& item)
{
    if (item.asked == -1) return;
    --m_peers.at(item.asked).in_flight;
    item.asked = -1;
}

void SmallFetcher::Answered(Item& item, NodeId peer)
{
    if (item.asked == peer) StopWaiting(item);
    if (const auto it{m_peers.find(peer)}; it != m_peers.end()) it->second.silent = 0;
    m_queue.erase(item.order);
}

void SmallFetcher::DropSource(Items::iterator it, NodeId peer)
{
    Item& item{it->second};
    if (item.asked == peer) StopWaiting(item);
    if (std::erase_if(item.sources, [&](const Source& source) { return source.peer == peer; })) --m_peers.at(peer).announced;
    if (item.sources.empty()) {
        Erase(it);
    } else if (item.asked == -1 && !item.parked) {
        m_queue.emplace(item.order, it->first);
    }
}

void SmallFetcher::Erase(Items::iterator it)
{
    Item& item{it->second};
    StopWaiting(item);
    for (const Source& source : item.sources) --m_peers.at(source.peer).announced;
    m_queue.erase(item.order);
    m_items.erase(it);
}

} // namespace podl
