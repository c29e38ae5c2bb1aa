// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/final_check.h>

#include <pubkey.h>
#include <tinyformat.h>

#include <algorithm>
#include <string>
#include <utility>

namespace podl {
namespace {

util::Unexpected<Reject> Bad(const char* reason, std::string detail)
{
    return Refuse(FailureClass::DATA, reason, std::move(detail));
}

/** Values of the opening that this round fixes. */
Result<void> CheckOpening(const Round& round, const Opening& opening)
{
    if (auto nulls{CheckOpeningNulls(opening)}; !nulls) return nulls;
    if (opening.chain_id != round.chain_id) return Bad("podl-opening-chain", "another chain");
    if (opening.task_id != round.task.id) return Bad("podl-opening-task", "not the task in force");
    if (opening.height != round.height) return Bad("podl-opening-height", strprintf("height %u instead of %u", opening.height, round.height));
    if (opening.release_id != round.opening_release_id) return Bad("podl-opening-release", "not the first release one height below");
    return {};
}

/** The recipe, and what opening and recipe say of each other. */
Result<void> CheckTraining(const Round& round, const Opening& opening, const Recipe& recipe)
{
    if (recipe.GetHash() != opening.recipe_hash) return Bad("podl-recipe-hash", "the recipe is not the committed one");
    if (auto bounds{CheckRecipe(recipe, round.task)}; !bounds) return bounds;
    const uint32_t n_params{round.task.programs[recipe.architecture].n_params};
    if (opening.n_params != n_params) return Bad("podl-model-params", strprintf("%u parameters instead of %u", opening.n_params, n_params));
    if (opening.n_checkpoints != recipe.epochs + 1) return Bad("podl-ckpt-count", strprintf("%u checkpoints for %u epochs", opening.n_checkpoints, recipe.epochs));
    return {};
}

Result<void> CheckModels(const ModelHistory& models, const Opening& opening, const Recipe& recipe)
{
    if (!models.IsParent(recipe.parent, opening.task_id, recipe.architecture)) {
        return Bad("podl-recipe-parent", "no earlier model of this task with this architecture");
    }
    for (const uint256& root : {opening.weights_root, opening.model_root}) {
        if (models.IsUsed(root)) return Bad("podl-model-duplicate", "an earlier final has this model");
    }
    return {};
}

Result<void> CheckClaim(const Round& round, const Disclosure& disclosure, const SignedClaim& claim)
{
    if (claim.claim > round.release.n) return Bad("podl-claim-range", strprintf("claim %u of %u samples", claim.claim, round.release.n));
    const uint256 message{RevealMessage(round.chain_id, round.release_id, disclosure.header.GetHash(), claim.claim)};
    if (!XOnlyPubKey{disclosure.opening.reveal_key}.VerifySchnorr(message, claim.signature)) {
        return Bad("podl-reveal-sig", "the claim is not signed by the reveal key");
    }
    return {};
}

Result<void> CheckSkipped(const Final& final, const Release& release, uint32_t winner)
{
    int64_t last{-1};
    for (const Skipped& skipped : final.skipped) {
        const bool listed{skipped.list_index < release.list.size() && skipped.list_index != winner};
        const bool known{skipped.reason >= 1 && skipped.reason <= 3};
        if (skipped.list_index <= last || !listed || !known) {
            return Bad("podl-final-skipped", strprintf("list index %u, reason %u", skipped.list_index, skipped.reason));
        }
        last = skipped.list_index;
    }
    return {};
}

Result<void> CheckFinalRules(const Round& round, const ModelHistory& models, const Final& final)
{
    if (!final.disclosure.header.IsPodl()) return Bad("podl-commit-version", "the header's version is no PoDL version");
    if (auto listed{CheckListed(round, final.disclosure.header)}; !listed) return listed;
    if (auto disclosed{CheckDisclosure(round, models, final.disclosure, final.claim)}; !disclosed) return disclosed;
    if (auto skipped{CheckSkipped(final, round.release, *round.Position(final.BlockHash()))}; !skipped) return skipped;
    if (round.task.task.require_replay && !final.replayed) return Bad("podl-final-replay", "the task requires a replay");
    return {};
}

} // namespace

std::optional<uint32_t> Round::Position(const uint256& block_hash) const
{
    const auto at{std::ranges::find(release.list, block_hash)};
    if (at == release.list.end()) return std::nullopt;
    return at - release.list.begin();
}

void ModelHistory::Add(const Opening& opening, uint8_t architecture)
{
    m_used.insert(opening.weights_root);
    m_used.insert(opening.model_root);
    m_models.emplace(opening.model_root, std::make_pair(opening.task_id, architecture));
}

void ModelHistory::Remove(const Opening& opening)
{
    m_used.erase(opening.weights_root);
    m_used.erase(opening.model_root);
    m_models.erase(opening.model_root);
}

bool ModelHistory::IsParent(const uint256& parent, const uint256& task_id, uint8_t architecture) const
{
    if (parent.IsNull()) return true;
    const auto model{m_models.find(parent)};
    return model != m_models.end() && model->second == std::make_pair(task_id, architecture);
}

Result<void> CheckListed(const Round& round, const CBlockHeader& header)
{
    const auto later{[](const char* reason, std::string detail) { return Refuse(FailureClass::LATER, reason, std::move(detail)); }};
    if (!round.Position(header.GetHash())) return later("podl-not-committed", "the release does not list this header");
    if (header.hashPrevBlock != round.release.prev_block) return later("podl-commit-prev", "the header does not build on the release's block");
    if (header.nTime > round.release_time) return later("podl-commit-time", "the header is dated behind the release");
    return {};
}

Result<void> CheckDisclosure(const Round& round, const ModelHistory& models, const Disclosure& disclosure, const SignedClaim& claim)
{
    const auto& [header, opening, recipe, payout]{disclosure};
    if (opening.GetHash() != header.hashModel) return Bad("podl-hashmodel", "the opening is not the committed one");
    if (auto values{CheckOpening(round, opening)}; !values) return values;
    if (auto training{CheckTraining(round, opening, recipe)}; !training) return training;
    if (disclosure.PayoutHash() != opening.payout_hash) return Bad("podl-payout", "the payout script is not the committed one");
    if (auto roots{CheckModels(models, opening, recipe)}; !roots) return roots;
    return CheckClaim(round, disclosure, claim);
}

Result<void> CheckFinal(const Round& round, const ModelHistory& models, const Final& final)
{
    const auto rules{CheckFinalRules(round, models, final)};
    if (rules) return {};
    return Refuse(FailureClass::EVIDENCE, "podl-final-invalid", rules.error().reason);
}

} // namespace podl
