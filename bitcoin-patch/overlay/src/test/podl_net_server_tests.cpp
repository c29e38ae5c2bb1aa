// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/merkle.h>
#include <podl/net_server.h>
#include <test/podl_world.h>
#include <util/time.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <optional>
#include <set>
#include <vector>

using namespace podl;
using namespace podl::test;

namespace {

struct ServerSetup : World {
    Mined m_mined;
    Entry m_release;
    Bytes m_reveal;
    std::optional<Server> m_server;

    ServerSetup()
    {
        OpenManager();
        m_mined = Mine(FIRST_HEIGHT, m_base);
        m_server.emplace(*m_manager);
    }

    void OpenRound()
    {
        m_release = MakeRelease(FIRST_HEIGHT, 0, m_base, {m_mined.Hash()});
        Accept(m_release);
        m_reveal = MakeReveal(m_mined, m_release.id, 50);
        BOOST_REQUIRE(m_manager->SubmitReveal(m_reveal).status == SubmitStatus::ACCEPTED);
    }

    std::optional<Chunk> Ask(ObjectType type, const uint256& id, uint32_t chunk = 0, NodeId peer = 1, bool bulk = true)
    {
        const auto answer{m_server->Answer(peer, GetDataMessage{{type, id}, chunk}, bulk)};
        BOOST_CHECK(answer.object == (ObjectRef{type, id}) && answer.chunk == chunk);
        // Whatever is sent must be a message that the other side takes.
        const auto sent{ParseMessage<DataMessage>(ToBytes(answer))};
        BOOST_CHECK(sent && sent->content.has_value() == answer.content.has_value());
        return answer.content;
    }

