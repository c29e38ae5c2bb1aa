"""Reading the fields of a JSON answer: a wrong type is an error with a name, never a crash later."""

from __future__ import annotations

from typing import Any

from podl_tools.tool_errors import NodeAnswerError

__all__ = ["Fields"]


class Fields:
    """
    One JSON object of an answer.

    Parameters
    ----------
    method
        The RPC, for messages.
    value
        The parsed JSON; anything but an object is refused.

    Raises
    ------
    NodeAnswerError
        By every method here, when a field is absent or has another type or length.

    """

    def __init__(self, method: str, value: object) -> None:
        if not isinstance(value, dict):
            raise NodeAnswerError(f"{method}: expected an object, received {type(value).__name__}")
        self._method = method
        self._value: dict[str, Any] = value

    def __contains__(self, name: str) -> bool:
        """Whether the field is there."""
        return name in self._value

    def _get(self, name: str, kind: type) -> Any:
        value = self._value.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise NodeAnswerError(
                f"{self._method}: field {name} should be {kind.__name__}, received {value!r:.80}"
            )
        return value

    def integer(self, name: str) -> int:
        """Read an integer."""
        value: int = self._get(name, int)
        return value

    def text(self, name: str) -> str:
        """Read a string."""
        value: str = self._get(name, str)
        return value

    def flag(self, name: str) -> bool:
        """Read a boolean."""
        value: bool = self._get(name, bool)
        return value

    def array(self, name: str) -> list[Any]:
        """Read an array of anything."""
        value: list[Any] = self._get(name, list)
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """Read an array of integers."""
        values = self.array(name)
        if not all(isinstance(value, int) and not isinstance(value, bool) for value in values):
            raise NodeAnswerError(f"{self._method}: field {name} should hold integers")
        return tuple(values)

    def texts(self, name: str) -> tuple[str, ...]:
        """Read an array of strings."""
        return tuple(Fields(self._method, {name: value}).text(name) for value in self.array(name))

    def objects(self, name: str) -> list[Fields]:
        """Read an array of objects."""
        return [Fields(self._method, value) for value in self.array(name)]

    def fields(self, name: str) -> Fields:
        """Read an object."""
        return Fields(self._method, self._value.get(name))

    def data(self, name: str, size: int | None = None) -> bytes:
        """Read bytes given in hex, in the order of their bytes; with `size`, exactly that many."""
        text = self.text(name)
        try:
            value = bytes.fromhex(text)
        except ValueError:
            raise NodeAnswerError(
                f"{self._method}: field {name} should be hex, received {text!r:.80}"
            ) from None
        if size is not None and len(value) != size:
            raise NodeAnswerError(
                f"{self._method}: field {name} should have {size} bytes, received {len(value)}"
            )
        return value

    def hexes(self, name: str) -> tuple[bytes, ...]:
        """Read an array of bytes given in hex."""
        return tuple(Fields(self._method, {name: value}).data(name) for value in self.array(name))

    def root(self, name: str) -> bytes:
        """Read an id or root of 32 bytes."""
        return self.data(name, 32)

    def root_or_none(self, name: str) -> bytes | None:
        """Read an id or root that may be absent or empty."""
        return self.root(name) if self._value.get(name) else None

    def block_hash(self, name: str) -> bytes:
        """Read a block hash, which JSON shows reversed, in its serialised order."""
        return self.data(name, 32)[::-1]

    def block_hash_or_none(self, name: str) -> bytes | None:
        """Read a block hash that may be absent or empty."""
        return self.block_hash(name) if self._value.get(name) else None
