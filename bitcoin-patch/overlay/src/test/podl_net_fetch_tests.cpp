// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <test/podl_fetch_setup.h>

using namespace podl;
using namespace podl::test;

BOOST_FIXTURE_TEST_SUITE(podl_net_fetch_tests, FetchSetup)

BOOST_AUTO_TEST_CASE(chunks_from_several_peers)
{
    const TestObject object{m_rng, ObjectKind::WEIGHTS, 4 * CHUNK_SIZE + 100};
    m_chunks.SetLimits(Limits(2, 1));
    m_chunks.Connected(1);
    m_chunks.Connected(2);
    m_chunks.SetWanted({object.AsWant()});
    m_chunks.Announced(2, object.ref);

    // The size is not known before the first chunk; the peer that announced it is asked.
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{2, object.ref, 0}}));
    BOOST_CHECK(m_chunks.Next(m_now).empty());
    BOOST_CHECK(m_chunks.Received(2, object.Serve(0), m_now).status == Status::KEPT);
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{2, object.ref, 1}, {2, object.ref, 2}, {1, object.ref, 3}, {1, object.ref, 4}}));
    BOOST_CHECK(m_chunks.Received(1, object.Serve(1), m_now).status == Status::IGNORED); // not asked of this peer
    for (const auto& [peer, chunk] : std::vector<std::pair<NodeId, uint32_t>>{{1, 4}, {2, 1}, {1, 3}}) {
        BOOST_CHECK(m_chunks.Received(peer, object.Serve(chunk), m_now).status == Status::KEPT);
    }
    const auto whole{m_chunks.Received(2, object.Serve(2), m_now)};
    BOOST_CHECK(whole.status == Status::COMPLETE && whole.kind == ObjectKind::WEIGHTS && whole.bytes == object.bytes);
    // Not again at once, even if the manager still wants it.
    BOOST_CHECK(m_chunks.Next(m_now).empty());
    m_now += ChunkFetcher::COMPLETE_PAUSE;
    BOOST_CHECK_EQUAL(m_chunks.Next(m_now).size(), 4U); // the proven size is not forgotten
    m_chunks.SetWanted({});
    BOOST_CHECK(m_chunks.Next(m_now + 1h).empty());
}

BOOST_AUTO_TEST_CASE(chunks_bad_proof)
{
    const TestObject object{m_rng, ObjectKind::MODEL, 3 * CHUNK_SIZE};
    m_chunks.SetLimits(Limits(4, 1));
    m_chunks.Connected(1);
    m_chunks.Connected(2);
    m_chunks.SetWanted({object.AsWant()});
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, object.ref, 0}}));

    DataMessage bad{object.Serve(0)};
    bad.content->bytes[17] ^= 1;
    auto delivery{m_chunks.Received(1, std::move(bad), m_now)};
    BOOST_CHECK(delivery.status == Status::BAD);
    BOOST_CHECK_EQUAL(delivery.reason, "podl-chunk-proof");
    // The other one is asked; the liar not even for the rest.
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{2, object.ref, 0}}));
    BOOST_CHECK(m_chunks.Received(2, object.Serve(0), m_now).status == Status::KEPT);
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{2, object.ref, 1}, {2, object.ref, 2}}));

    // The right chunk in the wrong place, and sizes that the root does not have.
    DataMessage moved{object.Serve(0)};
    moved.chunk = 1;
    BOOST_CHECK_EQUAL(m_chunks.Received(2, std::move(moved), m_now).reason, "podl-chunk-proof");
    m_now += ChunkFetcher::AVOID_BAD_TIME;
    BOOST_CHECK_EQUAL(m_chunks.Next(m_now).size(), 2U);
    DataMessage sized{object.Serve(1)};
    sized.content->size = object.bytes.size() - 1;
    BOOST_CHECK_EQUAL(m_chunks.Received(1, std::move(sized), m_now).reason, "podl-chunk-proof");
    m_chunks.Connected(3);
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{3, object.ref, 1}}));
    DataMessage larger{object.Serve(1)};
    larger.content->size += 1;
    BOOST_CHECK_EQUAL(m_chunks.Received(3, std::move(larger), m_now).reason, "podl-chunk-proof");
}

