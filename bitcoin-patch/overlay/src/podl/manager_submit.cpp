// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/manager.h>

#include <podl/chain_link.h>
#include <podl/state.h>
#include <util/time.h>

#include <utility>

/** What users and peers hand in. */
namespace podl {

Submission Manager::SubmitEntry(std::span<const unsigned char> bytes, uint256* id)
{
    const auto entry{ParseEntry(bytes)};
    if (!entry) return Refusal(entry.error());
    if (id) *id = entry->id;
    const auto result{SubmitParsed(*entry)};
    if (result.status == SubmitStatus::ACCEPTED) RetryOrphans();
    return result;
}

std::optional<int> Manager::PrevHeight(const Entry& entry) const
{
    const auto* release{entry.AsRelease()};
    if (!release || int64_t{release->height} != m_options.podl_height) return std::nullopt;
    const auto chain{GetChain()};
    return chain ? chain->HeightOf(release->prev_block) : std::nullopt;
}

Submission Manager::SubmitParsed(const Entry& entry)
{
    const auto prev_height{PrevHeight(entry)};
    Events events;
    const auto result{WITH_LOCK(m_mutex, return m_state->AddEntry(entry, GetTime(), prev_height, events))};
    Notify(events);
    return result;
}

Submission Manager::ChooseEntry(const uint256& id)
{
    const auto other{WITH_LOCK(m_mutex, return m_state->Contested())};
    const auto prev_height{other ? PrevHeight(*other) : std::nullopt};
    Events events;
    const auto result{WITH_LOCK(m_mutex, return m_state->Choose(id, GetTime(), prev_height, events))};
    Notify(events);
    Wake(); // what was held may connect now, and other blocks have to go
    return result;
}

void Manager::RetryOrphans()
{
    bool accepted{true};
    while (accepted) {
        accepted = false;
        for (const auto& entry : WITH_LOCK(m_mutex, return m_state->TakeOrphans())) {
            if (SubmitParsed(entry).status == SubmitStatus::ACCEPTED) accepted = true;
        }
    }
}

Submission Manager::SubmitCommitment(std::span<const unsigned char> bytes, uint256* hash)
{
    const auto header{ParseCommitment(bytes)};
    if (!header) return Refusal(header.error());
    if (hash) *hash = header->GetHash();
    const auto first_tip{FirstTip()};
    const auto chain{GetChain()};
    const auto parent{chain ? chain->Parent(*header) : std::nullopt};
    Events events;
    const auto result{WITH_LOCK(m_mutex, return m_state->AddCommitment(*header, Bytes(bytes.begin(), bytes.end()), GetTime(), first_tip, parent, events))};
    Notify(events);
    return result;
}

Submission Manager::SubmitReveal(std::span<const unsigned char> bytes, uint256* hash)
{
    auto reveal{ParseReveal(bytes)};
    if (!reveal) return Refusal(reveal.error());
    if (hash) *hash = reveal->BlockHash();
    Events events;
    const auto result{WITH_LOCK(m_mutex, return m_state->AddReveal(std::move(*reveal), GetTime(), events))};
    Notify(events);
    return result;
}

Submission Manager::SubmitVerdict(const VerdictKey& key, const Verdict& verdict)
{
    NoteSidecar();
    if (SourceOf(verdict) == VerdictSource::INTERNAL) {
        return Refusal({FailureClass::DATA, "podl-verdict-range", strprintf("%s is the name of the node's own evaluator", INTERNAL_EVALUATOR)});
    }
    return SubmitOwnVerdict(key, verdict);
}

Submission Manager::SubmitOwnVerdict(const VerdictKey& key, const Verdict& verdict)
{
    Events events;
    const auto result{WITH_LOCK(m_mutex, return m_state->AddVerdict(key, verdict, GetTime(), events))};
    Notify(events);
    return result;
}

Submission Manager::SubmitAudit(const uint256& block, const Audit& audit)
{
    LOCK(m_mutex);
    return m_state->AddAudit(block, audit);
}

} // namespace podl
