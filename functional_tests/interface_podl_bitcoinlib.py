#!/usr/bin/env python3
"""Code written for python-bitcoinlib on a PoDL chain: it selects our parameters and changes nothing else.

Every block and header that the node gives, ordinary or PoDL, by RPC, REST, ZMQ or P2P, must come back byte
for byte with the node's own hash, size and weight. An explorer walks the chain and must arrive at the node's
set of coins; a wallet that holds only a key finds a coin in an ordinary block, spends it in a PoDL block and
spends what it got there. With the library's own parameters the PoDL blocks cannot be read.
"""

from __future__ import annotations

import http.client
from contextlib import closing
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING

import bitcoin
import bitcoin.rpc
import podl_framework  # noqa: F401 - sets the import path
import zmq
from bitcoin.core import (
    COIN,
    CBlock,
    CBlockHeader,
    CheckBlock,
    CMutableTransaction,
    CMutableTxIn,
    COutPoint,
    CTxInWitness,
    CTxOut,
    CTxWitness,
    b2lx,
    b2x,
    lx,
    x,
)
from bitcoin.core.script import (
    OP_RETURN,
    SIGHASH_ALL,
    SIGVERSION_WITNESS_V0,
    CScript,
    CScriptWitness,
    SignatureHash,
)
from bitcoin.core.serialize import DeserializationExtraDataError, SerializationError
from bitcoin.wallet import CBitcoinSecret, P2WPKHBitcoinAddress
from podl_framework.actors import Miner
from podl_framework.base import PodlTestFramework
from podl_framework.library_peer import LibraryPeer
from podl_framework.rounds import play_height
from test_framework.util import assert_equal, assert_raises, p2p_port, rpc_port, rpc_url

from podl_tools.bitcoinlib import SelectPodlParams

if TYPE_CHECKING:
    from collections.abc import Iterator

POLL_MS = 200
RECEIVE_MS = 60_000
FEE = 1000


def walk(proxy: bitcoin.rpc.Proxy) -> Iterator[CBlock]:
    """Blocks from the tip down to the one above the genesis block, as an explorer reads them."""
    block_hash = proxy.getbestblockhash()
    while block_hash != bitcoin.params.GENESIS_BLOCK.GetHash():
        block = proxy.getblock(block_hash)
        assert block.GetHash() == block_hash
        assert proxy.getblockheader(block_hash) == block.get_header()
        yield block
        block_hash = block.hashPrevBlock


def unspent(blocks: list[CBlock]) -> dict[COutPoint, CTxOut]:
    """Coins that exist behind the last of `blocks`, the first of which has height 1."""
    coins: dict[COutPoint, CTxOut] = {}
    for block in blocks:
        for tx in block.vtx:
            for txin in () if tx.is_coinbase() else tx.vin:
                del coins[txin.prevout]
            for n, txout in enumerate(tx.vout):
                if txout.scriptPubKey[:1] != bytes([OP_RETURN]):
                    coins[COutPoint(tx.GetTxid(), n)] = txout
    return coins


class Wallet:
    """One key; knows of the chain what the proxy tells."""

    def __init__(self, name: bytes) -> None:
        self.secret = CBitcoinSecret.from_secret_bytes(sha256(name).digest())
        self.script = CScript([0, bitcoin.core.Hash160(self.secret.pub)])
        self.address = P2WPKHBitcoinAddress.from_scriptPubKey(self.script)

    def coins(self, proxy: bitcoin.rpc.Proxy) -> list[COutPoint]:
        """Coins of the key, oldest first."""
        blocks = [*walk(proxy)][::-1]
        return [point for point, txout in unspent(blocks).items() if txout.scriptPubKey == self.script]

    def spend(self, proxy: bitcoin.rpc.Proxy, point: COutPoint, payee: Wallet) -> bytes:
        """Send a coin to another wallet; return the transaction's id."""
        coin = proxy.gettxout(point)["txout"]
        tx = CMutableTransaction([CMutableTxIn(point)], [CTxOut(coin.nValue - FEE, payee.script)])
        digest = SignatureHash(
            self.address.to_redeemScript(), tx, 0, SIGHASH_ALL, coin.nValue, SIGVERSION_WITNESS_V0
        )
        witness = [self.secret.sign(digest) + bytes([SIGHASH_ALL]), self.secret.pub]
        tx.wit = CTxWitness([CTxInWitness(CScriptWitness(witness))])
        return proxy.sendrawtransaction(tx)


