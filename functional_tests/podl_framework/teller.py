"""A peer that has what a test gives it, announces it and hands it out when asked, as an honest node does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podl_framework import p2p
from podl_framework.p2p import ENTRY, PodlPeer
from podl_tools.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable


class Teller(PodlPeer):
    """What it has may be added to at any time; it outlives no connection."""

    def __init__(self, chain_id: bytes) -> None:
        super().__init__(chain_id)
        self.objects: dict[tuple[int, bytes], bytes] = {}

    def offer(self, objects: Iterable[tuple[int, bytes, bytes]]) -> None:
        """Take in objects (type, id, bytes) and announce them in this order. OSError: not connected."""
        for kind, name, data in objects:
            self.objects[kind, name] = data
            self.send_without_ping(p2p.inv((kind, name)))

    def on_podlgetdata(self, message) -> None:
        kind, name, chunk = p2p.read_getdata(message.payload)
        whole = self.objects.get((kind, name))
        answer = p2p.notfound(kind, name, chunk) if whole is None else p2p.data(kind, name, whole, chunk)
        self.send_without_ping(answer)

    def on_getpodlsched(self, message) -> None:
        """Answer with what follows an entry, as far as it is known without a gap."""
        following = {
            Entry.parse(d).prev: (i, d) for (kind, i), d in list(self.objects.items()) if kind == ENTRY
        }
        last, page = message.payload, []
        while last in following:
            last, data = following[last]
            page.append(data)
        self.send_without_ping(p2p.schedule(page))

    def on_getheaders(self, _message) -> None:
        self.send_without_ping(p2p.no_headers())
