// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_OPTIONS_H
#define BITCOIN_PODL_OPTIONS_H

#include <podl/views.h>
#include <util/fs.h>

#include <cstddef>

namespace Consensus {
struct Params;
} // namespace Consensus

namespace podl {

/** What a Manager is opened with. */
struct ManagerOptions {
    fs::path dir{};                              //!< <net datadir>/podl
    int podl_height{0};
    Bytes task{};                                //!< the chain's first task entry
    bool resync{false};                          //!< -podlresync: start with an empty store
    const Consensus::Params* consensus{nullptr}; //!< must outlive the manager
    EvaluatorMode evaluator{EvaluatorMode::SIDECAR}; //!< -podlevaluator
    size_t evaluator_threads{1};                 //!< -podlevaluatorthreads
    bool memory_only{false};                     //!< keep the database in memory (unit tests)
};

} // namespace podl

#endif // BITCOIN_PODL_OPTIONS_H
