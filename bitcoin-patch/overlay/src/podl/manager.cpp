// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/manager.h>

#include <chain.h>
#include <podl/chain_link.h>
#include <podl/core_chain.h>
#include <podl/evaluator_thread.h>
#include <podl/params.h>
#include <podl/state.h>
#include <tinyformat.h>
#include <util/check.h>
#include <util/thread.h>
#include <util/time.h>
#include <validation.h>
#include <validationinterface.h>

#include <utility>

/** Life cycle, what validation and peers ask, views. Submissions are in manager_submit.cpp. */
namespace podl {
namespace {

/** Id of the chain that a first task defines, or the problem with it in one line. */
util::Expected<uint256, std::string> ChainIdOf(const ManagerOptions& options)
{
    const auto entry{ParseEntry(options.task)};
    if (!entry) return util::Unexpected{strprintf("-podltask: %s (%s)", entry.error().reason, entry.error().detail)};
    const auto checked{Schedule{}.Check(*entry, static_cast<int64_t>(entry->time), {})};
    if (!checked) return util::Unexpected{strprintf("-podltask: %s (%s)", checked.error().reason, checked.error().detail)};
    const auto first_height{entry->AsTask()->first_height};
    if (int64_t{first_height} != options.podl_height) {
        return util::Unexpected{strprintf("-podltask: the task's first height is %u, -podlheight is %d", first_height, options.podl_height)};
    }
    return entry->id;
}

} // namespace

Manager::Manager(Options options, std::unique_ptr<State> state, const uint256& chain_id)
    : m_options{std::move(options)}, m_state{std::move(state)}, m_chain_id{chain_id},
      m_evaluator{m_options.evaluator == EvaluatorMode::SIDECAR ? nullptr : std::make_unique<EvaluatorThread>(*this, m_options.evaluator, m_options.evaluator_threads)}
{
}

Manager::~Manager() { Stop(); }

util::Expected<std::unique_ptr<Manager>, std::string> Manager::Open(Options options)
{
    const auto chain_id{ChainIdOf(options)};
    if (!chain_id) return util::Unexpected{chain_id.error()};
    if (const auto problem{CheckParams(options.dir, *chain_id, options.podl_height)}) return util::Unexpected{*problem};
    auto state{State::Load(options, GetTime())};
    if (!state) return util::Unexpected{strprintf("%s. A damaged PoDL store is fetched again from peers with -podlresync.", state.error())};
    return std::unique_ptr<Manager>{new Manager{std::move(options), std::move(*state), *chain_id}};
}

std::optional<std::string> Manager::Attach(ChainstateManager& chainman)
{
    const auto is_final{[this](const uint256& hash) { LOCK(m_mutex); return m_state->Log().FinalByHash(hash) != nullptr; }};
    auto chain{std::make_shared<CoreChain>(chainman, [this] { Wake(); }, is_final)};
    if (const auto problem{Connect(chain)}) return problem;
    if (auto* signals{chainman.m_options.signals}) signals->RegisterSharedValidationInterface(chain);
    return std::nullopt;
}

std::optional<std::string> Manager::Attach(std::unique_ptr<ChainLink> chain)
{
    return Connect(std::move(chain));
}

std::optional<std::string> Manager::Connect(std::shared_ptr<ChainLink> chain)
{
    const auto tip{chain->GetTip()};
    LOCK(m_mutex);
    if (const auto problem{m_state->CheckTip(tip ? tip->height : -1, tip && tip->legacy)}) return problem;
    m_chain = std::move(chain);
    return std::nullopt;
}

void Manager::Start()
{
    {
        LOCK(m_mutex);
        if (m_running || m_interrupted) return;
        m_running = true;
        ++m_requested;
        m_worker = std::thread{&util::TraceThread, "podl", [this] { Run(); }};
    }
    if (m_evaluator) m_evaluator->Start();
}

void Manager::Interrupt()
{
    if (m_evaluator) m_evaluator->Interrupt();
    LOCK(m_mutex);
    m_interrupted = true;
    m_wake_cv.notify_all();
    m_idle_cv.notify_all();
}

void Manager::Stop()
{
    Interrupt();
    if (m_evaluator) m_evaluator->Stop();
    if (m_worker.joinable()) m_worker.join();
    // Callbacks that are under way keep the chain alive.
    LOCK(m_mutex);
    m_chain.reset();
}

void Manager::Wake()
{
    LOCK(m_mutex);
    ++m_requested;
    m_wake_cv.notify_all();
}

void Manager::SyncQueue()
{
    WAIT_LOCK(m_mutex, lock);
    const uint64_t wanted{++m_requested};
    m_wake_cv.notify_all();
    m_idle_cv.wait(lock, [&]() EXCLUSIVE_LOCKS_REQUIRED(m_mutex) { return m_completed >= wanted || !m_running || m_interrupted; });
}

void Manager::AddListener(Listener* listener)
{
    LOCK(m_mutex);
    m_listeners.push_back(listener);
}

void Manager::RemoveListener(Listener* listener)
{
    LOCK(m_mutex);
    std::erase(m_listeners, listener);
}

void Manager::Notify(const std::vector<Event>& events)
{
    const auto listeners{WITH_LOCK(m_mutex, return m_listeners)};
    for (const auto& event : events) {
        for (auto* listener : listeners) {
            switch (event.type) {
            case Event::Type::ENTRY: listener->EntryAccepted(event.id); break;
            case Event::Type::COMMITMENT: listener->CommitmentAccepted(event.id); break;
            case Event::Type::REVEAL: listener->RevealAccepted(event.id, event.block); break;
            case Event::Type::CANDIDATE: listener->CandidateChanged(event.id); break;
            case Event::Type::VERDICT: listener->VerdictAccepted(event.verdict); break;
            case Event::Type::OBJECT: listener->ObjectStored(event.kind, event.id); break;
            }
        }
    }
    if (events.empty()) return;
    Wake();
    if (m_evaluator) m_evaluator->Wake();
}

HeaderStatus Manager::CheckHeader(const uint256& hash, const CBlockIndex& prev)
{
    LOCK(m_mutex);
    return m_state->CheckHeader(hash, prev.nHeight + 1);
}

bool Manager::MayConnect(const CBlockIndex& index)
{
    bool news{false};
    const bool connected{index.IsValid(BLOCK_VALID_SCRIPTS)};
    const bool may{WITH_LOCK(m_mutex, return m_state->MayConnect(index.GetBlockHash(), connected, news))};
    if (news) Wake();
    return may;
}

std::shared_ptr<ChainLink> Manager::GetChain() const
{
    LOCK(m_mutex);
    return m_chain;
}

std::optional<uint256> Manager::FirstTip() const
{
    const bool first{WITH_LOCK(m_mutex, return m_state->Log().FinalCount() == 0)};
    const auto chain{GetChain()};
    if (!first || !chain) return std::nullopt;
    const auto tip{chain->GetTip()};
    if (!tip || tip->height != m_options.podl_height - 1) return std::nullopt;
    return tip->hash;
}

uint256 Manager::ChainId() const { return m_chain_id; }
int Manager::PodlHeight() const { return m_options.podl_height; }

std::vector<Want> Manager::Wanted() const
{
    LOCK(m_mutex);
    return m_state->Wanted(GetTime());
}

PeerLimits Manager::Limits() const
{
    LOCK(m_mutex);
    return m_state->Limits();
}

std::optional<uint256> Manager::OpenPrev() const
{
    const auto first_tip{FirstTip()};
    LOCK(m_mutex);
    return m_state->OpenPrev(first_tip);
}

uint256 Manager::LastEntryId() const
{
    LOCK(m_mutex);
    return m_state->Log().LastId();
}

std::optional<size_t> Manager::IndexOf(const uint256& entry_id) const
{
    LOCK(m_mutex);
    return m_state->Log().Find(entry_id);
}

std::vector<Bytes> Manager::EntriesFrom(size_t index, size_t max_bytes) const
{
    LOCK(m_mutex);
    const auto& log{m_state->Log()};
    std::vector<Bytes> entries;
    size_t left{max_bytes};
    for (; index < log.Size(); ++index) {
        const auto& bytes{log.At(index).bytes};
        const size_t cost{bytes.size() + 5}; // a compact size of what fits an entry has at most 5 bytes
        if (cost > left) break;
        left -= cost;
        entries.push_back(bytes);
    }
    return entries;
}

std::optional<Bytes> Manager::GetEntryBytes(const uint256& id) const
{
    LOCK(m_mutex);
    const auto& log{m_state->Log()};
    const auto index{log.Find(id)};
    if (!index) return std::nullopt;
    return log.At(*index).bytes;
}

std::optional<Bytes> Manager::GetCommitmentBytes(const uint256& hash) const
{
    LOCK(m_mutex);
    const auto* commitment{m_state->Pool().Find(hash)};
    if (!commitment) return std::nullopt;
    return commitment->bytes;
}

std::optional<Bytes> Manager::GetRevealBytes(const uint256& reveal_id) const
{
    LOCK(m_mutex);
    const auto* reveal{m_state->Table().FindReveal(reveal_id)};
    if (!reveal) return std::nullopt;
    return reveal->bytes;
}

std::vector<uint256> Manager::CommitmentHashes() const
{
    LOCK(m_mutex);
    std::vector<uint256> hashes;
    for (const auto& commitment : m_state->Pool().All()) hashes.push_back(commitment.hash);
    return hashes;
}

std::vector<uint256> Manager::RevealIds() const
{
    LOCK(m_mutex);
    std::vector<uint256> ids;
    for (const auto& [_, candidate] : m_state->Table().ByPosition()) {
        for (const auto& reveal : candidate.reveals) ids.push_back(reveal.id);
    }
    return ids;
}

InfoView Manager::Info() const
{
    const auto first_tip{FirstTip()};
    LOCK(m_mutex);
    return m_state->Info(first_tip);
}

ScheduleView Manager::Entries(size_t from, size_t count) const
{
    LOCK(m_mutex);
    return m_state->Entries(from, count);
}

CommitmentsView Manager::Commitments() const
{
    const auto first_tip{FirstTip()};
    LOCK(m_mutex);
    return m_state->Commitments(first_tip);
}

std::vector<JobView> Manager::OwnJobs() const
{
    LOCK(m_mutex);
    return m_state->Jobs(VerdictSource::INTERNAL);
}

void Manager::NoteSidecar() { m_sidecar_time = SteadyClock::now(); }

bool Manager::HasSidecar() const
{
    // Without a subtraction from the earliest time, which would overflow.
    return m_sidecar_time.load() > SteadyClock::now() - SIDECAR_ATTACHED;
}

CandidatesView Manager::Candidates() const
{
    LOCK(m_mutex);
    return m_state->CandidatesNow();
}

TemplateView Manager::Template(const uint256& prev_block) const
{
    const auto first_tip{FirstTip()};
    LOCK(m_mutex);
    return m_state->Template(prev_block, first_tip);
}

std::vector<Audit> Manager::Audits(const uint256& block) const
{
    LOCK(m_mutex);
    return m_state->Audits(block).value_or(std::vector<Audit>{});
}

} // namespace podl
