"""What a reveal and a final both disclose about one commitment (protocol sections 5 and 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from podl_tools.codec import Kind
from podl_tools.commitment import Opening
from podl_tools.constants import HEADER_SIZE, MAX_PAYOUT_SIZE, OPENING_SIZE, RECIPE_SIZE
from podl_tools.header import Header

if TYPE_CHECKING:
    from podl_tools.codec import Reader, Writer

__all__ = ["Disclosure"]


@dataclass(frozen=True)
class Disclosure:
    """
    A header with everything that its `hashModel` hides.

    Parameters
    ----------
    header
        The listed header.
    opening
        Preimage of its `hashModel`.
    recipe
        96 bytes, kept raw: a recipe out of bounds is refused by the rule, not by the parser.
    payout
        Payout script, 1 to 128 bytes.

    """

    header: Header
    opening: Opening
    recipe: bytes
    payout: bytes

    def write(self, writer: Writer) -> None:
        """Append hdr, opening, recipe, u8 script length, script."""
        writer.raw(self.header.serialize())
        writer.raw(self.opening.serialize())
        writer.raw(self.recipe, RECIPE_SIZE)
        writer.number(Kind.U8, len(self.payout))
        writer.raw(self.payout)

    @classmethod
    def read(cls, reader: Reader) -> Disclosure:
        """
        Read what `write` appends.

        Raises
        ------
        RejectError
            With the reader's reason: missing bytes, or a script length outside 1 to 128.

        """
        header = Header.parse(reader.take(HEADER_SIZE))
        opening = Opening.parse(reader.take(OPENING_SIZE))
        recipe = reader.take(RECIPE_SIZE)
        length = reader.number(Kind.U8)
        if not 1 <= length <= MAX_PAYOUT_SIZE:
            raise reader.fail(f"a payout script has 1 to {MAX_PAYOUT_SIZE} bytes, received {length}")
        return cls(header, opening, recipe, reader.take(length))