BOOST_AUTO_TEST_CASE(chunks_size_named_wrong)
{
    // The root commits to the size: who proves a chunk is right, whatever the one who named the object has said.
    const TestObject object{m_rng, ObjectKind::WEIGHTS, 2 * CHUNK_SIZE};
    for (const uint64_t named : {CHUNK_SIZE, 3 * CHUNK_SIZE}) {
        m_chunks.SetLimits(Limits(4, 1));
        m_chunks.Connected(1);
        m_chunks.SetWanted({object.AsWant(named, 4 * CHUNK_SIZE)});
        BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, object.ref, 0}}));
        BOOST_CHECK(m_chunks.Received(1, object.Serve(0), m_now).status == Status::KEPT);
        BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, object.ref, 1}}));
        BOOST_CHECK(m_chunks.Received(1, object.Serve(1), m_now).bytes == object.bytes);
        m_chunks.SetWanted({});
    }
    // More than anyone may hold is of no use, but no lie either.
    m_chunks.SetWanted({object.AsWant(CHUNK_SIZE, CHUNK_SIZE)});
    BOOST_CHECK_EQUAL(m_chunks.Next(m_now).size(), 1U);
    BOOST_CHECK(m_chunks.Received(1, object.Serve(0), m_now).status == Status::IGNORED);
    BOOST_CHECK(m_chunks.Next(m_now).empty());
    m_now += ChunkFetcher::AVOID_TIME;
    BOOST_CHECK_EQUAL(m_chunks.Next(m_now).size(), 1U);

    // A size above the named one takes room only where there is some.
    const TestObject other{m_rng, ObjectKind::MODEL, 2 * CHUNK_SIZE};
    m_chunks.SetLimits(Limits(4, 2, 3 * CHUNK_SIZE));
    m_chunks.SetWanted({});
    m_chunks.SetWanted({other.AsWant(), object.AsWant(CHUNK_SIZE, 4 * CHUNK_SIZE)});
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, other.ref, 0}, {1, object.ref, 0}}));
    BOOST_CHECK(m_chunks.Received(1, other.Serve(0), m_now).status == Status::KEPT);
    BOOST_CHECK(m_chunks.Received(1, object.Serve(0), m_now).status == Status::IGNORED);
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, other.ref, 1}}));
    BOOST_CHECK(m_chunks.Received(1, other.Serve(1), m_now).status == Status::COMPLETE);
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, object.ref, 0}, {1, object.ref, 1}}));
}

BOOST_AUTO_TEST_CASE(chunks_stall)
{
    const TestObject object{m_rng, ObjectKind::SHARD, 3 * CHUNK_SIZE};
    m_chunks.SetLimits(Limits(4, 1));
    m_chunks.Connected(1);
    m_chunks.Connected(2);
    m_chunks.Announced(1, object.ref);
    m_chunks.SetWanted({object.AsWant()});
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, object.ref, 0}}));
    BOOST_CHECK(m_chunks.Received(1, object.Serve(0), m_now).status == Status::KEPT);
    BOOST_CHECK_EQUAL(m_chunks.Next(m_now).size(), 2U); // both of peer 1
    m_now += ChunkFetcher::STALL_TIMEOUT + 1s;
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{2, object.ref, 1}, {2, object.ref, 2}}));
    // What comes late is still taken, and the answer to the second request then is not needed.
    BOOST_CHECK(m_chunks.Received(1, object.Serve(1), m_now).status == Status::KEPT);
    BOOST_CHECK(m_chunks.Received(2, object.Serve(1), m_now).status == Status::IGNORED);
    m_chunks.Disconnected(2);
    const auto next{m_chunks.Next(m_now)};
    BOOST_CHECK(next == (std::vector<FetchRequest>{{1, object.ref, 2}}));
    BOOST_CHECK(m_chunks.Received(1, object.Serve(2), m_now).status == Status::COMPLETE);
}

BOOST_AUTO_TEST_CASE(chunks_trickle)
{
    const TestObject object{m_rng, ObjectKind::MODEL, 20 * CHUNK_SIZE};
    m_chunks.SetLimits(Limits(8, 1));
    m_chunks.Connected(1);
    m_chunks.Announced(1, object.ref);
    m_chunks.SetWanted({object.AsWant()});
    BOOST_CHECK_EQUAL(m_chunks.Next(m_now).size(), 1U);
    BOOST_CHECK(m_chunks.Received(1, object.Serve(0), m_now).status == Status::KEPT);
    BOOST_CHECK_EQUAL(m_chunks.Next(m_now).size(), 8U);
    m_chunks.Connected(2);
    // One chunk every four seconds keeps the others, but not for ever.
    for (uint32_t chunk{1}; chunk <= 5; ++chunk) {
        m_now += 4s;
        for (const auto& request : m_chunks.Next(m_now)) BOOST_CHECK(request.peer == 2 || request.chunk > 8);
        BOOST_CHECK(m_chunks.Received(1, object.Serve(chunk), m_now).status == Status::KEPT);
    }
    m_now += 1s;
    m_chunks.Disconnected(2);
    m_chunks.Connected(3);
    std::set<uint32_t> chunks;
    for (const auto& request : m_chunks.Next(m_now)) {
        BOOST_CHECK_EQUAL(request.peer, 3);
        chunks.insert(request.chunk);
    }
    BOOST_CHECK(chunks.contains(6) && chunks.contains(7) && chunks.contains(8));
}

