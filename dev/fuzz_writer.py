"""Inputs as libFuzzer's FuzzedDataProvider reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Input:
    """One input, written in the order in which a target reads it."""

    def __init__(self) -> None:
        self._front = b""
        self._back = b""

    def front(self, data: bytes) -> Input:
        """Add what ConsumeBytes() takes."""
        self._front += data
        return self

    def text(self, data: bytes) -> Input:
        """Add what ConsumeRandomLengthString() takes: backslashes doubled, one more and a byte as the end."""
        return self.front(data.replace(b"\\", b"\\\\") + b"\\.")

    def number(self, value: int, low: int, high: int) -> Input:
        """Add what ConsumeIntegralInRange(low, high) takes: as many bytes as the range needs."""
        if not low <= value <= high:
            raise ValueError(f"{value} is not in {low}..{high}")
        self._back = (value - low).to_bytes(((high - low).bit_length() + 7) // 8, "little") + self._back
        return self

    def numbers(self, values: Iterable[int], low: int, high: int) -> Input:
        """Add several."""
        for value in values:
            self.number(value, low, high)
        return self

    def bytes(self) -> bytes:
        """Return the whole input."""
        return self._front + self._back