    std::vector<Bytes> Page(const uint256& after, NodeId peer = 1)
    {
        const auto page{m_server->Answer(peer, GetScheduleMessage{after})};
        BOOST_CHECK(!page.more);
        return page.entries;
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(podl_net_server_tests, ServerSetup)

BOOST_AUTO_TEST_CASE(nothing_before_the_release)
{
    const auto header{HeaderBytes(m_mined.disclosure.header)};
    BOOST_CHECK(m_manager->SubmitCommitment(header).status == SubmitStatus::ACCEPTED);
    // What the miner has is not taken yet, and so cannot be given away.
    BOOST_CHECK_EQUAL(m_manager->AddObject(ObjectKind::WEIGHTS, m_mined.disclosure.opening.weights_root, m_mined.weights).reason, "podl-data-unwanted");
    BOOST_CHECK(!Ask(ObjectType::DATA, m_mined.disclosure.opening.weights_root));
    BOOST_CHECK(!Ask(ObjectType::BODY, m_mined.Hash()));
    BOOST_CHECK(!Ask(ObjectType::DATA, DataRoot(m_shards[0])));
    BOOST_CHECK(Ask(ObjectType::COMMITMENT, m_mined.Hash())->bytes == header);
    BOOST_CHECK(m_server->Inventory() == (std::vector<ObjectRef>{{ObjectType::COMMITMENT, m_mined.Hash()}}));
}

BOOST_AUTO_TEST_CASE(objects_of_a_round)
{
    OpenRound();
    AddData(m_mined);
    const auto& opening{m_mined.disclosure.opening};
    const auto& test_root{m_release.AsRelease()->test_root};
    BOOST_REQUIRE(m_manager->AddObject(ObjectKind::SHARD, test_root, m_shards[0]).status == SubmitStatus::ACCEPTED);

    BOOST_CHECK(Ask(ObjectType::ENTRY, m_release.id)->bytes == m_release.bytes);
    BOOST_CHECK(Ask(ObjectType::REVEAL, *SmallObjectId(ObjectType::REVEAL, m_reveal))->bytes == m_reveal);
    BOOST_CHECK(Ask(ObjectType::BODY, m_mined.Hash())->bytes == m_mined.body);
    const std::vector<std::pair<uint256, Bytes>> data{{opening.weights_root, m_mined.weights}, {opening.model_root, m_mined.model}, {test_root, m_shards[0]}};
    for (const auto& [root, bytes] : data) {
        const auto chunk{Ask(ObjectType::DATA, root)};
        BOOST_REQUIRE(chunk);
        BOOST_CHECK(chunk->size == bytes.size() && chunk->bytes == bytes);
        BOOST_CHECK(VerifyProof(LeafHash(chunk->bytes), 0, 1, chunk->size, chunk->path, root));
        BOOST_CHECK(!Ask(ObjectType::DATA, root, 1));
    }
    BOOST_CHECK(!Ask(ObjectType::BODY, m_mined.Hash(), 1));
    const uint256 unknown{m_rng.rand256()};
    for (const ObjectType type : {ObjectType::ENTRY, ObjectType::COMMITMENT, ObjectType::REVEAL, ObjectType::BODY, ObjectType::DATA}) BOOST_CHECK(!Ask(type, unknown));
    // A data object is not a body, whatever its root.
    BOOST_CHECK(!Ask(ObjectType::BODY, opening.weights_root));

    auto inventory{m_server->Inventory()};
    std::vector<ObjectRef> expected{{ObjectType::REVEAL, *SmallObjectId(ObjectType::REVEAL, m_reveal)}, {ObjectType::BODY, m_mined.Hash()}};
    for (const auto& [root, _] : data) expected.push_back({ObjectType::DATA, root});
    std::ranges::sort(inventory);
    std::ranges::sort(expected);
    BOOST_CHECK(inventory == expected);
}

BOOST_AUTO_TEST_CASE(limits)
{
    OpenRound();
    AddData(m_mined);
    const auto root{m_mined.disclosure.opening.weights_root};
    BOOST_CHECK(!Ask(ObjectType::DATA, root, 0, 1, /*bulk=*/false));
    for (int i{0}; i < Server::MAX_SERVED; ++i) BOOST_CHECK(Ask(ObjectType::DATA, root));
    BOOST_CHECK(!Ask(ObjectType::DATA, root));
    // The limit is one of this peer, this chunk and this height.
    BOOST_CHECK(Ask(ObjectType::DATA, root, 0, 2));
    BOOST_CHECK(Ask(ObjectType::DATA, m_mined.disclosure.opening.model_root));
    BOOST_CHECK(Ask(ObjectType::ENTRY, m_release.id, 0, 1, /*bulk=*/false));
    m_server->NewHeight();
    BOOST_CHECK(Ask(ObjectType::DATA, root));
    for (int i{1}; i < Server::MAX_SERVED; ++i) BOOST_CHECK(Ask(ObjectType::DATA, root));
    BOOST_CHECK(!Ask(ObjectType::DATA, root));
    m_server->Disconnected(1);
    BOOST_CHECK(Ask(ObjectType::DATA, root));
}

BOOST_AUTO_TEST_CASE(schedule)
{
    OpenRound();
    const std::vector<Bytes> all{m_first.bytes, m_release.bytes};
    BOOST_CHECK(Page({}) == all);
    BOOST_CHECK(Page(m_first.id) == std::vector<Bytes>{m_release.bytes});
    BOOST_CHECK(Page(m_release.id).empty());
    // Ids that we do not know are all the same page.
    for (int i{1}; i < Server::MAX_PAGES_SERVED; ++i) BOOST_CHECK(Page(m_rng.rand256()) == all);
    BOOST_CHECK(Page(m_rng.rand256()).empty());
    BOOST_CHECK(Page({}).empty());
    BOOST_CHECK(Page({}, 2) == all);
    BOOST_CHECK(Page(m_first.id) == std::vector<Bytes>{m_release.bytes});
}

BOOST_AUTO_TEST_CASE(the_whole_archive_has_its_turn)
{
    std::set<uint256> missing;
    auto prev{m_base};
    for (uint32_t height{FIRST_HEIGHT}; height < FIRST_HEIGHT + 23; ++height) {
        const auto mined{Mine(height, prev)};
        const auto release{MakeRelease(height, 0, prev, {mined.Hash()})};
        Accept(release);
        Accept(MakeFinal(height, 0, mined, 50));
        BOOST_REQUIRE(m_manager->SubmitVerdict(KeyOf(mined, release), {50, SAMPLES - 50, "", ""}).status == SubmitStatus::ACCEPTED);
        const auto& opening{mined.disclosure.opening};
        missing.insert({opening.weights_root, opening.model_root, release.AsRelease()->test_root});
        prev = mined.Hash();
    }
    // Nobody has any of these, and no more than 64 are wanted at once.
    BOOST_CHECK_EQUAL(missing.size(), 69U);
    for (const size_t left : {5, 0}) {
        for (const auto& want : m_manager->Wanted()) missing.erase(want.id);
        BOOST_CHECK_EQUAL(missing.size(), left);
        SetMockTime(GetTime() + 600);
    }
}

BOOST_AUTO_TEST_SUITE_END()
