"""Accepted entries and what they say: no rules here, only look-ups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from podl_tools.constants import ZERO_HASH
from podl_tools.entry import Body, Entry, FinalBody, ReleaseBody, ShardsBody
from podl_tools.recipe import Recipe
from podl_tools.task import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BlockHeight", "Placed", "ScheduleLog", "ShardList"]

# Height of a block that the receiver knows, by its hash; None when it knows no such block.
BlockHeight = Callable[[bytes], int | None]

BodyT = TypeVar("BodyT", bound=Body)


@dataclass(frozen=True)
class Placed(Generic[BodyT]):
    """An accepted entry with its typed body and its index in the log."""

    index: int
    entry: Entry
    body: BodyT

    @property
    def id(self) -> bytes:
        """Id of the entry."""
        return self.entry.id

    @property
    def time(self) -> int:
        """Time of the entry in seconds."""
        return self.entry.time


@dataclass
class ShardList:
    """
    Sealed shards that the releases of a task open.

    Parameters
    ----------
    root, count
        As the task, or its latest shards entry, says.
    used
        Shards opened so far: index of the next one.

    """

    root: bytes
    count: int
    used: int = 0


class ScheduleLog:
    """
    The log of one chain in memory.

    Heights are block heights. A log starts empty; its first entry is a task. A void final stays among the
    entries and counts for nothing: no query about heights, finals or models knows it.
    """

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._index: dict[bytes, int] = {}
        self._tasks: list[Placed[Task]] = []
        self._releases: dict[int, list[Placed[ReleaseBody]]] = {}
        self._shards: list[ShardList] = []
        self._test_roots: set[bytes] = set()
        self._void: Placed[FinalBody] | None = None
        self._finals: dict[int, Placed[FinalBody]] = {}
        self._final_heights: dict[bytes, int] = {}

    def append(self, entry: Entry) -> None:
        """
        Take an entry that the rules allow here; they are not applied again.

        A release that withdraws the final before it makes that final void.
        """
        if self._void is None and self.withdraws(entry) is not None:
            self.void_last()
        index = len(self._entries)
        self._entries.append(entry)
        self._index[entry.id] = index
        match entry.body:
            case Task() as task:
                self._tasks.append(Placed(index, entry, task))
                self._shards.append(ShardList(task.shard_list_root, task.n_shards))
            case ReleaseBody() as release:
                self._void = None
                self.shard_list(release.height).used += 1
                self._releases.setdefault(release.height, []).append(Placed(index, entry, release))
                self._test_roots.add(release.test_root)
            case FinalBody() as final:
                self._finals[final.height] = Placed(index, entry, final)
                self._final_heights[final.disclosure.header.hash] = final.height
            case ShardsBody() as shards:
                at = self._task_index(self.next_height)
                self._shards[at] = ShardList(shards.shard_list_root, shards.n_shards)

    def void_last(self) -> None:
        """
        Note that the last final is proven void: it counts for nothing, and its height waits for an attempt.

        There is a final that counts, with nothing but shards behind it.
        """
        _, self._void = self._finals.popitem()
        del self._final_heights[self._void.body.disclosure.header.hash]

    @property
    def void_final(self) -> Placed[FinalBody] | None:
        """The void final in which the open height's latest attempt has ended; None when it has not."""
        return self._void

    def final_before(self, entry: Entry) -> Placed[FinalBody] | None:
        """Return the final, void or not, that an entry follows with nothing but shards between."""
        index = self.find(entry.prev)
        while index is not None and isinstance(self._entries[index].body, ShardsBody):
            index = self.find(self._entries[index].prev)
        body = None if index is None else self._entries[index].body
        if index is None or not isinstance(body, FinalBody):
            return None
        return Placed(index, self._entries[index], body)

    def withdraws(self, entry: Entry) -> Placed[FinalBody] | None:
        """Return the final that a release puts aside: the next attempt at its height right behind it."""
        release, before = entry.body, self.final_before(entry)
        if before is None or not isinstance(release, ReleaseBody):
            return None
        is_next = (release.height, release.attempt) == (before.body.height, before.body.attempt + 1)
        return before if is_next else None

    def counts(self, final: Placed[FinalBody]) -> bool:
        """Whether a final is not void, as far as is known."""
        held = self._finals.get(final.body.height)
        return held is not None and held.index == final.index

    def is_idle(self, entry: Entry) -> bool:
        """Whether an entry stands behind a void final without being its next attempt: it is no evidence."""
        before = self.final_before(entry)
        if before is None or self.counts(before) or isinstance(entry.body, ShardsBody):
            return False
        return self.withdraws(entry) is None

    @property
    def entries(self) -> Sequence[Entry]:
        """All accepted entries in order."""
        return self._entries

    def find(self, entry_id: bytes) -> int | None:
        """Index of the entry with this id, None when it was not accepted."""
        return self._index.get(entry_id)

    @property
    def last_id(self) -> bytes:
        """Id of the last entry; 32 zero bytes when empty."""
        return self._entries[-1].id if self._entries else ZERO_HASH

    @property
    def chain_id(self) -> bytes:
        """Id of the first entry; 32 zero bytes when empty."""
        return self._entries[0].id if self._entries else ZERO_HASH

    @property
    def tasks(self) -> Sequence[Placed[Task]]:
        """Task entries in order; the first one is the chain's."""
        return self._tasks

    @property
    def first_height(self) -> int:
        """First height of the first task; 0 when empty."""
        return self._tasks[0].body.first_height if self._tasks else 0

    @property
    def next_height(self) -> int:
        """Lowest height without a final; 0 when empty."""
        return self.first_height + len(self._finals)

    @property
    def is_revealing(self) -> bool:
        """Whether the lowest height without a final has a release (Phase 2)."""
        return self.next_height in self._releases and self._void is None

    def task_for(self, height: int) -> Placed[Task]:
        """
        Task in force at `height`.

        Raises
        ------
        LookupError
            The height is below the first one, or the log is empty.

        """
        return self._tasks[self._task_index(height)]

    def _task_index(self, height: int) -> int:
        count = sum(task.body.first_height <= height for task in self._tasks)
        if not count:
            raise LookupError(f"no task is in force at height {height}")
        return count - 1

    def shard_list(self, height: int) -> ShardList:
        """Return the shards from which the releases of `height` are opened; raises as `task_for` does."""
        return self._shards[self._task_index(height)]

    def releases_for(self, height: int) -> Sequence[Placed[ReleaseBody]]:
        """Releases of `height` by attempt."""
        return self._releases.get(height, [])

    def listed_for(self, height: int) -> set[bytes]:
        """Block hashes that any attempt at `height` lists."""
        return {name for release in self.releases_for(height) for name in release.body.listed}

    def latest_release(self, height: int) -> Placed[ReleaseBody] | None:
        """Release of the latest attempt at `height`."""
        releases = self._releases.get(height)
        return releases[-1] if releases else None

    def final_for(self, height: int) -> Placed[FinalBody] | None:
        """Return the final of `height`."""
        return self._finals.get(height)

    def final_by_hash(self, block_hash: bytes) -> Placed[FinalBody] | None:
        """Return the final that names the block with this hash."""
        height = self._final_heights.get(block_hash)
        return None if height is None else self._finals[height]

    @property
    def finals(self) -> Sequence[Placed[FinalBody]]:
        """Finals in order of height."""
        return list(self._finals.values())

    def finals_behind(self, index: int) -> int:
        """Count the finals accepted after the entry at `index`."""
        return sum(final.index > index for final in self._finals.values())

    def opening_release_id(self, height: int) -> bytes | None:
        """Id that openings of `height` name: of release(height - 1, 0); the chain id at the first height."""
        if self._entries and height == self.first_height:
            return self.chain_id
        below = self._releases.get(height - 1)
        return below[0].id if below else None

    def commit_prev(self, height: int) -> bytes | None:
        """Block that commitments of `height` build on; None at the first height or while unknown."""
        below = self._finals.get(height - 1)
        return None if below is None else below.body.disclosure.header.hash

    def has_opened(self, test_root: bytes) -> bool:
        """Whether an accepted release opened the shard with this root."""
        return test_root in self._test_roots

    def uses_root(self, root: bytes) -> bool:
        """Whether an accepted final has this weights or model root."""
        return any(
            root in (final.body.disclosure.opening.weights_root, final.body.disclosure.opening.model_root)
            for final in self._finals.values()
        )

    def is_parent(self, parent: bytes, task_id: bytes, architecture: int) -> bool:
        """Whether `parent` is the model of an accepted final of this task with the same architecture."""
        for final in self._finals.values():
            disclosure = final.body.disclosure
            if disclosure.opening.model_root == parent:
                same_task = disclosure.opening.task_id == task_id
                return same_task and Recipe.parse(disclosure.recipe).architecture == architecture
        return False
