// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_VIEWS_H
#define BITCOIN_PODL_VIEWS_H

#include <podl/result.h>
#include <uint256.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

/** Plain values that podl::Manager takes and gives: no locks, no pointers into its state. */
namespace podl {

using Bytes = std::vector<unsigned char>;

//! Largest piece that the RPCs move in one call (interfaces.md).
inline constexpr uint64_t MAX_PIECE_BYTES{1 << 20};

enum class SubmitStatus {
    ACCEPTED,
    DUPLICATE, //!< held already; nothing changed
    LATER,     //!< cannot be judged now; nobody is to blame
    REFUSED,   //!< cls tells whether the sender is (DATA) or the signer (EVIDENCE, PERM)
};

/** Outcome of a submission. cls, reason and detail mean something for LATER and REFUSED only. */
struct Submission {
    SubmitStatus status{SubmitStatus::ACCEPTED};
    FailureClass cls{FailureClass::LATER};
    std::string reason{};
    std::string detail{};
};

/** Outcome of one piece of an object (submitpodldata). */
struct PieceResult : Submission {
    uint64_t received{0}; //!< bytes held of the object so far
    bool complete{false}; //!< the object is checked and stored
};

enum class ObjectKind : uint8_t {
    BODY,    //!< whole serialized block with witnesses, named by its block hash
    WEIGHTS, //!< named by its Merkle root, like the following
    MODEL,
    SHARD,
};

/** "body", "weights", "model", "shard" */
std::string KindName(ObjectKind kind);
std::optional<ObjectKind> KindFromName(const std::string& name);

/** An object that should be fetched from peers now, most urgent first. */
struct Want {
    uint8_t type{0}; //!< P2P type: 4 body (id = block hash), 5 data (id = Merkle root)
    uint256 id{};
    ObjectKind kind{ObjectKind::BODY};
    uint64_t size{0};     //!< what it should have (type 5; whoever names it may be wrong), upper bound for type 4
    uint64_t max_size{0}; //!< what is larger is not taken
};

/** Limits of the task in force that bound peers (protocol section 5, task). */
struct PeerLimits {
    uint8_t chunks_in_flight{1}; //!< per peer
    uint8_t downloads{1};        //!< candidates in download at once
    uint32_t buffer_bytes{0};    //!< memory for objects under assembly
};

/** What one evaluation is about (protocol section 1, verdict). */
struct VerdictKey {
    uint8_t arithmetic{1};
    uint256 program{}; //!< SHA-256 of the layer program's bytes
    uint256 weights_root{};
    uint256 test_root{};

