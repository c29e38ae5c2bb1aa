// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/evaluator_jobs.h>

#include <crypto/sha256.h>

#include <utility>

namespace podl {

VerdictKey KeyOf(const JobView& job)
{
    VerdictKey key{.arithmetic = job.arithmetic, .weights_root = job.weights_root, .test_root = job.test_root};
    CSHA256().Write(job.program.data(), job.program.size()).Finalize(key.program.begin());
    return key;
}

std::optional<JobView> JobBook::Next(const std::vector<JobView>& jobs, bool attached, Time now)
{
    std::map<VerdictKey, Times> current;
    std::optional<JobView> next;
    for (const auto& job : jobs) {
        const auto key{KeyOf(job)};
        const auto known{m_times.find(key)};
        const auto times{known == m_times.end() ? Times{.seen = now} : known->second};
        current.emplace(key, times);
        const bool due{times.retry <= now && (!attached || times.seen + SIDECAR_GRACE <= now)};
        if (due && !next) next = job;
    }
    m_times = std::move(current);
    return next;
}

} // namespace podl
