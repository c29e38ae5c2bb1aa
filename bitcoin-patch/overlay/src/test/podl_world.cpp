// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <test/podl_world.h>

#include <podl/merkle.h>
#include <podl/reveal.h>

#include <chain.h>
#include <chainparams.h>
#include <consensus/merkle.h>
#include <crypto/sha256.h>
#include <pow.h>
#include <primitives/transaction.h>
#include <pubkey.h>
#include <sync.h>
#include <test/util/common.h>
#include <util/time.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace podl::test {
namespace {

constexpr int64_t START{1'700'000'000};
constexpr uint32_t MIN_REVEAL{10};
constexpr uint32_t MAX_PHASE{100};
constexpr size_t N_SHARDS{24};
constexpr uint64_t SAMPLE_SIZE{4};

/** One output layer of 2 classes on 4 values: (4 + 1) * 2 parameters. */
const Bytes PROGRAM{1, 1, 4, 0, 1, 9, 0, 2, 0, 0, 0, 0, 0};

/** Fail a unit test and a fuzz target alike. */
void Require(bool holds, const std::string& what)
{
    if (!holds) throw std::runtime_error{what};
}

void RequireAccepted(const Submission& result)
{
    Require(result.status == SubmitStatus::ACCEPTED, "not accepted: " + result.reason + " " + result.detail);
}

CKey MakeKey(FastRandomContext& rng)
{
    const auto secret{rng.randbytes(32)};
    CKey key;
    key.Set(secret.begin(), secret.end(), /*fCompressedIn=*/true);
    return key;
}

uint256 XOnly(const CKey& key) { return uint256{XOnlyPubKey{key.GetPubKey()}}; }

CBlock BlockFor(const uint256& prev, uint32_t height, const Bytes& payout)
{
    CMutableTransaction coinbase;
    coinbase.vin.resize(1);
    coinbase.vin[0].scriptSig = CScript{} << int64_t{height} << OP_0;
    coinbase.vout = {CTxOut{0, CScript{payout.begin(), payout.end()}}};
    CBlock block;
    block.vtx = {MakeTransactionRef(std::move(coinbase))};
    block.nVersion = 0x40000000;
    block.hashPrevBlock = prev;
    block.hashMerkleRoot = BlockMerkleRoot(block);
    block.nTime = START;
    block.nBits = Params().GenesisBlock().nBits;
    return block;
}

} // namespace

void FakeChain::AddConnected(const uint256& hash, int height)
{
    m_blocks[hash] = {height, BlockState::CONNECTED, nullptr};
    m_tip = Tip{height, hash};
}

std::optional<int> FakeChain::HeightOf(const uint256& hash) const
{
    const auto it{m_blocks.find(hash)};
    if (it == m_blocks.end()) return std::nullopt;
    return it->second.height;
}

std::optional<ParentInfo> FakeChain::Parent(const CBlockHeader& header) const
{
    if (!HeightOf(header.hashPrevBlock)) return std::nullopt;
    return ParentInfo{START - 1, Params().GenesisBlock().nBits};
}

ChainLink::BlockState FakeChain::StateOf(const uint256& hash) const
{
    const auto it{m_blocks.find(hash)};
    return it == m_blocks.end() ? BlockState::UNKNOWN : it->second.state;
}

std::optional<std::string> FakeChain::Refusal(const uint256& hash) const
{
    if (StateOf(hash) != BlockState::FAILED || !m_refusals.contains(hash)) return std::nullopt;
    return m_refusals.at(hash);
}

std::shared_ptr<const CBlock> FakeChain::ReadBlock(const uint256& hash) const
{
    const auto it{m_blocks.find(hash)};
    return it == m_blocks.end() ? nullptr : it->second.data;
}

bool FakeChain::Disconnect(int height, const uint256& named)
{
    for (auto& [hash, block] : m_blocks) {
        if (block.state != BlockState::CONNECTED || hash == named) continue;
        if (block.height >= height) block.state = BlockState::DATA;
        if (block.height == height - 1) m_tip = Tip{block.height, hash};
    }
    return true;
}

void FakeChain::FeedHeader(const CBlockHeader& header)
{
    if (m_stalled) return;
    CBlockIndex prev;
    prev.nHeight = m_blocks.at(header.hashPrevBlock).height;
    const auto hash{header.GetHash()};
    const auto status{WITH_LOCK(::cs_main, return m_gate.CheckHeader(hash, prev))};
    if (status == HeaderStatus::ADMIT) m_blocks[hash] = {prev.nHeight + 1, BlockState::HEADER, nullptr};
}

void FakeChain::FeedBlock(const std::shared_ptr<const CBlock>& block)
{
    if (m_stalled) return;
    auto& entry{m_blocks.at(block->GetHash())};
    entry.data = block;
    entry.state = BlockState::DATA;
    Activate();
}

void FakeChain::Activate()
{
    if (m_stalled) return;
    LOCK(::cs_main);
    for (auto& [hash, block] : m_blocks) {
        if (block.state != BlockState::DATA || StateOf(block.data->hashPrevBlock) != BlockState::CONNECTED) continue;
        CBlockIndex index;
        index.phashBlock = &hash;
        index.nHeight = block.height;
        if (!m_gate.MayConnect(index)) continue;
        block.state = m_refusals.contains(hash) ? BlockState::FAILED : BlockState::CONNECTED;
        if (block.state == BlockState::CONNECTED) m_tip = Tip{block.height, hash};
    }
}

World::World(unsigned char last_label, uint8_t stamp_bits, TestOpts opts) : BasicTestingSetup{ChainType::REGTEST, std::move(opts)}
{
    CBlockHeader::s_podl_headers = true;
    m_requester = MakeKey(m_rng);
    m_miner = MakeKey(m_rng);
    m_base = m_rng.rand256();
    CSHA256().Write(PROGRAM.data(), PROGRAM.size()).Finalize(m_program.begin());
    AddShards(last_label);
    MakeTask(stamp_bits);
    SetMockTime(START + 100'000);
}

World::~World()
{
    m_manager.reset();
    SetMockTime(0);
    CBlockHeader::s_podl_headers = false;
}

std::string World::TryOpen(bool resync, int podl_height)
{
    m_manager.reset();
    auto opened{Manager::Open({.dir = m_path_root / fs::PathFromString(m_folder), .podl_height = podl_height, .task = m_first.bytes, .resync = resync, .consensus = &Params().GetConsensus(), .evaluator = m_evaluator, .memory_only = m_memory_only})};
    if (!opened) return opened.error();
    m_manager = std::move(*opened);
    return {};
}

void World::OpenManager()
{
    const auto problem{TryOpen()};
    Require(problem.empty(), problem);
    auto chain{std::make_unique<FakeChain>(*m_manager)};
    m_chain = chain.get();
    m_chain->AddConnected(m_base, FIRST_HEIGHT - 1);
    Require(!m_manager->Attach(std::move(chain)), "the chain does not fit the store");
}

void World::AddShards(unsigned char last_label)
{
    for (size_t i{0}; i < N_SHARDS; ++i) {
        auto samples{m_rng.randbytes(SAMPLES * SAMPLE_SIZE)};
        for (auto& value : samples) value &= 0x7f;
        Bytes shard(samples.begin(), samples.end());
        for (size_t sample{0}; sample < SAMPLES; ++sample) shard.push_back(m_rng.randbool());
        shard.back() = last_label;
        m_shards.push_back(std::move(shard));
        m_salts.push_back(m_rng.rand256());
    }
}

void World::UseProgram(const Bytes& program, uint16_t classes, uint32_t parameters)
{
    m_task.programs = {program};
    m_task.classes = classes;
    m_parameters = parameters;
    CSHA256().Write(program.data(), program.size()).Finalize(m_program.begin());
}

std::vector<uint256> World::ShardLeaves(size_t list) const
{
    std::vector<uint256> leaves;
    for (size_t i{list * N_SHARDS}; i < (list + 1) * N_SHARDS; ++i) leaves.push_back(ShardCommitment(m_salts.at(i), DataRoot(m_shards.at(i)), SAMPLES));
    return leaves;
}

void World::MakeTask(uint8_t stamp_bits)
{
    m_task = Task{
        .first_height = FIRST_HEIGHT,
        .requester_key = XOnly(m_requester),
        .training_root = m_rng.rand256(),
        .training_n = 100,
        .dims = {SAMPLE_SIZE},
        .classes = 2,
        .programs = {PROGRAM},
        .b_min = 1, .b_max = 5, .epochs_min = 1, .epochs_max = 10, .k_min = 1, .k_max = 8,
        .max_replay_macs = 1'000'000,
        .n_shards = N_SHARDS,
        .shard_list_root = TreeRoot(ShardLeaves(0)),
        .shard_min = SAMPLES, .shard_max = SAMPLES,
        .min_commit = 1, .min_reveal = MIN_REVEAL, .max_phase = MAX_PHASE,
        .require_replay = true, .max_replays = 4,
        .stamp_bits = stamp_bits,
        .list_size = 4, .pool_size = 4,
        .max_weights = 100,
        .evaluation_rate = 1'000'000,
        .chunks_in_flight = 4, .downloads = 2,
        .buffer_bytes = 2000, .disk_bytes = 500,
    };
    m_first = Seal(START, m_task);
}

std::array<unsigned char, SIGNATURE_SIZE> World::Sign(const CKey& key, const uint256& message) const
{
    std::array<unsigned char, SIGNATURE_SIZE> signature;
    Require(key.SignSchnorr(message, signature, nullptr, uint256{}), "cannot sign");
    return signature;
}

Entry World::Seal(uint64_t time, decltype(Entry::body) body, std::optional<uint256> prev)
{
    Entry entry;
    entry.time = time;
    entry.body = std::move(body);
    if (!m_log.empty()) {
        entry.chain_id = m_log.front().id;
        entry.prev = prev.value_or(m_log.back().id);
    }
    SealEntry(entry);
    entry.sig = Sign(m_requester, entry.id);
    SealEntry(entry);
    if (!prev) m_log.push_back(entry);
    return entry;
}

const Entry& World::TaskEntryFor(uint32_t height) const
{
    const Entry* found{&m_first};
    for (const auto& entry : m_log) {
        if (entry.AsTask() && entry.AsTask()->first_height <= height) found = &entry;
    }
    return *found;
}

size_t World::TaskNumber(uint32_t height) const
{
    return std::ranges::count_if(m_log, [&](const Entry& entry) { return entry.AsTask() && entry.AsTask()->first_height <= height; }) - 1;
}

const Bytes& World::ShardOf(const Release& release) const
{
    return m_shards.at(TaskNumber(release.height) * N_SHARDS + release.shard_index);
}

Entry World::MakeLaterTask(Task task)
{
    const auto list{static_cast<size_t>(std::ranges::count_if(m_log, [](const Entry& entry) { return entry.AsTask(); }))};
    task.shard_list_root = TreeRoot(ShardLeaves(list));
    return Seal(Time(), std::move(task));
}

Mined World::Mine(uint32_t height, const uint256& prev, uint16_t trial)
{
    uint256 opening_release{m_first.id};
    for (const auto& entry : m_log) {
        const auto* release{entry.AsRelease()};
        if (release && release->height + 1 == height && release->attempt == 0) opening_release = entry.id;
    }
    Mined mined;
    for (size_t i{0}; i < m_parameters; ++i) mined.weights.push_back(m_rng.randbits(7));
    for (const auto weight : mined.weights) mined.model.insert(mined.model.end(), {0, 0, weight, 0});
    auto& [header, opening, recipe, payout]{mined.disclosure};
    payout = {OP_TRUE, static_cast<unsigned char>(OP_1 + trial % 16)};
    recipe.b = 2;
    recipe.epochs = 3;
    recipe.k = 4;
    recipe.trial = trial;
    opening = Opening{
        .chain_id = m_first.id, .task_id = TaskEntryFor(height).id, .height = height, .release_id = opening_release,
        .weights_root = DataRoot(mined.weights), .model_root = DataRoot(mined.model), .n_params = m_parameters,
        .recipe_hash = recipe.GetHash(), .checkpoints_root = m_rng.rand256(), .n_checkpoints = 4,
        .payout_hash = mined.disclosure.PayoutHash(), .reveal_key = XOnly(m_miner), .salt = m_rng.rand256(),
    };
    auto block{BlockFor(prev, height, payout)};
    block.hashModel = opening.GetHash();
    while (!CheckProofOfWork(block.GetHash(), block.nBits, Params().GetConsensus())) ++block.nNonce;
    header = block;
    mined.body = ToBytes(TX_WITH_WITNESS(block));
    return mined;
}

Entry World::MakeRelease(uint32_t height, uint16_t attempt, const uint256& prev_block, const std::vector<uint256>& list, std::optional<uint64_t> time)
{
    const auto list_number{TaskNumber(height)};
    const auto opened{[&](const Entry& entry) { return entry.AsRelease() && TaskNumber(entry.AsRelease()->height) == list_number; }};
    const auto index{static_cast<uint32_t>(std::ranges::count_if(m_log, opened))};
    const auto place{list_number * N_SHARDS + index};
    const Release release{
        .height = height, .attempt = attempt, .prev_block = prev_block, .shard_index = index,
        .test_root = DataRoot(m_shards.at(place)), .n = SAMPLES, .salt = m_salts.at(place),
        .path = MerkleProof(ShardLeaves(list_number), index), .list = list,
    };
    return Seal(time.value_or(Time() + MAX_PHASE), release);
}

Entry World::MakeFinal(uint32_t height, uint16_t attempt, const Mined& mined, uint32_t claim)
{
    Final final;
    final.height = height;
    final.attempt = attempt;
    final.disclosure = mined.disclosure;
    final.claim.claim = claim;
    final.replayed = true;
    const auto& release{*std::find_if(m_log.rbegin(), m_log.rend(), [](const Entry& entry) { return entry.AsRelease(); })};
    final.claim.signature = Sign(m_miner, RevealMessage(m_first.id, release.id, mined.Hash(), claim));
    return Seal(Time() + MIN_REVEAL, final);
}

Bytes World::MakeReveal(const Mined& mined, const uint256& release_id, uint32_t claim) const
{
    Reveal reveal;
    reveal.disclosure = mined.disclosure;
    reveal.release_id = release_id;
    reveal.claim.claim = claim;
    reveal.claim.signature = Sign(m_miner, RevealMessage(m_first.id, release_id, mined.Hash(), claim));
    return ToBytes(reveal);
}

Bytes World::HeaderBytes(const CBlockHeader& header)
{
    return ToBytes(Using<HeaderFormatter>(header));
}

void World::Accept(const Entry& entry)
{
    RequireAccepted(Submit(entry));
}

void World::AddData(const Mined& mined)
{
    const auto& opening{mined.disclosure.opening};
    RequireAccepted(m_manager->AddObject(ObjectKind::BODY, mined.Hash(), mined.body));
    RequireAccepted(m_manager->AddObject(ObjectKind::WEIGHTS, opening.weights_root, mined.weights));
    RequireAccepted(m_manager->AddObject(ObjectKind::MODEL, opening.model_root, mined.model));
}

std::string World::StateOf(const Mined& mined) const
{
    for (const auto& candidate : m_manager->Candidates().candidates) {
        if (candidate.hash == mined.Hash()) return candidate.state + (candidate.reason.empty() ? "" : " " + candidate.reason);
    }
    return "none";
}

} // namespace podl::test