    friend bool operator==(const VerdictKey&, const VerdictKey&) = default;
    friend bool operator<(const VerdictKey& a, const VerdictKey& b)
    {
        return std::tie(a.arithmetic, a.program, a.weights_root, a.test_root) < std::tie(b.arithmetic, b.program, b.weights_root, b.test_root);
    }
};

/** Whose verdicts this node builds on (-podlevaluator). */
enum class EvaluatorMode : uint8_t {
    AUTO,     //!< the first one, whoever it is from; the node itself measures what no evaluator over RPC takes care of
    SIDECAR,  //!< one over RPC; the node measures nothing
    INTERNAL, //!< the node's own
    BOTH,     //!< two that agree: the node's own, and one over RPC
};

/** "auto", "sidecar", "internal", "both" */
std::string ModeName(EvaluatorMode mode);
std::optional<EvaluatorMode> ModeFromName(const std::string& name);

enum class VerdictSource : uint8_t { RPC, INTERNAL };

//! Evaluator of the node's own verdicts; nobody else may use the name.
inline const std::string INTERNAL_EVALUATOR{"internal"};

struct Verdict {
    uint32_t count{0};
    uint64_t rank_sum{0};
    std::string device{};
    std::string evaluator{};
};

enum class AuditResult : uint8_t { REPLAYED, MISMATCH, NOT_REPLAYABLE };

struct Audit {
    AuditResult result{AuditResult::REPLAYED};
    std::optional<uint32_t> epoch{}; //!< only for MISMATCH
    std::string auditor{};
};

struct EntryView {
    size_t index{0};
    uint256 id{};
    Bytes bytes{};
};

struct ScheduleView {
    size_t total{0};
    std::vector<EntryView> entries{};
};

struct CommitmentView {
    uint256 hash{};
    Bytes bytes{};
    int64_t time{0}; //!< when it was accepted here
};

struct CommitmentsView {
    int height{0};                        //!< height that is open for commitments
    std::optional<uint256> prev{};        //!< block they must build on, if it is known yet
    std::vector<CommitmentView> commitments{}; //!< as in the pool
};

struct CandidateView {
    uint256 hash{};
    uint32_t position{0}; //!< in the release's list
    uint8_t architecture{0};
    std::vector<uint32_t> claims{}; //!< distinct, highest first
    std::vector<Bytes> signatures{}; //!< reveal signatures of the claims, in the same order; a final repeats the winner's
    Bytes opening{};
    Bytes recipe{};
    Bytes payout{};
    Bytes header{};
    uint256 weights_root{};
    uint256 model_root{};
    uint256 parent{};
    bool body{false};
    bool weights{false};
    bool model{false};
    std::string state{};  //!< as in interfaces.md
    std::string reason{}; //!< for state invalid
    std::optional<uint32_t> count{}; //!< once measured
    std::optional<uint64_t> rank_sum{};
};

/** One evaluation that can be done now. */
struct JobView {
    bool is_final{false}; //!< purpose "final", else "candidate"
    int height{0};
    uint8_t arithmetic{1};
    Bytes program{};
    std::vector<uint16_t> shape{};
    uint16_t classes{0};
    uint256 weights_root{};
    uint256 test_root{};
    uint32_t n{0};
    uint32_t claim{0};
};

struct CandidatesView {
    int height{0};
    uint16_t attempt{0};
    uint256 release_id{}; //!< null when no round is open; the fields up to shard then mean nothing
    uint256 test_root{};
    uint32_t n{0};
    bool shard{false};
    std::vector<CandidateView> candidates{}; //!< those with an accepted reveal, by position
    std::vector<JobView> jobs{};             //!< in the order in which they should be done
};

struct AlarmView {
    std::string reason{};
    std::string detail{};
    int64_t time{0};
    std::vector<std::string> ids{}; //!< hex as the user knows them: block hashes reversed, ids and roots in byte order
};

struct EvaluatorView {
    std::string name{};
    std::string device{};
    uint64_t verdicts{0};
    int64_t last{0};
};

struct WaitingView {
    std::string what{}; //!< entry, body, weights, model, shard, evaluator
    std::string id{};   //!< hex as the user knows it
    int height{0};
    int64_t since{0};
};

struct InfoView {
    int podl_height{0};
    uint256 chain_id{};
    uint256 task_id{};
    int height{0};
    bool reveal_phase{false};
    uint16_t attempt{0};   //!< in the reveal phase
    uint256 release_id{};  //!< in the reveal phase
    uint256 opening_release_id{};
    std::optional<uint256> prev{};
    size_t entries{0};
    uint256 digest{};
    size_t finals{0};
    size_t commitments{0};
    size_t candidates{0};
    bool frozen{false};
    bool is_void{false}; //!< the last final is void and waits for the next attempt
    std::vector<AlarmView> alarms{};
    uint64_t accuracy_work{0};
    size_t evaluated{0};
    EvaluatorMode evaluator{EvaluatorMode::SIDECAR};
    std::vector<EvaluatorView> evaluators{};
    std::vector<WaitingView> waiting{};
};

/** The "podl" object of getblocktemplate. */
struct TemplateView {
    bool reveal_phase{false};
    int height{0};
    uint256 opening_release_id{};
    std::optional<uint256> reveal_release_id{};
    bool can_commit{false};
};

} // namespace podl

#endif // BITCOIN_PODL_VIEWS_H
