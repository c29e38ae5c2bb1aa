// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_CANDIDATES_H
#define BITCOIN_PODL_CANDIDATES_H

#include <podl/disclosure.h>
#include <podl/reveal.h>
#include <podl/views.h>
#include <podl/winner.h>
#include <uint256.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace podl {

enum class CandidateState : uint8_t {
    WAITING_BODY,
    WAITING_WEIGHTS,
    WAITING_SHARD,
    WAITING_VERDICT,
    NOT_NEEDED,  //!< by the stop rule: all its claims are lower than the best verified count
    VALID,       //!< a signed claim equals the measured count
    FALSE_CLAIM, //!< none does
    INVALID,     //!< body or weights are proven bad
};

/** As listpodlcandidates shows it. */
std::string StateName(CandidateState state);

/** What a node knows of a candidate besides its reveals. */
struct CandidateFacts {
    std::string fault{}; //!< reason it is proven bad, or empty
    bool body{false};
    bool weights{false};
    bool model{false};
    std::optional<Measured> measured{};

    friend bool operator==(const CandidateFacts&, const CandidateFacts&) = default;
};

struct Candidate {
    uint256 hash{};
    uint32_t position{0};    //!< in the release's list
    Disclosure disclosure{}; //!< the same in all its reveals, as the block hash commits to it
    std::vector<Reveal> reveals{}; //!< one per kept claim, highest first
    uint32_t taken{0};       //!< claims taken in this attempt, those that made room included
    CandidateFacts facts{};
    CandidateState state{CandidateState::WAITING_BODY};
};

/** The revealed headers of the open round, and what is known of them. Not thread-safe. */
class CandidateTable
{
public:
    enum class Added {
        KEPT,
        DUPLICATE,
        LOWER, //!< two higher claims are held
        SPENT, //!< the header has made MAX_TAKEN claims: rising claims must not be a flood
    };
    //! Claims taken of one header per attempt.
    static constexpr uint32_t MAX_TAKEN{8};

    /** Start anew for the claims of a release; null closes the round. */
    void Open(const uint256& release_id);
    /** Null when no round is open. */
    const uint256& ReleaseId() const { return m_release_id; }

    /** What Add() will say to a claim. */
    Added Outlook(uint32_t position, uint32_t claim) const;
    /**
     * Take a reveal that Schedule::CheckReveal has approved.
     *
     * @param[out] dropped  id of the reveal whose lower claim made room
     */
    Added Add(Reveal reveal, uint32_t position, std::optional<uint256>& dropped);

    /** Bring facts and states up to date. @returns the candidates with a change, by position */
    std::vector<uint256> Judge(const std::function<CandidateFacts(const Candidate&)>& facts, bool shard);

    size_t Size() const { return m_candidates.size(); }
    const std::map<uint32_t, Candidate>& ByPosition() const { return m_candidates; }
    const Candidate* Find(const uint256& hash) const;
    const Reveal* FindReveal(const uint256& reveal_id) const;
    /** Candidates that still have to be evaluated, in the order in which they should be. */
    std::vector<const Candidate*> Order() const;
    /** Verified candidates, best first. */
    std::vector<const Candidate*> Ranking() const;
    /** Candidates that the stop rule spares, highest claim first: the requester needs them when a better one does not replay. */
    std::vector<const Candidate*> Spare() const;

private:
    uint256 m_release_id{};
    std::map<uint32_t, Candidate> m_candidates; //!< by position

    std::vector<const Candidate*> Sound() const;
};

} // namespace podl

#endif // BITCOIN_PODL_CANDIDATES_H
