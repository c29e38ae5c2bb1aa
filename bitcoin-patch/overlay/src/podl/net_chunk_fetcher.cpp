// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/net_chunk_fetcher.h>

#include <podl/merkle.h>

#include <algorithm>
#include <ranges>
#include <tuple>

namespace podl {
namespace {

uint32_t CountOf(uint64_t size) { return static_cast<uint32_t>(ChunkCount(size)); }

} // namespace

void ChunkFetcher::Connected(NodeId peer) { m_peers.try_emplace(peer); }

void ChunkFetcher::Disconnected(NodeId peer)
{
    for (auto& [object, item] : m_items) {
        std::erase_if(item.asks, [&](const auto& ask) { return ask.first.second == peer; });
        item.avoid.erase(peer);
        item.failures.erase(peer);
        if (item.source == peer) Restart(item);
    }
    m_peers.erase(peer);
}

void ChunkFetcher::SetWanted(const std::vector<Want>& wanted)
{
    Items items;
    m_order.clear();
    for (const Want& want : wanted) {
        const ObjectRef object{ObjectType{want.type}, want.id};
        if (auto node{m_items.extract(object)}) {
            node.mapped().want = want;
            items.insert(std::move(node));
        } else if (!items.try_emplace(object, Item{.want = want}).second) {
            continue;
        }
        m_order.push_back(object);
    }
    for (auto& [object, item] : m_items) Restart(item);
    m_items = std::move(items);
}

void ChunkFetcher::Announced(NodeId peer, const ObjectRef& object)
{
    const auto state{m_peers.find(peer)};
    if (state == m_peers.end()) return;
    if (const auto item{m_items.find(object)}; item != m_items.end()) item->second.avoid.erase(peer);
    if (!state->second.has.insert(object).second) return;
    state->second.has_order.push_back(object);
    if (state->second.has_order.size() <= MAX_ANNOUNCED) return;
    state->second.has.erase(state->second.has_order.front());
    state->second.has_order.pop_front();
}

bool ChunkFetcher::IsLive(const Item& item)
{
    return std::ranges::any_of(item.asks, [](const auto& ask) { return ask.second.live; });
}

void ChunkFetcher::Release(std::pair<const std::pair<uint32_t, NodeId>, Ask>& ask)
{
    if (!ask.second.live) return;
    ask.second.live = false;
    --m_peers.at(ask.first.second).in_flight;
}

void ChunkFetcher::Restart(Item& item)
{
    for (auto& ask : item.asks) Release(ask);
    item.asks.clear();
    item.chunks.clear();
    if (item.want.kind == ObjectKind::BODY) item.size.reset();
    item.source = -1;
}

void ChunkFetcher::Avoid(const ObjectRef& object, Item& item, NodeId peer, SteadyClock::time_point until)
{
    item.avoid[peer] = until;
    m_peers.at(peer).has.erase(object);
    for (auto& ask : item.asks) {
        if (ask.first.second == peer) Release(ask);
    }
    if (item.source == peer) Restart(item);
}

void ChunkFetcher::Expire(SteadyClock::time_point now)
{
    for (auto& [object, item] : m_items) {
        std::set<NodeId> silent;
        for (const auto& [key, ask] : item.asks) {
            const auto heard{std::max(ask.since, m_peers.at(key.second).last_answer)};
            if (ask.live && (now - heard > STALL_TIMEOUT || now - ask.since > CHUNK_TIMEOUT)) silent.insert(key.second);
        }
        for (const NodeId peer : silent) {
            ++m_peers.at(peer).silent;
            ++item.failures[peer];
            ++item.stalls;
            Avoid(object, item, peer, now + AVOID_TIME);
        }
    }
}

void ChunkFetcher::Answered(NodeId peer, SteadyClock::time_point now)
{
    Peer& state{m_peers.at(peer)};
    state.last_answer = now;
    state.silent = 0;
}

bool ChunkFetcher::Fits(const ObjectRef& object)
{
    uint64_t reserved{0};
    for (const auto& [other, item] : m_items) {
        if (other != object && (IsLive(item) || !item.chunks.empty())) reserved += Reserved(item);
    }
    const uint64_t size{Reserved(m_items.at(object))};
    // Parts of less urgent objects that make no progress give way.
    for (const ObjectRef& other : m_order | std::views::reverse) {
        if (reserved == 0 || reserved + size <= m_limits.buffer_bytes || other == object) break;
        Item& item{m_items.at(other)};
        if (item.chunks.empty() || IsLive(item)) continue;
        reserved -= Reserved(item);
        Restart(item);
    }
    return reserved == 0 || reserved + size <= m_limits.buffer_bytes;
}

NodeId ChunkFetcher::Choose(const ObjectRef& object, const Item& item, SteadyClock::time_point now) const
{
    NodeId best{-1};
    // Failures come first, or a peer that announces what it withholds would be asked again and again.
    std::tuple<size_t, size_t, bool, size_t> best_rank{};
    for (const auto& [peer, state] : m_peers) {
        if (item.source != -1 && item.source != peer) continue;
        if (state.in_flight >= m_limits.chunks_in_flight) continue;
        if (const auto avoid{item.avoid.find(peer)}; avoid != item.avoid.end() && avoid->second > now) continue;
        const auto failures{item.failures.find(peer)};
        const std::tuple rank{failures == item.failures.end() ? 0 : failures->second, state.silent, !state.has.contains(object), state.in_flight};
        if (best == -1 || rank < best_rank) std::tie(best, best_rank) = std::tuple{peer, rank};
    }
    return best;
}

void ChunkFetcher::AskFor(const ObjectRef& object, Item& item, SteadyClock::time_point now, std::vector<FetchRequest>& requests)
{
    const uint32_t count{item.size ? CountOf(*item.size) : 1};
    for (uint32_t chunk{0}; chunk < count; ++chunk) {
        if (item.chunks.contains(chunk)) continue;
        const bool asked{std::ranges::any_of(item.asks, [&](const auto& ask) { return ask.first.first == chunk && ask.second.live; })};
        if (asked) continue;
        const NodeId peer{Choose(object, item, now)};
        if (peer == -1) return;
        if (object.type == ObjectType::BODY) item.source = peer;
        item.asks[{chunk, peer}] = Ask{.since = now};
        ++m_peers.at(peer).in_flight;
        requests.push_back({peer, object, chunk});
    }
}

std::vector<FetchRequest> ChunkFetcher::Next(SteadyClock::time_point now)
{
    Expire(now);
    // Whoever withholds what is most urgent must not hold all places, or all of the buffer, again and again.
    std::ranges::stable_sort(m_order, {}, [&](const ObjectRef& object) { return m_items.at(object).stalls; });
    std::vector<FetchRequest> requests;
    size_t active = std::ranges::count_if(m_items, [](const auto& item) { return IsLive(item.second); });
    for (const ObjectRef& object : m_order) {
        Item& item{m_items.at(object)};
        if (item.not_before > now) continue;
        const bool was_live{IsLive(item)};
        if (!was_live && (active >= m_limits.downloads || Choose(object, item, now) == -1 || !Fits(object))) continue;
        AskFor(object, item, now, requests);
        active += !was_live && IsLive(item);
    }
    return requests;
}

ChunkFetcher::Delivery ChunkFetcher::Check(const ObjectRef& object, const Item& item, uint32_t chunk, const Chunk& content) const
{
    using enum Delivery::Status;
    if (object.type == ObjectType::DATA) {
        // The root commits to the size. Another one than was named is the fault of who named it, not of who proves it.
        if (!VerifyProof(LeafHash(content.bytes), chunk, CountOf(content.size), content.size, content.path, object.id)) return {BAD, "podl-chunk-proof"};
        return {content.size > item.want.max_size ? IGNORED : KEPT};
    }
    if (content.size > item.want.max_size || (item.size && *item.size != content.size)) return {BAD, "podl-data-size"};
    return {KEPT};
}

ChunkFetcher::Delivery ChunkFetcher::Keep(Item& item, uint32_t chunk, Chunk&& content, SteadyClock::time_point now)
{
    item.chunks[chunk] = std::move(content.bytes);
    if (item.chunks.size() < CountOf(*item.size)) return {Delivery::Status::KEPT};
    Delivery whole{Delivery::Status::COMPLETE, {}, item.want.kind};
    whole.bytes.reserve(*item.size);
    for (const auto& [_, bytes] : item.chunks) whole.bytes.insert(whole.bytes.end(), bytes.begin(), bytes.end());
    Restart(item);
    item.not_before = now + COMPLETE_PAUSE;
    return whole;
}

ChunkFetcher::Delivery ChunkFetcher::Received(NodeId peer, DataMessage&& message, SteadyClock::time_point now)
{
    const auto it{m_items.find(message.object)};
    if (it == m_items.end() || !message.content) return {};
    Item& item{it->second};
    const auto ask{item.asks.find({message.chunk, peer})};
    if (ask == item.asks.end()) return {};
    Release(*ask);
    item.asks.erase(ask);
    Answered(peer, now);
    if (item.chunks.contains(message.chunk)) return {};

    Delivery delivery{Check(message.object, item, message.chunk, *message.content)};
    if (delivery.status == Delivery::Status::BAD) {
        ++item.failures[peer];
        Avoid(message.object, item, peer, now + AVOID_BAD_TIME);
        return delivery;
    }
    if (delivery.status == Delivery::Status::IGNORED) {
        Avoid(message.object, item, peer, now + AVOID_TIME);
        return delivery;
    }
    item.avoid.erase(peer);
    const bool grows{message.content->size > Reserved(item)};
    item.size = message.content->size;
    if (grows && !Fits(message.object)) {
        Restart(item);
        return {};
    }
    return Keep(item, message.chunk, std::move(*message.content), now);
}

void ChunkFetcher::NotFound(NodeId peer, const ObjectRef& object, uint32_t chunk, SteadyClock::time_point now)
{
    const auto it{m_items.find(object)};
    if (it == m_items.end() || !it->second.asks.contains({chunk, peer})) return;
    Answered(peer, now);
    if (m_peers.at(peer).has.contains(object)) ++it->second.failures[peer];
    Avoid(object, it->second, peer, now + AVOID_TIME);
}

void ChunkFetcher::Refused(NodeId peer, const ObjectRef& object, SteadyClock::time_point now)
{
    const auto it{m_items.find(object)};
    if (it == m_items.end()) return;
    it->second.not_before = now;
    ++it->second.failures[peer];
    it->second.avoid[peer] = now + AVOID_BAD_TIME;
}

} // namespace podl
