// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_EVALUATOR_THREAD_H
#define BITCOIN_PODL_EVALUATOR_THREAD_H

#include <podl/evaluator_jobs.h>
#include <podl/result.h>
#include <podl/winner.h>
#include <sync.h>
#include <threadsafety.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <thread>

namespace podl {

/** Measures what the manager asks about, on threads of its own: never under the manager's mutex or cs_main. */
class EvaluatorThread
{
public:
    EvaluatorThread(JobSource& source, EvaluatorMode mode, size_t threads) : m_source{source}, m_mode{mode}, m_threads{threads} {}
    ~EvaluatorThread() { Stop(); }

    void Start() EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    /** End soon, also in the middle of an evaluation. */
    void Interrupt() EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    void Stop() EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    /** There may be a new job. */
    void Wake() EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);

private:
    JobSource& m_source;
    const EvaluatorMode m_mode;
    const size_t m_threads;
    JobBook m_jobs; //!< of the thread alone
    Mutex m_mutex;
    std::condition_variable m_wake_cv;
    bool m_news GUARDED_BY(m_mutex){false};
    std::atomic<bool> m_interrupted{false};
    std::thread m_thread;

    void Run() EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    void Do(const JobView& job);
    Result<Measured> Measure(const JobView& job) const;
};

} // namespace podl

#endif // BITCOIN_PODL_EVALUATOR_THREAD_H
