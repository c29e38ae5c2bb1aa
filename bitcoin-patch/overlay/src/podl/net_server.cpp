// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/net_server.h>

#include <podl/manager.h>
#include <podl/merkle.h>

#include <consensus/consensus.h>

#include <algorithm>
#include <limits>
#include <span>

namespace podl {

bool Server::MayServe(NodeId peer, const ObjectRef& object, uint32_t chunk, int limit) const
{
    const auto peer_it{m_served.find(peer)};
    if (peer_it == m_served.end()) return true;
    const auto it{peer_it->second.find({object, chunk})};
    return it == peer_it->second.end() ? peer_it->second.size() < MAX_SERVED_CHUNKS : it->second < limit;
}

std::optional<Chunk> Server::ReadSmall(const ObjectRef& object) const
{
    std::optional<Bytes> bytes;
    if (object.type == ObjectType::ENTRY) bytes = m_manager.GetEntryBytes(object.id);
    if (object.type == ObjectType::COMMITMENT) bytes = m_manager.GetCommitmentBytes(object.id);
    if (object.type == ObjectType::REVEAL) bytes = m_manager.GetRevealBytes(object.id);
    if (!bytes) return std::nullopt;
    const uint64_t size{bytes->size()};
    return Chunk{size, {}, std::move(*bytes)};
}

const std::vector<uint256>* Server::Leaves(ObjectKind kind, const uint256& root, uint64_t size)
{
    if (const auto known{m_trees.find(root)}; known != m_trees.end()) return &known->second;
    std::vector<uint256> leaves;
    for (uint64_t at{0}; at < size; at += CHUNK_SIZE) {
        const auto piece{m_manager.ReadObject(kind, root, at, CHUNK_SIZE)};
        if (!piece || piece->size() != std::min(CHUNK_SIZE, size - at)) return nullptr;
        leaves.push_back(LeafHash(*piece));
    }
    if (leaves.empty() || MerkleRoot(leaves, size) != root) {
        (void)m_manager.ReadObject(kind, root, 0, std::numeric_limits<uint64_t>::max()); // throws it away if the disk has changed it
        return nullptr;
    }
    if (m_tree_order.size() >= MAX_TREES) {
        m_trees.erase(m_tree_order.front());
        m_tree_order.pop_front();
    }
    m_tree_order.push_back(root);
    return &m_trees.emplace(root, std::move(leaves)).first->second;
}

std::optional<Chunk> Server::ReadBody(const uint256& hash, uint32_t chunk)
{
    if (chunk >= ChunkCount(MAX_BLOCK_SERIALIZED_SIZE)) return std::nullopt;
    if (m_body.first != hash) {
        auto bytes{m_manager.ReadObject(ObjectKind::BODY, hash, 0, MAX_BLOCK_SERIALIZED_SIZE)};
        if (!bytes) return std::nullopt;
        m_body = {hash, std::move(*bytes)};
    }
    const std::span whole{m_body.second};
    if (chunk >= ChunkCount(whole.size())) return std::nullopt;
    const auto piece{whole.subspan(chunk * CHUNK_SIZE, ChunkLength(ObjectType::BODY, whole.size(), chunk))};
    return Chunk{whole.size(), {}, {piece.begin(), piece.end()}};
}

std::optional<Chunk> Server::ReadData(const uint256& root, uint32_t chunk)
{
    const auto kind{m_manager.KindOfRoot(root)};
    const auto size{kind ? m_manager.ObjectSize(*kind, root) : std::nullopt};
    if (!size || chunk >= ChunkCount(*size)) return std::nullopt;
    const auto* leaves{Leaves(*kind, root, *size)};
    if (!leaves) return std::nullopt;
    auto bytes{m_manager.ReadObject(*kind, root, chunk * CHUNK_SIZE, CHUNK_SIZE)};
    if (!bytes || LeafHash(*bytes) != leaves->at(chunk)) return std::nullopt;
    return Chunk{*size, MerkleProof(*leaves, chunk), std::move(*bytes)};
}

DataMessage Server::Answer(NodeId peer, const GetDataMessage& request, bool bulk)
{
    const auto& [object, chunk]{request};
    DataMessage answer{object, chunk};
    if ((!bulk && !IsSmall(object.type)) || !MayServe(peer, object, chunk)) return answer;
    if (IsSmall(object.type)) {
        answer.content = ReadSmall(object);
    } else {
        answer.content = object.type == ObjectType::BODY ? ReadBody(object.id, chunk) : ReadData(object.id, chunk);
    }
    // Reading a block costs, even when it has no such chunk.
    const bool read{object.type == ObjectType::BODY && chunk < ChunkCount(MAX_BLOCK_SERIALIZED_SIZE) && m_body.first == object.id};
    if (answer.content || read) Served(peer, object, chunk);
    return answer;
}

ScheduleMessage Server::Answer(NodeId peer, const GetScheduleMessage& request)
{
    const auto last{request.after.IsNull() ? std::nullopt : m_manager.IndexOf(request.after)};
    const size_t index{last ? *last + 1 : 0};
    // An id that we do not know counts like the start, or every id would be a page of its own.
    const ObjectRef start{ObjectType::ENTRY, last ? request.after : uint256{}};
    constexpr uint32_t PAGE{1}; // the entry itself is chunk 0
    if (!MayServe(peer, start, PAGE, MAX_PAGES_SERVED)) return {};
    ScheduleMessage page;
    page.entries = m_manager.EntriesFrom(index, MAX_SCHEDULE_PAGE - 10);
    if (page.entries.empty()) return page;
    Served(peer, start, PAGE);
    page.more = !m_manager.EntriesFrom(index + page.entries.size(), ScheduleMessage::MAX_ENTRY + 5).empty();
    return page;
}

std::vector<ObjectRef> Server::Inventory() const
{
    std::vector<ObjectRef> objects;
    for (const uint256& hash : m_manager.CommitmentHashes()) objects.emplace_back(ObjectType::COMMITMENT, hash);
    for (const uint256& id : m_manager.RevealIds()) objects.emplace_back(ObjectType::REVEAL, id);
    const CandidatesView round{m_manager.Candidates()};
    if (round.shard) objects.emplace_back(ObjectType::DATA, round.test_root);
    for (const CandidateView& candidate : round.candidates) {
        if (candidate.body) objects.emplace_back(ObjectType::BODY, candidate.hash);
        if (candidate.weights) objects.emplace_back(ObjectType::DATA, candidate.weights_root);
        if (candidate.model) objects.emplace_back(ObjectType::DATA, candidate.model_root);
    }
    return objects;
}

} // namespace podl