BOOST_AUTO_TEST_CASE(chunks_not_found)
{
    const TestObject object{m_rng, ObjectKind::WEIGHTS, 10};
    m_chunks.SetLimits(Limits(4, 1));
    m_chunks.Connected(1);
    m_chunks.SetWanted({object.AsWant()});
    BOOST_CHECK_EQUAL(m_chunks.Next(m_now).size(), 1U);
    m_chunks.NotFound(1, object.ref, 0, m_now);
    BOOST_CHECK(m_chunks.Next(m_now).empty());
    m_now += ChunkFetcher::AVOID_TIME - 1s;
    BOOST_CHECK(m_chunks.Next(m_now).empty());
    // An announcement says that it is there now.
    m_chunks.Announced(1, object.ref);
    BOOST_CHECK_EQUAL(m_chunks.Next(m_now).size(), 1U);
    m_chunks.NotFound(1, object.ref, 0, m_now);
    m_now += ChunkFetcher::AVOID_TIME;
    BOOST_CHECK_EQUAL(m_chunks.Next(m_now).size(), 1U);
    // "Not found" of something that was not asked for changes nothing.
    m_chunks.NotFound(1, object.ref, 5, m_now);
    BOOST_CHECK(m_chunks.Received(1, object.Serve(0), m_now).status == Status::COMPLETE);
}

BOOST_AUTO_TEST_CASE(chunks_withheld)
{
    const TestObject object{m_rng, ObjectKind::WEIGHTS, 10};
    m_chunks.SetLimits(Limits(4, 1));
    for (NodeId peer{1}; peer <= 3; ++peer) m_chunks.Connected(peer);
    m_chunks.SetWanted({object.AsWant()});
    // Asked before it had heard of the object: that breaks no promise.
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, object.ref, 0}}));
    m_chunks.NotFound(1, object.ref, 0, m_now);
    for (NodeId peer{1}; peer <= 3; ++peer) m_chunks.Announced(peer, object.ref);
    // Announced again and again, and never given.
    for (NodeId peer{1}; peer <= 3; ++peer) {
        BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{peer, object.ref, 0}}));
        m_chunks.NotFound(peer, object.ref, 0, m_now);
        m_chunks.Announced(peer, object.ref);
    }
}

BOOST_AUTO_TEST_CASE(chunks_mute_peer)
{
    // A peer that does not answer costs one time-out, not one for every object.
    const TestObject first{m_rng, ObjectKind::WEIGHTS, 10}, second{m_rng, ObjectKind::WEIGHTS, 10};
    m_chunks.SetLimits(Limits(4, 1));
    m_chunks.Connected(1);
    m_chunks.Connected(2);
    m_chunks.SetWanted({first.AsWant(), second.AsWant()});
    for (const auto& object : {first, second}) m_chunks.Announced(1, object.ref);
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, first.ref, 0}}));
    m_now += ChunkFetcher::STALL_TIMEOUT + 1s;
    // The one that did not stall has its turn first.
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{2, second.ref, 0}}));
    BOOST_CHECK(m_chunks.Received(2, second.Serve(0), m_now).status == Status::COMPLETE);
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{2, first.ref, 0}}));
}

