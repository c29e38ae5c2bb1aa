// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/net_server.h>
#include <podl/objects.h>
#include <podl/params.h>
#include <podl/store.h>
#include <test/podl_alarm_setup.h>

#include <fstream>
#include <functional>

/** Files that a disk has changed: they are named and fetched anew, and prove nothing. */

using namespace podl;
using namespace podl::test;

namespace {

using Change = std::function<void(Bytes&)>;

void ChangeFile(const fs::path& path, const Change& change)
{
    std::ifstream in{path.std_path(), std::ios::binary};
    Bytes bytes{std::istreambuf_iterator<char>{in}, {}};
    BOOST_REQUIRE(!bytes.empty());
    change(bytes);
    std::ofstream{path.std_path(), std::ios::binary}.write(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void Truncate(Bytes& bytes) { bytes.pop_back(); }
void Empty(Bytes& bytes) { bytes.clear(); }
void Flip(Bytes& bytes) { bytes[bytes.size() / 2] ^= 1; }
void Zero(Bytes& bytes) { std::ranges::fill(bytes, 0); }

/** A round whose only candidate has all its bytes. */
struct DamageSetup : AlarmSetup {
    ObjectId m_weights{ObjectKind::WEIGHTS, m_mined.disclosure.opening.weights_root};
    ObjectId m_model{ObjectKind::MODEL, m_mined.disclosure.opening.model_root};
    ObjectId m_body{ObjectKind::BODY, m_mined.Hash()};
    ObjectId m_shard{ObjectKind::SHARD, m_release.AsRelease()->test_root};

    DamageSetup()
    {
        BOOST_REQUIRE(m_manager->SubmitReveal(MakeReveal(m_mined, m_release.id, 50)).status == SubmitStatus::ACCEPTED);
        AddData(m_mined);
        AddShard();
    }

    void AddShard() { BOOST_CHECK_EQUAL(m_manager->AddObject(m_shard.kind, m_shard.hash, m_shards.at(m_release.AsRelease()->shard_index)).reason, ""); }

    fs::path PathOf(const ObjectId& id) const { return m_path_root / "podl" / "data" / fs::PathFromString(KindName(id.kind) + "-" + HexStr(id.hash)); }

    void Damage(const ObjectId& id, const Change& change)
    {
        m_manager.reset();
        ChangeFile(PathOf(id), change);
    }

    bool Wants(const ObjectId& id) const
    {
        return std::ranges::any_of(m_manager->Wanted(), [&](const Want& want) { return want.kind == id.kind && want.id == id.hash; });
    }

    bool Holds(const ObjectId& id) const { return m_manager->ReadObject(id.kind, id.hash, 0, 1).has_value(); }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(podl_damage_tests, DamageSetup)

BOOST_AUTO_TEST_CASE(a_damaged_object_is_fetched_again)
{
    for (const auto& id : {m_weights, m_model, m_body, m_shard}) {
        for (const auto& change : {Truncate, Empty, Flip, Zero}) {
            Damage(id, change);
            OpenManager();
            BOOST_CHECK(!Holds(id));
            BOOST_CHECK(Wants(id) == (id != m_model)); // a model is needed once its candidate is found good
            BOOST_CHECK(!m_manager->ObjectSize(id.kind, id.hash));
            BOOST_CHECK(!fs::exists(PathOf(id)));
            BOOST_CHECK(Alarms().empty());
            if (id.kind == ObjectKind::SHARD) {
                AddShard();
            } else {
                const auto bytes{id.kind == ObjectKind::BODY ? m_mined.body : id.kind == ObjectKind::MODEL ? m_mined.model : m_mined.weights};
                BOOST_CHECK_EQUAL(m_manager->AddObject(id.kind, id.hash, bytes).reason, "");
            }
            BOOST_CHECK(Holds(id) && !Wants(id));
            BOOST_CHECK_EQUAL(StateOf(m_mined), "waiting-verdict");
        }
    }
}

BOOST_AUTO_TEST_CASE(changed_under_a_running_node)
{
    const auto whole{std::numeric_limits<uint64_t>::max()};
    ChangeFile(PathOf(m_weights), Flip);
    BOOST_CHECK(!m_manager->ReadObject(m_weights.kind, m_weights.hash, 0, whole));
    BOOST_CHECK(Wants(m_weights));
    fs::remove(PathOf(m_shard));
    BOOST_CHECK(!m_manager->ReadObject(m_shard.kind, m_shard.hash, 0, whole));
    BOOST_CHECK(Wants(m_shard));
    ChangeFile(PathOf(m_model), Flip);
    Server server{*m_manager};
    BOOST_CHECK(!server.Answer(1, {{ObjectType::DATA, m_model.hash}, 0}, /*bulk=*/true).content);
    BOOST_CHECK(!Holds(m_model));
}

BOOST_AUTO_TEST_CASE(short_weights_make_no_candidate_invalid)
{
    Damage(m_weights, Truncate);
    OpenManager();
    BOOST_CHECK_EQUAL(StateOf(m_mined), "waiting-weights");
    BOOST_CHECK(Wants(m_weights));
}

BOOST_AUTO_TEST_CASE(short_weights_make_no_final_void)
{
    BOOST_CHECK_EQUAL(Verdict(50).reason, "");
    Accept(MakeFinal(FIRST_HEIGHT, 0, m_mined, 50));
    Damage(m_weights, Truncate);
    OpenManager();
    BOOST_CHECK(Alarms().empty() && !m_manager->Info().frozen && Admits(m_mined, FIRST_HEIGHT));
    BOOST_CHECK(Wants(m_weights)); // for the archive
    m_manager->Start();
    m_manager->SyncQueue();
    BOOST_CHECK(m_chain->StateOf(m_mined.Hash()) == ChainLink::BlockState::CONNECTED);
}

BOOST_AUTO_TEST_CASE(a_damaged_body_of_a_final_comes_again)
{
    BOOST_CHECK_EQUAL(Verdict(50).reason, "");
    Accept(MakeFinal(FIRST_HEIGHT, 0, m_mined, 50));
    Damage(m_body, Flip);
    OpenManager();
    m_manager->Start();
    m_manager->SyncQueue();
    BOOST_CHECK(m_chain->StateOf(m_mined.Hash()) == ChainLink::BlockState::HEADER);
    BOOST_CHECK(Wants(m_body) && Alarms().empty());
    BOOST_CHECK_EQUAL(m_manager->AddObject(m_body.kind, m_body.hash, m_mined.body).reason, "");
    m_manager->SyncQueue();
    BOOST_CHECK(m_chain->StateOf(m_mined.Hash()) == ChainLink::BlockState::CONNECTED);
}

BOOST_AUTO_TEST_CASE(a_damaged_object_of_a_void_final_is_thrown_away)
{
    Accept(MakeFinal(FIRST_HEIGHT, 0, m_mined, 50));
    BOOST_CHECK_EQUAL(Verdict(49).reason, "");
    for (const auto& id : {m_weights, m_model, m_shard}) {
        Damage(id, Flip);
        OpenManager();
        BOOST_CHECK(!Holds(id) && !Wants(id));
        BOOST_CHECK(m_manager->Info().is_void && !fs::exists(PathOf(id)));
    }
}

BOOST_AUTO_TEST_CASE(a_damaged_database_is_named)
{
    const auto db{m_path_root / "podl" / "db"};
    OpenManager(); // the records are in a table now, not in the log
    m_manager.reset();
    std::vector<fs::path> names;
    for (const auto& file : fs::directory_iterator{db}) {
        if (file.is_regular_file() && file.file_size() > 0) names.push_back(file.path().filename());
    }
    size_t tables{0}, copies{0};
    const auto copy{[&] {
        m_folder = strprintf("copy%u", ++copies);
        const auto folder{m_path_root / fs::PathFromString(m_folder)};
        fs::create_directories(folder);
        fs::copy(db, folder / "db");
        return folder / "db";
    }};
    for (const auto& path : names) {
        const auto name{fs::PathToString(path)};
        tables += name.ends_with(".ldb");
        for (const auto& change : {Flip, Zero}) {
            const auto copied{copy()};
            ChangeFile(copied / path, change);
            const auto error{TryOpen()};
            BOOST_CHECK_MESSAGE(error.starts_with("podl-store-corrupt: ") && error.find(fs::PathToString(copied)) != std::string::npos, name + ": " + error);
            BOOST_CHECK_MESSAGE(error.find("-podlresync") != std::string::npos, error);
        }
    }
    BOOST_CHECK(tables > 0);
    fs::remove(copy() / "CURRENT");
    BOOST_CHECK(TryOpen().find("the file CURRENT is missing") != std::string::npos);
    BOOST_CHECK_EQUAL(TryOpen(/*resync=*/true), "");
    BOOST_CHECK_EQUAL(m_manager->Info().entries, 1U);
}

BOOST_AUTO_TEST_CASE(damaged_parameters_are_named)
{
    m_manager.reset();
    const auto path{m_path_root / "podl" / "params"};
    for (const auto& change : {Truncate, Empty, Flip, Zero}) {
        ChangeFile(path, change);
        const auto error{TryOpen()};
        BOOST_CHECK_MESSAGE(error.find("says " + fs::PathToString(path) + ". If that file is damaged, delete it") != std::string::npos, error);
        fs::remove(path);
        BOOST_CHECK_EQUAL(TryOpen(), "");
        m_manager.reset();
    }
}

BOOST_AUTO_TEST_SUITE_END()
