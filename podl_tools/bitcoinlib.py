"""
python-bitcoinlib on a PoDL chain: `SelectPodlParams` beside the library's own `bitcoin.SelectParams`.

The library's parameters say nothing about headers: `CBlockHeader` reads and writes 80 bytes whatever is
selected, and `CBlock`, `bitcoin.rpc` and `bitcoin.messages` go through it. So the selection also puts methods
for both kinds of header in the place of its `stream_deserialize` and `stream_serialize`; nothing else of the
library changes. They ask on every call which parameters are selected: after `bitcoin.SelectParams` it reads
and writes as ever.
"""

from __future__ import annotations

from typing import Any, BinaryIO, Final

import bitcoin
from bitcoin.core import CBlock, CBlockHeader

from podl_tools.block import PodlBlock, PodlBlockHeader, podl_selected, read_header, write_header

__all__ = ["PodlRegTestParams", "SelectPodlParams"]

_OURS: Final = {CBlock: PodlBlock, CBlockHeader: PodlBlockHeader}


class PodlRegTestParams(bitcoin.RegTestParams):  # type: ignore[misc]  # python-bitcoinlib has no types
    """Parameters of a PoDL chain: those of regtest, the only network that has PoDL, and the mark."""

    PODL = True
    GENESIS_BLOCK = PodlBlock.deserialize(bitcoin.RegTestParams.GENESIS_BLOCK.serialize())


def _read(cls: Any, f: BinaryIO) -> Any:
    return read_header(_OURS.get(cls, cls) if podl_selected() else cls, f)


def SelectPodlParams() -> None:
    """
    Select the parameters of a PoDL chain, for the whole process.

    From now on `CBlock`, `CBlockHeader` and what uses them read every block and header as `PodlBlock` and
    `PodlBlockHeader`. `bitcoin.SelectParams` selects another chain as ever.
    """
    bitcoin.SelectParams("regtest")
    bitcoin.params = bitcoin.core.coreparams = PodlRegTestParams()
    CBlockHeader.stream_deserialize = classmethod(_read)
    CBlockHeader.stream_serialize = write_header
