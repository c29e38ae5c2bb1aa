#!/usr/bin/env python3
"""Bitcoin Core's own ways to make blocks, above the PoDL height.

Those that make a block by themselves are refused with an error that names the way that works. A template is
what a miner needs: proposals are checked, priorities are kept, a long poll wakes on a new PoDL tip, but not
on a new phase.
"""

import threading

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round, play_height
from test_framework.blocktools import NORMAL_GBT_REQUEST_PARAMS, create_block
from test_framework.messages import COIN
from test_framework.util import assert_equal, assert_raises_rpc_error, get_rpc_proxy
from test_framework.wallet import MiniWallet

MISC_ERROR = -1
VERIFY_ERROR = -25
HINT = "submitpodlcommitment"


class LongPoll(threading.Thread):
    """Waits for a template that is newer than ``longpollid``, over a connection of its own."""

    def __init__(self, node, longpollid):
        super().__init__(daemon=True)
        self.request = NORMAL_GBT_REQUEST_PARAMS | {"longpollid": longpollid}
        self.rpc = get_rpc_proxy(node.url, 1, timeout=600, coveragedir=node.coverage_dir)
        self.template = None

    def run(self):
        self.template = self.rpc.getblocktemplate(self.request)


class PodlMiningTest(PodlTestFramework):
    """Mining RPCs on a PoDL chain."""

    podl_height = 105

    def set_test_params(self):
        self.num_nodes = 1

    def run_test(self):
        self.node = self.nodes[0]
        self.wallet = MiniWallet(self.node)
        self.miners = [Miner(self.requester, "miner")]
        self.check_last_ordinary_block()
        self.check_nothing_generated()
        self.check_unnamed_block()
        self.log.info("The same after a PoDL block")
        play_height(self.requester, self.node, self.miners)
        self.check_nothing_generated()
        self.check_unnamed_block()
        self.check_known_block()
        self.check_proposal()
        self.check_priority()
        self.check_long_poll()

    def check_last_ordinary_block(self):
        self.log.info("Blocks below the height are generated, and a call that would go beyond stops there")
        self.generate(self.wallet, self.podl_height - 3)
        output = self.wallet.get_descriptor()
        assert_raises_rpc_error(
            MISC_ERROR, HINT, self.node.generatetodescriptor, 5, output, called_by_framework=True
        )
        assert_equal(self.node.getblockcount(), self.podl_height - 1)
        self.wallet.rescan_utxos()

    def check_nothing_generated(self):
        self.log.info("Nothing is generated, and the error says what to use")
        tip = self.node.getbestblockhash()
        tx = self.wallet.send_self_transfer(from_node=self.node)
        address, output = self.wallet.get_address(), self.wallet.get_descriptor()
        for method, *params in [
            ("generatetoaddress", 1, address),
            ("generatetodescriptor", 1, output),
            ("generateblock", address, []),
            ("generateblock", output, [tx["txid"]]),
            ("generateblock", output, [tx["hex"]], False),
        ]:
            call = getattr(self.node, method)
            assert_raises_rpc_error(MISC_ERROR, HINT, call, *params, called_by_framework=True)
            assert_raises_rpc_error(MISC_ERROR, "podl-miner", call, *params, called_by_framework=True)
        assert_equal(self.node.generatetoaddress(0, address, called_by_framework=True), [])
        assert_equal(self.node.getbestblockhash(), tip)
        assert tx["txid"] in self.node.getrawmempool()

    def check_unnamed_block(self):
        self.log.info("Neither is a PoDL block that no final names taken, whole or as a header")
        kept = Miner(self.requester, "unnamed").prepare(self.node)
        answer = self.node.submitblock(kept.block.hex())
        assert answer.startswith("podl-final-missing, "), answer
        assert HINT in answer
        assert_raises_rpc_error(VERIFY_ERROR, answer, self.node.submitheader, kept.block[:112].hex())
        assert_raises_rpc_error(-5, "Block not found", self.node.getblockheader, kept.hash_hex)

    def check_known_block(self):
        self.log.info("Another block than the final's, and the final's once more")
        tip = self.node.getbestblockhash()
        template = self.node.getblock(tip, 0)
        assert_equal(self.node.submitblock(template), "duplicate")
        assert_equal(self.node.submitheader(template[:224]), None)
        other = bytearray.fromhex(template)
        other[79] ^= 1  # another nonce, and regtest's target is met by one hash in two
        while (answer := self.node.submitblock(other.hex())) == "high-hash":
            other[76] = (other[76] + 1) % 256
        assert answer.startswith("podl-not-final, "), answer
        assert HINT in answer
        assert_equal(self.node.getbestblockhash(), tip)

    def check_proposal(self):
        self.log.info("Proposals are checked as ever, and want a PoDL header")
        kept = Miner(self.requester, "proposer").prepare(self.node)
        propose = {"mode": "proposal", "rules": ["segwit"]}
        assert_equal(self.node.getblocktemplate(propose | {"data": kept.block.hex()}), None)
        changed = bytearray(kept.block)
        changed[36] ^= 1
        assert_equal(self.node.getblocktemplate(propose | {"data": changed.hex()}), "bad-txnmrklroot")
        ordinary = create_block(tmpl=self.node.getblocktemplate(NORMAL_GBT_REQUEST_PARAMS))
        ordinary.nVersion = 0x20000000
        answer = self.node.getblocktemplate(propose | {"data": ordinary.serialize().hex()})
        assert_equal(answer, "bad-podl-version")

    def check_priority(self):
        self.log.info("A miner's own priorities decide what its PoDL block holds")
        # The node keeps a template for some seconds: change priorities before the first one on a tip.
        play_height(self.requester, self.node, self.miners)
        txid = self.wallet.send_self_transfer(from_node=self.node)["txid"]
        self.node.prioritisetransaction(txid, 0, -COIN)
        play_height(self.requester, self.node, self.miners)
        assert txid not in self.node.getblock(self.node.getbestblockhash())["tx"]
        self.node.prioritisetransaction(txid, 0, COIN)
        play_height(self.requester, self.node, self.miners)
        assert txid in self.node.getblock(self.node.getbestblockhash())["tx"]
        info = self.node.getmininginfo()
        height = self.node.getblockcount()
        assert_equal((info["blocks"], info["next"]["height"], info["pooledtx"]), (height, height + 1, 0))

    def check_long_poll(self):
        self.log.info("A long poll does not see a new phase, and wakes on a new PoDL tip")
        template = self.node.getblocktemplate(NORMAL_GBT_REQUEST_PARAMS)
        assert_equal((template["podl"]["phase"], template["podl"]["can_commit"]), ("commit", True))
        poll = LongPoll(self.node, template["longpollid"])
        poll.start()
        self.wait_until(lambda: self.waiting_for_template() == 1)
        current = Round(self.requester, self.node, self.miners).commit().close()
        assert_equal(self.node.getblocktemplate(NORMAL_GBT_REQUEST_PARAMS)["podl"]["phase"], "reveal")
        current.reveal().judge()
        assert_equal(self.waiting_for_template(), 1)
        current.finish()
        poll.join(timeout=60)
        assert not poll.is_alive()
        assert_equal(poll.template["previousblockhash"], self.node.getbestblockhash())
        assert_equal(poll.template["podl"]["height"], self.node.getblockcount() + 1)

    def waiting_for_template(self):
        commands = self.node.getrpcinfo()["active_commands"]
        return sum(command["method"] == "getblocktemplate" for command in commands)


if __name__ == "__main__":
    PodlMiningTest(__file__).main()
