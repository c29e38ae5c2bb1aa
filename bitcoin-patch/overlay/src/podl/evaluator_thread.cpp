// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/evaluator_thread.h>

#include <logging.h>
#include <podl/evaluator.h>
#include <podl/merkle.h>
#include <podl/program.h>
#include <util/strencodings.h>
#include <util/thread.h>
#include <util/time.h>

#include <chrono>
#include <limits>
#include <span>

namespace podl {
namespace {

//! How often to look for what nobody reports: a grace time that is over, a final that came within reach.
constexpr std::chrono::milliseconds POLL{500};

/** An object whose bytes lead to its root: a verdict is about what was really read. */
Result<Bytes> ReadChecked(const JobSource& source, ObjectKind kind, const uint256& root)
{
    auto bytes{source.ReadObject(kind, root, 0, std::numeric_limits<uint64_t>::max())};
    if (bytes && !bytes->empty() && DataRoot(*bytes) == root) return std::move(*bytes);
    return Refuse(FailureClass::LATER, "podl-data-missing", KindName(kind));
}

} // namespace

void EvaluatorThread::Start()
{
    if (m_interrupted || m_thread.joinable()) return;
    m_thread = std::thread{&util::TraceThread, "podl-eval", [this] { Run(); }};
}

void EvaluatorThread::Interrupt()
{
    m_interrupted = true;
    Wake();
}

void EvaluatorThread::Stop()
{
    Interrupt();
    if (m_thread.joinable()) m_thread.join();
}

void EvaluatorThread::Wake()
{
    LOCK(m_mutex);
    m_news = true;
    m_wake_cv.notify_all();
}

void EvaluatorThread::Run()
{
    while (!m_interrupted) {
        const bool attached{m_mode == EvaluatorMode::AUTO && m_source.HasSidecar()};
        if (const auto job{m_jobs.Next(m_source.OwnJobs(), attached, SteadyClock::now())}) {
            Do(*job);
            continue;
        }
        WAIT_LOCK(m_mutex, lock);
        m_wake_cv.wait_for(lock, POLL, [&]() EXCLUSIVE_LOCKS_REQUIRED(m_mutex) { return m_news; });
        m_news = false;
    }
}

void EvaluatorThread::Do(const JobView& job)
{
    const auto key{KeyOf(job)};
    const auto start{SteadyClock::now()};
    LogDebug(BCLog::PODL, "own evaluation for height %d begins: weights %s, %u samples", job.height, HexStr(job.weights_root), job.n);
    const auto found{Measure(job)};
    if (!found) {
        if (!m_interrupted) LogWarning("PoDL: no own verdict on height %d for now: %s (%s)", job.height, found.error().reason, found.error().detail);
        m_jobs.PutOff(key, SteadyClock::now());
        return;
    }
    const auto answer{m_source.SubmitOwnVerdict(key, {.count = found->count, .rank_sum = found->rank_sum, .device = InternalDevice(), .evaluator = INTERNAL_EVALUATOR})};
    LogDebug(BCLog::PODL, "own evaluation for height %d ends: %u of %u correct (claim %u, rank sum %u) in %d ms %s", job.height, found->count, job.n,
             job.claim, found->rank_sum, Ticks<std::chrono::milliseconds>(SteadyClock::now() - start), answer.reason);
    if (answer.status == SubmitStatus::LATER) m_jobs.PutOff(key, SteadyClock::now());
}

Result<Measured> EvaluatorThread::Measure(const JobView& job) const
{
    const auto program{Program::Parse(job.program, job.shape, job.classes)};
    if (!program) return util::Unexpected{program.error()};
    const auto weights{ReadChecked(m_source, ObjectKind::WEIGHTS, job.weights_root)};
    if (!weights) return util::Unexpected{weights.error()};
    const auto shard{ReadChecked(m_source, ObjectKind::SHARD, job.test_root)};
    if (!shard) return util::Unexpected{shard.error()};
    if (shard->size() < job.n) return Refuse(FailureClass::PERM, "podl-shard-range", "shorter than its labels");
    const std::span bytes{*shard};
    const Examples examples{bytes.first(bytes.size() - job.n), bytes.last(job.n)};
    return Evaluate(*program, *weights, examples, {.threads = m_threads, .stop = [this] { return m_interrupted.load(std::memory_order_relaxed); }});
}

} // namespace podl
