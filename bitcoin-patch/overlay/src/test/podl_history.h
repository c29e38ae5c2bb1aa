// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_TEST_PODL_HISTORY_H
#define BITCOIN_TEST_PODL_HISTORY_H

#include <podl/views.h>
#include <random.h>
#include <test/podl_messages.h>
#include <test/podl_world.h>

/** Random message histories: what a requester, miners, evaluators and whoever else may send in a few heights. */
namespace podl::test {

/** What weights reach on a shard, in this model: few values, so that there are ties, of rank sums too. */
Verdict TrueVerdict(const VerdictKey& key);

/** Make a history on a world's task; its log is begun anew. */
History MakeHistory(World& world, FastRandomContext& rng);

} // namespace podl::test

#endif // BITCOIN_TEST_PODL_HISTORY_H
