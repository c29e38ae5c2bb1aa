// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_RPC_PODL_H
#define BITCOIN_RPC_PODL_H

#include <rpc/util.h>

#include <string>

class BlockValidationState;
class CBlock;
class CBlockIndex;
class UniValue;
namespace node {
struct NodeContext;
} // namespace node

/** Documentation of the "podl" object of getblocktemplate. */
RPCResult PodlTemplateDoc();

/** Add the "podl" object to a block template on prev whose height is from podlheight on; else do nothing. */
void PushPodlTemplate(const node::NodeContext& node, const CBlockIndex& prev, UniValue& result);

/** Throw RPC_MISC_ERROR, which says how PoDL blocks are made, when the block to be generated would be one. */
void EnsureNotPodl(const CBlock& block);

/** Reject reason of a block or header; one of PoDL's is followed by what it means and what to use instead. */
std::string PodlRejectReason(const BlockValidationState& state);

// The methods, by file.

RPCMethod getpodlinfo();         // podl_info.cpp
RPCMethod getpodlschedule();     // podl_round.cpp
RPCMethod listpodlcommitments(); // podl_round.cpp
RPCMethod listpodlcandidates();  // podl_round.cpp
RPCMethod submitpodlentry();      // podl_submit.cpp
RPCMethod choosepodlentry();      // podl_submit.cpp
RPCMethod submitpodlcommitment(); // podl_submit.cpp
RPCMethod submitpodlreveal();     // podl_submit.cpp
RPCMethod submitpodldata();       // podl_data.cpp
RPCMethod getpodldata();          // podl_data.cpp
RPCMethod submitpodlverdict();    // podl_report.cpp
RPCMethod submitpodlaudit();      // podl_report.cpp
RPCMethod getpodlaudit();         // podl_report.cpp

#endif // BITCOIN_RPC_PODL_H
