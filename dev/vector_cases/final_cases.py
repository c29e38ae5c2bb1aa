"""Finals and reveals of schedule.json: every detail of `podl-final-invalid`, and what reveals meet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from dev.vector_cases.fixture import MINER, RECIPE, Json, key, named
from dev.vector_cases.scenario import FIRST_HEIGHT, Scenario, sealed_task
from podl_tools.constants import ZERO_HASH
from podl_tools.entry import Skipped
from podl_tools.recipe import Recipe, recipe_hash
from podl_tools.reveal import Reveal
from podl_tools.schedule import earliest_final

if TYPE_CHECKING:
    from collections.abc import Callable

    from podl_tools.disclosure import Disclosure
    from podl_tools.entry import Entry

# Name of the case, broken rule, and what the miner does differently before committing.
_COMMITTED: Final[tuple[tuple[str, str, Json], ...]] = (
    ("version 4", "podl-commit-version", {"header": {"version": 4}}),
    ("another previous block", "podl-commit-prev", {"header": {"prev_block": named("another block 100")}}),
    ("dated behind the release", "podl-commit-time", {"header": {"time": 0xFFFF_FFFF}}),
    ("null weights root", "podl-hashmodel-null", {"opening": {"weights_root": ZERO_HASH}}),
    ("null model root", "podl-hashmodel-null", {"opening": {"model_root": ZERO_HASH}}),
    ("null checkpoints root", "podl-hashmodel-null", {"opening": {"checkpoints_root": ZERO_HASH}}),
    ("another chain", "podl-opening-chain", {"opening": {"chain_id": named("chain")}}),
    ("another task", "podl-opening-task", {"opening": {"task_id": named("task")}}),
    ("another height", "podl-opening-height", {"opening": {"height": FIRST_HEIGHT + 1}}),
    ("another release", "podl-opening-release", {"opening": {"release_id": named("release")}}),
    (
        "too many epochs",
        "podl-recipe-bounds",
        {"recipe": replace(RECIPE, epochs=11), "opening": {"n_checkpoints": 12}},
    ),
    ("no such architecture", "podl-recipe-bounds", {"recipe": replace(RECIPE, architecture=3)}),
    ("parameters of another program", "podl-model-params", {"recipe": replace(RECIPE, architecture=1)}),
    ("one checkpoint short", "podl-ckpt-count", {"opening": {"n_checkpoints": RECIPE.epochs}}),
    ("unknown parent", "podl-recipe-parent", {"recipe": replace(RECIPE, parent=named("parent"))}),
)


def _finals() -> Scenario:
    play = Scenario("finals")
    play.start()
    good = play.disclosure("good")
    broken = [(case, rule, play.disclosure(case, **made)) for case, rule, made in _COMMITTED]
    unlisted = play.disclosure("unlisted")
    play.refuse("podl-release-grammar", "release of the next height", _next_height_release(play, good))
    play.refuse("podl-entry-grammar", "final before its release", _early_final(play, good))
    play.release([good, *(row for _, _, row in broken), play.disclosure("last in the list")])
    time = earliest_final(play.round)
    body = play.final_body(good, 50)
    play.refuse(
        "podl-entry-grammar", "another height", play.entry(replace(body, height=FIRST_HEIGHT + 1), time)
    )
    play.refuse("podl-entry-grammar", "another attempt", play.entry(replace(body, attempt=1), time))
    play.refuse("podl-final-time", "one second early", play.entry(body, time - 1))

    def invalid(case: str, detail: str, **changes: Any) -> None:
        entry = play.entry(replace(body, **changes), time)
        play.refuse("podl-final-invalid", case, entry, detail=detail)

    invalid("not listed", "podl-not-committed", disclosure=unlisted)
    for case, rule, disclosure in broken:
        signature = play.reveal(disclosure, 50).signature
        invalid(case, rule, disclosure=disclosure, reveal_signature=signature)
    for case, rule, disclosure in _altered(good):
        invalid(case, rule, disclosure=disclosure)
    _claims(play, good, invalid)
    last = len(broken) + 1
    for case, rows in (
        ("skips itself", [(0, 1)]),
        ("skips past the list", [(last + 1, 1)]),
        ("skips the same twice", [(2, 1), (2, 1)]),
        ("skips in falling order", [(3, 1), (2, 1)]),
        ("reason 0", [(2, 0)]),
        ("reason 4", [(2, 4)]),
    ):
        invalid(case, "podl-final-skipped", skipped=tuple(Skipped(*row) for row in rows))
    invalid("not replayed", "podl-final-replay", replayed=False)
    skipped = (Skipped(1, 1), Skipped(2, 2), Skipped(last, 3))
    play.accept("good, three passed over", play.entry(replace(body, skipped=skipped), time))
    return play


def _next_height_release(play: Scenario, good: Disclosure) -> Entry:
    body = replace(play.release_body([good]), height=FIRST_HEIGHT + 1)
    return play.entry(body, play.schedule.entries[-1].time + 100)


def _early_final(play: Scenario, good: Disclosure) -> Entry:
    """Return a final of a round that only another log has."""
    other = Scenario("another log")
    other.start()
    other.release([good])
    body = other.final_body(good, 50)
    return play.entry(body, earliest_final(other.round))


def _altered(good: Disclosure) -> list[tuple[str, str, Disclosure]]:
    """Return what was committed to, with one thing altered afterwards."""
    recipe = Recipe.parse(good.recipe)
    padded = good.recipe[:-1] + b"\x01"
    return [
        ("another salt", "podl-hashmodel", replace(good, opening=replace(good.opening, salt=named("salt")))),
        ("another recipe", "podl-recipe-hash", replace(good, recipe=replace(recipe, trial=1).serialize())),
        ("a recipe that is none", "podl-recipe-hash", replace(good, recipe=padded)),
        ("another payout script", "podl-payout", replace(good, payout=b"\x51")),
    ]


def _claims(play: Scenario, good: Disclosure, invalid: Callable[..., None]) -> None:
    n = play.round.release.body.n
    for case, rule, claim, signer in (
        ("claim above the samples", "podl-claim-range", n + 1, MINER),
        ("claim signed by a thief", "podl-reveal-sig", 50, key("thief")),
    ):
        invalid(case, rule, claim=claim, reveal_signature=play.reveal(good, claim, signer).signature)
    invalid("another claim than signed", "podl-reveal-sig", claim=51)
    invalid("no signature", "podl-reveal-sig", reveal_signature=bytes(64))


def _padded_recipe() -> Scenario:
    """Commit to a recipe with padding as it is: only its bounds are wrong."""
    play = Scenario("recipe that was committed with padding")
    play.start()
    padded = RECIPE.serialize()[:-1] + b"\x01"
    made = replace(play.disclosure("padded", opening={"recipe_hash": recipe_hash(padded)}), recipe=padded)
    play.release([made])
    entry = play.entry(play.final_body(made, 50), earliest_final(play.round))
    play.refuse("podl-final-invalid", "padding", entry, detail="podl-recipe-bounds")
    return play


def _no_replay_required() -> Scenario:
    play = Scenario("a task that needs no replay")
    play.sealed = replace(play.sealed, task=replace(play.sealed.task, require_replay=0))
    play.start()
    disclosure = play.disclosure("not replayed")
    play.release([disclosure])
    body = replace(play.final_body(disclosure, 0), replayed=False)
    play.accept("claim 0, not replayed", play.entry(body, earliest_final(play.round)))
    following = play.disclosure("all right")
    play.release([following])
    play.final(following, play.round.release.body.n, "claim of every sample")
    return play


def _history() -> Scenario:
    """Show what earlier finals allow and forbid."""
    play = Scenario("parents and duplicates")
    play.start()
    first = play.play_round("grandparent").opening
    play.play_round("between")
    other_program: Json = {
        "recipe": Recipe(architecture=1, b=4, epochs=5, k=5, parent=first.model_root),
        "opening": {"n_params": play.sealed.task.loaded_programs[1].n_params},
    }
    duplicates = [
        ("the same weights", {"weights_root": first.weights_root}),
        ("the same model", {"model_root": first.model_root}),
        ("weights root that was a model root", {"weights_root": first.model_root}),
        ("model root that was a weights root", {"model_root": first.weights_root}),
    ]
    parents: list[tuple[str, Json]] = [
        ("weights root as parent", {"recipe": replace(RECIPE, parent=first.weights_root)}),
        ("parent of another architecture", other_program),
    ]
    made = [
        (case, "podl-model-duplicate", play.disclosure(case, opening=change)) for case, change in duplicates
    ]
    made += [(case, "podl-recipe-parent", play.disclosure(case, **change)) for case, change in parents]
    child = play.disclosure("child", recipe=replace(RECIPE, parent=first.model_root))
    play.release([child, *(row for _, _, row in made)])
    for case, rule, disclosure in made:
        entry = play.entry(play.final_body(disclosure, 50), earliest_final(play.round))
        play.refuse("podl-final-invalid", case, entry, detail=rule)
    play.final(child, case="a model two heights below as parent")
    return play


def _parent_of_another_task() -> Scenario:
    play = Scenario("parent of another task")
    play.start()
    parent = play.play_round("parent").opening.model_root
    second = sealed_task("second", FIRST_HEIGHT + 2)
    play.accept("second task", play.entry(second.task, play.schedule.entries[-1].time))
    play.play_round("between")
    play.sealed = second
    made = play.disclosure("child", recipe=replace(RECIPE, parent=parent))
    play.release([made])
    entry = play.entry(play.final_body(made, 50), earliest_final(play.round))
    play.refuse("podl-final-invalid", "model of the first task", entry, detail="podl-recipe-parent")
    return play


def _reveals() -> Scenario:
    play = Scenario("reveals")
    play.start()
    good = play.disclosure("good")
    broken = [(case, rule, play.disclosure(case, **made)) for case, rule, made in _COMMITTED]
    stampless = _without_stamp(play)
    early = Reveal.sign(MINER, good, named("release"), 50)
    play.offer_reveal("podl-reveal-release", "for an unknown release", early)
    ordinary = Reveal.sign(MINER, broken[0][2], named("release"), 50)
    play.offer_reveal("podl-commit-version", "version 4, for an unknown release", ordinary)
    task = Reveal.sign(MINER, good, play.schedule.chain_id, 50)
    play.offer_reveal("podl-reveal-release", "for an entry that is no release", task)
    play.release([good, stampless, *(row for _, _, row in broken)])
    play.offer_reveal("", "good", play.reveal(good, 50))
    play.offer_reveal("", "another claim of the same header", play.reveal(good, 0))
    play.offer_reveal("", "claim of every sample", play.reveal(good, play.round.release.body.n))
    play.offer_reveal("podl-not-committed", "not listed", play.reveal(play.disclosure("unlisted"), 50))
    play.offer_reveal("podl-commit-stamp", "listed without its stamp", play.reveal(stampless, 50))
    for case, rule, disclosure in broken + _altered(good):
        play.offer_reveal(rule, case, play.reveal(disclosure, 50))
    above = play.reveal(good, play.round.release.body.n + 1)
    play.offer_reveal("podl-claim-range", "claim above the samples", above)
    play.offer_reveal("podl-reveal-sig", "signed by a thief", play.reveal(good, 50, key("thief")))
    play.offer_reveal(
        "podl-reveal-sig", "another claim than signed", replace(play.reveal(good, 50), claim=51)
    )
    late = play.reveal(good, 49)
    play.final(good)
    play.offer_reveal("podl-late-reveal", "behind the final", late)
    return play


def _without_stamp(play: Scenario) -> Disclosure:
    made = play.disclosure("no stamp")
    stamp_bits = play.sealed.task.stamp_bits
    headers = (replace(made.header, nonce=nonce) for nonce in range(1000))
    return replace(made, header=next(header for header in headers if not header.meets_stamp(stamp_bits)))


PLAYS: Final = (_finals, _padded_recipe, _no_replay_required, _history, _parent_of_another_task, _reveals)