class BitcoinlibTest(PodlTestFramework):
    """Code written for python-bitcoinlib on a PoDL chain."""

    # The wallet's first coin is mature at the last ordinary block.
    podl_height = 105

    def set_test_params(self) -> None:
        """Use one node that publishes its blocks."""
        self.num_nodes = 1

    def skip_test_if_missing_module(self) -> None:
        """Skip in a build without ZMQ."""
        self.skip_if_no_bitcoind_zmq()

    def setup_nodes(self) -> None:
        """Give the node an address for raw blocks."""
        self.address = f"tcp://127.0.0.1:{p2p_port(self.num_nodes + 1)}"
        self.extra_args = [["-rest", f"-zmqpubrawblock={self.address}"]]
        super().setup_nodes()

    def run_test(self) -> None:
        """Make a chain of both kinds of blocks, then read it in every way."""
        SelectPodlParams()
        self.node = self.nodes[0]
        self.proxy = bitcoin.rpc.Proxy(rpc_url(self.node.datadir_path, 0, self.chain, None))
        self.alice, self.bob, self.others = Wallet(b"alice"), Wallet(b"bob"), Wallet(b"others")
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            subscriber = context.socket(zmq.SUB)
            self.make_chain(subscriber)
            self.check_zmq(subscriber)
        finally:
            context.destroy(linger=0)
        self.check_rpc()
        self.check_rest()
        self.check_p2p()
        self.check_explorer()
        self.check_other_parameters()

    def play(self) -> None:
        """Make the next PoDL block."""
        play_height(self.requester, self.node, [Miner(self.requester, "miner")])

    def make_chain(self, subscriber: zmq.Socket[bytes]) -> None:
        """Mine ordinary blocks, the first for the wallet, then PoDL blocks that confirm its payments."""
        self.log.info("Ordinary blocks, one at a time until the subscription has arrived")
        subscriber.setsockopt(zmq.RCVTIMEO, RECEIVE_MS)
        subscriber.setsockopt(zmq.SUBSCRIBE, b"rawblock")
        subscriber.connect(self.address)
        self.generatetoaddress(self.node, 1, str(self.alice.address))
        while not subscriber.poll(POLL_MS):
            self.generatetoaddress(self.node, 1, str(self.others.address))
        missing = self.podl_height - 1 - self.node.getblockcount()
        assert missing > 0
        self.generatetoaddress(self.node, missing, str(self.others.address))

        self.log.info("A wallet spends an ordinary block's coin in a PoDL block, and that coin in the next")
        [coin] = self.alice.coins(self.proxy)
        for payer, payee in ((self.alice, self.bob), (self.bob, self.alice)):
            txid = payer.spend(self.proxy, coin, payee)
            assert_equal(self.proxy.getrawmempool(), [txid])
            self.play()
            coin = COutPoint(txid, 0)
            assert_equal(payee.coins(self.proxy), [coin])
            assert_equal(payer.coins(self.proxy), [])
            block = self.proxy.getblock(self.proxy.getbestblockhash())
            assert_equal([tx.GetTxid() for tx in block.vtx[1:]], [txid])
            assert block.vtx[1].has_witness()
            assert_equal(self.proxy.gettxout(coin)["bestblock"], block.GetHash())
        self.play()
        assert_equal(self.node.getblockcount(), self.podl_height + 2)

    def is_podl(self, height: int) -> bool:
        """Whether the block of a height is a PoDL block."""
        return height >= self.podl_height

    def check_zmq(self, subscriber: zmq.Socket[bytes]) -> None:
        """Read all published blocks up to the tip."""
        self.log.info("Raw blocks of ZMQ")
        kinds = set()
        best = self.proxy.getbestblockhash()
        block_hash = None
        while block_hash != best:
            _, body, _ = subscriber.recv_multipart()
            block = CBlock.deserialize(body)
            block_hash = block.GetHash()
            assert_equal(block.serialize(), body)
            height = self.node.getblock(b2lx(block_hash))["height"]
            assert_equal(block.hashModel is not None, self.is_podl(height))
            kinds.add(block.hashModel is not None)
        assert_equal(kinds, {False, True})

    def check_rpc(self) -> None:
        """Compare every block with what the node says about it."""
        self.log.info("getblock and getblockheader, raw and decoded")
        for height in range(self.node.getblockcount() + 1):
            shown = self.node.getblockhash(height)
            raw, told = self.node.getblock(shown, 0), self.node.getblock(shown)
            block = CBlock.deserialize(x(raw))
            header = CBlockHeader.deserialize(x(self.node.getblockheader(shown, False)))
            assert_equal(block.serialize().hex(), raw)
            assert_equal(header.serialize().hex(), self.node.getblockheader(shown, False))
            assert_equal(header, block.get_header())
            assert_equal((b2lx(block.GetHash()), b2lx(header.GetHash())), (shown, shown))
            assert_equal(block.GetWeight(), told["weight"])
            assert_equal(len(block.serialize()), told["size"])
            assert_equal(len(block.serialize({"include_witness": False})), told["strippedsize"])
            assert_equal(f"{block.difficulty:.12g}", f"{told['difficulty']:.12g}")
            assert_equal([b2lx(tx.GetTxid()) for tx in block.vtx], told["tx"])
            model = told.get("modelhash")
            assert_equal(None if block.hashModel is None else b2x(block.hashModel), model)
            assert_equal(model is not None, self.is_podl(height))
            if height:
                CheckBlock(block)
                assert_equal(self.proxy.getblock(lx(shown)), block)
                assert_equal(self.proxy.getblockheader(lx(shown)), header)
            assert_equal(self.proxy.getblockheader(lx(shown), verbose=True)["height"], height)
        assert_equal(self.proxy.submitblock(block), "duplicate")

    def check_rest(self) -> None:
        """Read a stream of headers across the first PoDL height."""
        self.log.info("A stream of both kinds of header, by REST")
        first = self.podl_height - 3
        with closing(http.client.HTTPConnection("127.0.0.1", rpc_port(0))) as connection:
            connection.request("GET", f"/rest/headers/{self.node.getblockhash(first)}.bin?count=6")
            data = connection.getresponse().read()
        f = BytesIO(data)
        for height in range(first, first + 6):
            header = CBlockHeader.stream_deserialize(f)
            assert_equal(b2lx(header.GetHash()), self.node.getblockhash(height))
            assert_equal(header.hashModel is not None, self.is_podl(height))
        assert_equal(f.read(), b"")
        assert_equal(len(data), 3 * 80 + 3 * 112)

    def check_p2p(self) -> None:
        """Fetch the tip and an ordinary block from the node as a peer."""
        self.log.info("The messages headers and block")
        with closing(LibraryPeer(p2p_port(0), self.requester.task_entry.id)) as peer:
            tip = self.proxy.getbestblockhash()
            header = peer.header_behind(lx(self.node.getblockhash(self.node.getblockcount() - 1)))
            assert_equal((header.GetHash(), header.hashModel is None), (tip, False))
            for block_hash in (tip, self.proxy.getblockhash(1)):
                assert_equal(peer.block(block_hash), self.proxy.getblock(block_hash))

    def check_explorer(self) -> None:
        """Walk from the tip to the genesis block and add up what is unspent."""
        self.log.info("An explorer arrives at the node's set of coins")
        blocks = [*walk(self.proxy)][::-1]
        assert_equal(len(blocks), self.proxy.getblockcount())
        for height, block in enumerate(blocks, 1):
            assert_equal(block.hashModel is not None, self.is_podl(height))
        coins = unspent(blocks)
        told = self.node.gettxoutsetinfo()
        assert_equal(len(coins), told["txouts"])
        assert_equal(sum(txout.nValue for txout in coins.values()), int(told["total_amount"] * COIN))

    def check_other_parameters(self) -> None:
        """Read the chain with the library's parameters of regtest, then with ours again."""
        self.log.info("With the library's own parameters ordinary blocks read as ever, PoDL blocks do not")
        ordinary, podl = (self.proxy.getblockhash(h) for h in (self.podl_height - 1, self.podl_height))
        ours = self.proxy.getblock(ordinary)
        bitcoin.SelectParams("regtest")
        theirs = self.proxy.getblock(ordinary)
        assert_equal((type(theirs), theirs), (CBlock, ours))
        assert_raises(DeserializationExtraDataError, self.proxy.getblockheader, podl)
        assert_raises(SerializationError, self.proxy.getblock, podl)
        SelectPodlParams()
        assert_equal(self.proxy.getblock(podl).GetHash(), podl)


if __name__ == "__main__":
    BitcoinlibTest(__file__).main()