BOOST_AUTO_TEST_CASE(withheld_objects_take_turns)
{
    // Six peers give nothing of the four most urgent objects, and only the first chunk of one that fills the buffer.
    std::vector<TestObject> withheld;
    std::vector<Want> wanted;
    for (int i{0}; i < 4; ++i) {
        withheld.emplace_back(m_rng, ObjectKind::WEIGHTS, 2 * CHUNK_SIZE);
        wanted.push_back(withheld.back().AsWant());
    }
    const TestObject honest{m_rng, ObjectKind::WEIGHTS, 10};
    wanted.push_back(honest.AsWant());
    m_chunks.SetLimits(Limits(4, 2, 5 * CHUNK_SIZE));
    for (NodeId peer{1}; peer <= 7; ++peer) m_chunks.Connected(peer);
    m_chunks.SetWanted(wanted);
    for (NodeId peer{1}; peer <= 6; ++peer) {
        for (const auto& object : withheld) m_chunks.Announced(peer, object.ref);
    }
    bool served{false};
    int stalls{0};
    for (; stalls < 6 && !served; ++stalls) {
        for (const auto& request : m_chunks.Next(m_now)) {
            if (request.object == honest.ref) served = m_chunks.Received(request.peer, honest.Serve(0), m_now).status == Status::COMPLETE;
            if (request.object == withheld[0].ref && request.chunk == 0) (void)m_chunks.Received(request.peer, withheld[0].Serve(0), m_now);
        }
        m_now += ChunkFetcher::STALL_TIMEOUT + 1s;
        m_chunks.SetWanted(wanted);
    }
    BOOST_CHECK(served && stalls == 3);
}

BOOST_AUTO_TEST_CASE(body_from_one_peer)
{
    const TestObject body{m_rng, ObjectKind::BODY, 3 * CHUNK_SIZE};
    m_chunks.SetLimits(Limits(2, 1));
    m_chunks.Connected(1);
    m_chunks.Connected(2);
    m_chunks.SetWanted({body.AsWant(4'000'000, 4'000'000)});
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, body.ref, 0}}));
    BOOST_CHECK(m_chunks.Received(1, body.Serve(0), m_now).status == Status::KEPT);
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, body.ref, 1}, {1, body.ref, 2}}));
    BOOST_CHECK(m_chunks.Received(1, body.Serve(1), m_now).status == Status::KEPT);

    // A stall begins a new try with the other peer, and nothing of the old one is kept.
    m_now += ChunkFetcher::STALL_TIMEOUT + 1s;
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{2, body.ref, 0}}));
    BOOST_CHECK(m_chunks.Received(1, body.Serve(2), m_now).status == Status::IGNORED);
    BOOST_CHECK(m_chunks.Received(2, body.Serve(0), m_now).status == Status::KEPT);
    BOOST_CHECK_EQUAL(m_chunks.Next(m_now).size(), 2U);

    // Two sizes for one body are a contradiction.
    DataMessage other{body.Serve(1)};
    other.content->size -= 1;
    BOOST_CHECK_EQUAL(m_chunks.Received(2, std::move(other), m_now).reason, "podl-data-size");
    BOOST_CHECK(m_chunks.Received(2, body.Serve(2), m_now).status == Status::IGNORED);
    m_now += ChunkFetcher::AVOID_TIME;
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, body.ref, 0}}));
    DataMessage huge{body.ref, 0, Chunk{4'000'001, {}, Bytes(CHUNK_SIZE)}};
    BOOST_CHECK_EQUAL(m_chunks.Received(1, std::move(huge), m_now).reason, "podl-data-size");
}

BOOST_AUTO_TEST_CASE(body_refused_as_a_whole)
{
    const TestObject body{m_rng, ObjectKind::BODY, 100};
    m_chunks.SetLimits(Limits(2, 1));
    m_chunks.Connected(1);
    m_chunks.Connected(2);
    m_chunks.SetWanted({body.AsWant()});
    BOOST_CHECK_EQUAL(m_chunks.Next(m_now).size(), 1U);
    BOOST_CHECK(m_chunks.Received(1, body.Serve(0), m_now).status == Status::COMPLETE);
    m_chunks.Refused(1, body.ref, m_now);
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{2, body.ref, 0}}));
}

BOOST_AUTO_TEST_CASE(downloads_at_once)
{
    std::vector<TestObject> objects;
    std::vector<Want> wanted;
    for (int i{0}; i < 4; ++i) {
        objects.emplace_back(m_rng, ObjectKind::MODEL, 2 * CHUNK_SIZE);
        wanted.push_back(objects.back().AsWant());
    }
    m_chunks.SetLimits(Limits(8, 2));
    m_chunks.Connected(1);
    m_chunks.SetWanted(wanted);
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, objects[0].ref, 0}, {1, objects[1].ref, 0}}));
    // One that nobody has does not hold its place.
    m_chunks.NotFound(1, objects[0].ref, 0, m_now);
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, objects[2].ref, 0}}));
    // What is no longer wanted makes room, and its chunks are forgotten.
    BOOST_CHECK(m_chunks.Received(1, objects[1].Serve(0), m_now).status == Status::KEPT);
    m_chunks.SetWanted({wanted[3], wanted[2]});
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, objects[3].ref, 0}}));
    BOOST_CHECK(m_chunks.Received(1, objects[1].Serve(1), m_now).status == Status::IGNORED);
}

