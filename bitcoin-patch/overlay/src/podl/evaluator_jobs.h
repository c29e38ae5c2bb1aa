// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_EVALUATOR_JOBS_H
#define BITCOIN_PODL_EVALUATOR_JOBS_H

#include <podl/views.h>
#include <uint256.h>
#include <util/time.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace podl {

//! Somebody over RPC counts as an attached evaluator for so long after asking for jobs or handing in a verdict.
inline constexpr std::chrono::seconds SIDECAR_ATTACHED{60};
//! What an attached evaluator has to itself, from when a job can be done.
inline constexpr std::chrono::seconds SIDECAR_GRACE{5};
//! A job that could not be done is tried again after so long.
inline constexpr std::chrono::seconds JOB_RETRY{10};

/** Who gives the node's evaluator its work and takes its verdicts: the manager. Safe from any thread. */
class JobSource
{
public:
    virtual ~JobSource() = default;
    /** What it should measure, most urgent first. */
    virtual std::vector<JobView> OwnJobs() const = 0;
    /** Whether an evaluator over RPC is attached. */
    virtual bool HasSidecar() const = 0;
    /** At most length bytes from offset; nullopt: not held (or unreadable) or offset beyond the end. */
    virtual std::optional<Bytes> ReadObject(ObjectKind kind, const uint256& hash, uint64_t offset, uint64_t length) const = 0;
    virtual Submission SubmitOwnVerdict(const VerdictKey& key, const Verdict& verdict) = 0;
};

/** What a job's verdict is about. */
VerdictKey KeyOf(const JobView& job);

/** Which job the node's evaluator does next. Not thread-safe. */
class JobBook
{
public:
    using Time = SteadyClock::time_point;

    /**
     * The first job that is due.
     *
     * @param jobs      all that can be done, first things first
     * @param attached  an evaluator over RPC may do them, and has the grace time for each
     */
    std::optional<JobView> Next(const std::vector<JobView>& jobs, bool attached, Time now);
    void PutOff(const VerdictKey& key, Time now) { m_times[key].retry = now + JOB_RETRY; }

private:
    struct Times {
        Time seen{};  //!< when it could first be done
        Time retry{}; //!< not before
    };
    std::map<VerdictKey, Times> m_times;
};

} // namespace podl

#endif // BITCOIN_PODL_EVALUATOR_JOBS_H
