"""
Strict reading and writing of the protocol's fixed little-endian layouts (protocol section 2).

A reader never returns fewer bytes than asked for, and `finish` refuses what is left over. A writer refuses
numbers that do not fit. Both fail with the reject reason of the object they handle, so that no parser ever
leaks another exception.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from podl_tools.constants import HASH_SIZE
from podl_tools.errors import RejectError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Kind", "Layout", "Reader", "Writer", "layout_size"]


class Kind(Enum):
    """How one field of a fixed layout is stored: its width in bytes, and whether it is a number."""

    U8 = (1, True)
    U16 = (2, True)
    U32 = (4, True)
    U64 = (8, True)
    H32 = (HASH_SIZE, False)

    @property
    def size(self) -> int:
        """Width in bytes."""
        return self.value[0]

    @property
    def is_number(self) -> bool:
        """Whether the field is an unsigned integer; else it is raw bytes."""
        return self.value[1]


Layout = tuple[tuple[str, Kind], ...]
_FLAGS: Final = (0, 1)


def layout_size(layout: Layout) -> int:
    """Bytes that the fields of `layout` take together."""
    return sum(kind.size for _, kind in layout)


class Reader:
    """
    Reads one object from the bytes that must hold it exactly.

    Parameters
    ----------
    data
        The object's bytes.
    reason
        Reject reason of every failure.

    """

    def __init__(self, data: bytes, reason: str) -> None:
        self._data = data
        self._reason = reason
        self._offset = 0

    @property
    def left(self) -> int:
        """Bytes that were not read yet."""
        return len(self._data) - self._offset

    def fail(self, message: str) -> RejectError:
        """Error with this reader's reason, for the caller to raise."""
        return RejectError(self._reason, f"{message} (at byte {self._offset})")

    def take(self, size: int) -> bytes:
        """
        Next `size` bytes.

        Raises
        ------
        RejectError
            Fewer bytes are left.

        """
        if size > self.left:
            raise self.fail(f"expected {size} more bytes, {self.left} are left")
        start = self._offset
        self._offset += size
        return self._data[start : self._offset]

    def number(self, kind: Kind) -> int:
        """Next unsigned little-endian integer."""
        return int.from_bytes(self.take(kind.size), "little")

    def flag(self) -> bool:
        """Next byte, which must be 0 or 1."""
        value = self.number(Kind.U8)
        if value not in _FLAGS:
            raise self.fail(f"expected a flag of 0 or 1, received {value}")
        return bool(value)

    def hash(self) -> bytes:
        """Next 32 bytes."""
        return self.take(HASH_SIZE)

    def hashes(self, count: int) -> tuple[bytes, ...]:
        """
        Next `count` hashes.

        Raises
        ------
        RejectError
            Fewer bytes are left; nothing is read then.

        """
        joined = self.take(count * HASH_SIZE)
        return tuple(joined[at : at + HASH_SIZE] for at in range(0, len(joined), HASH_SIZE))

    def fields(self, layout: Layout) -> dict[str, Any]:
        """Read the fields of `layout` in order: name to integer or bytes."""
        return {name: self.number(kind) if kind.is_number else self.take(kind.size) for name, kind in layout}

    def finish(self) -> None:
        """
        Demand that everything was read.

        Raises
        ------
        RejectError
            Bytes are left over.

        """
        if self.left:
            raise self.fail(f"{self.left} bytes too many")


class Writer:
    """
    Builds the bytes of one object.

    Parameters
    ----------
    reason
        Reject reason of every failure.

    """

    def __init__(self, reason: str) -> None:
        self._reason = reason
        self._parts: list[bytes] = []

    def number(self, kind: Kind, value: int) -> None:
        """
        Append an unsigned little-endian integer.

        Raises
        ------
        RejectError
            The value does not fit.

        """
        if not 0 <= value < 1 << 8 * kind.size:
            raise RejectError(self._reason, f"{value} does not fit {kind.name.lower()}")
        self._parts.append(value.to_bytes(kind.size, "little"))

    def raw(self, data: bytes, size: int | None = None) -> None:
        """
        Append bytes, of exactly `size` bytes when it is given.

        Raises
        ------
        RejectError
            The length differs.

        """
        if size is not None and len(data) != size:
            raise RejectError(self._reason, f"expected {size} bytes, received {len(data)}")
        self._parts.append(data)

    def hashes(self, values: Sequence[bytes]) -> None:
        """Append 32-byte hashes."""
        for value in values:
            self.raw(value, HASH_SIZE)

    def fields(self, layout: Layout, source: object) -> None:
        """Append the attributes of `source` that `layout` names, in order."""
        for name, kind in layout:
            value = getattr(source, name)
            if kind.is_number:
                self.number(kind, value)
            else:
                self.raw(value, kind.size)

    def bytes(self) -> bytes:
        """Everything appended so far."""
        return b"".join(self._parts)