BOOST_AUTO_TEST_CASE(buffer)
{
    const TestObject urgent{m_rng, ObjectKind::MODEL, 3 * CHUNK_SIZE};
    const TestObject second{m_rng, ObjectKind::MODEL, 3 * CHUNK_SIZE};
    m_chunks.SetLimits(Limits(8, 8, 4 * CHUNK_SIZE));
    m_chunks.Connected(1);
    m_chunks.SetWanted({urgent.AsWant(), second.AsWant()});
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, urgent.ref, 0}})); // no room for both
    m_chunks.NotFound(1, urgent.ref, 0, m_now);
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, second.ref, 0}}));
    BOOST_CHECK(m_chunks.Received(1, second.Serve(0), m_now).status == Status::KEPT);
    BOOST_CHECK_EQUAL(m_chunks.Next(m_now).size(), 2U);
    // What is under way goes on; a part that makes no progress gives way to something more urgent, not the other way round.
    m_chunks.Announced(1, urgent.ref);
    BOOST_CHECK(m_chunks.Next(m_now).empty());
    m_chunks.NotFound(1, second.ref, 1, m_now);
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, urgent.ref, 0}}));
    BOOST_CHECK(m_chunks.Received(1, urgent.Serve(0), m_now).status == Status::KEPT);
    m_chunks.Announced(1, second.ref);
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, urgent.ref, 1}, {1, urgent.ref, 2}}));

    // Something larger than the buffer is fetched alone.
    m_chunks.SetLimits(Limits(8, 8, 1));
    m_chunks.SetWanted({second.AsWant(), urgent.AsWant()});
    m_chunks.NotFound(1, urgent.ref, 1, m_now);
    BOOST_CHECK(m_chunks.Next(m_now) == (std::vector<FetchRequest>{{1, second.ref, 0}, {1, second.ref, 1}, {1, second.ref, 2}}));
}

BOOST_AUTO_TEST_CASE(random_downloads)
{
    // Whatever peers do, honest ones get everything through and nothing wrong is ever delivered.
    std::map<uint256, TestObject> objects;
    std::vector<Want> wanted;
    for (int i{0}; i < 12; ++i) {
        const TestObject object{m_rng, i % 3 ? ObjectKind::MODEL : ObjectKind::BODY, 1 + m_rng.randrange(5 * CHUNK_SIZE)};
        wanted.push_back(object.AsWant());
        objects.emplace(object.ref.id, object);
    }
    constexpr NodeId HONEST{0};
    m_chunks.SetLimits(Limits(3, 3, 12 * CHUNK_SIZE));
    for (NodeId peer{0}; peer < 4; ++peer) m_chunks.Connected(peer);
    m_chunks.SetWanted(wanted);
    std::vector<FetchRequest> open;
    size_t delivered{0};
    for (int step{0}; step < 20'000 && delivered < objects.size(); ++step) {
        for (auto& request : m_chunks.Next(m_now)) open.push_back(request);
        m_now += std::chrono::milliseconds{m_rng.randrange(400)};
        if (open.empty()) continue;
        const size_t pick{m_rng.randrange(open.size())};
        const FetchRequest request{open[pick]};
        open.erase(open.begin() + pick);
        const TestObject& object{objects.at(request.object.id)};
        const auto act{request.peer == HONEST ? 0 : m_rng.randrange(4)};
        if (act == 1) continue; // silence
        if (act == 2) {
            m_chunks.NotFound(request.peer, request.object, request.chunk, m_now);
            continue;
        }
        DataMessage answer{object.Serve(request.chunk)};
        const bool lies{act == 3 && object.kind == ObjectKind::MODEL};
        if (lies) answer.content->bytes[0] ^= 1;
        const auto delivery{m_chunks.Received(request.peer, std::move(answer), m_now)};
        if (lies) {
            BOOST_CHECK(delivery.status == Status::BAD || delivery.status == Status::IGNORED);
            continue;
        }
        BOOST_CHECK(delivery.status != Status::BAD);
        if (delivery.status != Status::COMPLETE) continue;
        delivered += delivery.bytes == object.bytes;
        std::erase_if(wanted, [&](const Want& want) { return want.id == request.object.id; });
        m_chunks.SetWanted(wanted);
    }
    BOOST_CHECK_EQUAL(delivered, objects.size());
}

BOOST_AUTO_TEST_SUITE_END()
