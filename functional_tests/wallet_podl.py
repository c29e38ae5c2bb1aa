#!/usr/bin/env python3
"""Bitcoin Core's wallet on a PoDL chain.

Received and sent coins, a replaced transaction, a PSBT of an offline signer, both ways to spend taproot
outputs: all confirmed in PoDL blocks. Then wallets that were not there learn of it by a rescan, with and
without block filters.
"""

from decimal import Decimal

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import play_height
from test_framework.descriptors import descsum_create
from test_framework.util import assert_equal, assert_greater_than

SUBSIDY = Decimal(50)
# A point whose discrete logarithm nobody knows (BIP341): the output is spent by its script.
NOBODY = "50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0"
# BIP32's first test vector.
XPRV = (
    "tprv8ZgxMBicQKsPeDgjzdC36fs6bMjGApWDNLR9erAXMs5skhMv36j9MV5e"
    "cvfavji5khqjWaWSFhN3YcCUUdiKH6isR4Pwy3U5y5egddBr16m"
)


class PodlWalletTest(PodlTestFramework):
    """What a wallet does, confirmed by PoDL blocks."""

    podl_height = 105

    def set_test_params(self):
        self.num_nodes = 1
        self.extra_args = [["-blockfilterindex=1", "-fallbackfee=0.0002"]]

    def skip_test_if_missing_module(self):
        self.skip_if_no_wallet()

    def run_test(self):
        self.node = self.nodes[0]
        self.alice, self.bob = self.wallet("alice"), self.wallet("bob")
        self.generatetoaddress(self.node, self.podl_height - 1, self.alice.getnewaddress())
        script = bytes.fromhex(self.alice.getaddressinfo(self.alice.getnewaddress())["scriptPubKey"])
        self.miners = [Miner(self.requester, "alice", payout=script)]
        self.check_reward()
        self.check_payment()
        self.check_bump()
        self.check_psbt()
        self.check_taproot()
        self.check_unloaded()
        self.check_pruned_funds()
        self.check_rescan()

    def wallet(self, name, **options):
        self.node.createwallet(name, **options)
        return self.node.get_wallet_rpc(name)

    def copy_descriptors(self, source, target, *, private=False):
        """Import what a wallet watches, or what it can sign for, from the first block on."""
        requests = [
            {key: found[key] for key in ("desc", "active", "internal", "range")} | {"timestamp": 0}
            for found in source.listdescriptors(private)["descriptors"]
        ]
        assert all(result["success"] for result in target.importdescriptors(requests))

    def confirm(self, *txids):
        """Play a height whose block must hold these transactions, and return the block."""
        play_height(self.requester, self.node, self.miners)
        block = self.node.getblock(self.node.getbestblockhash(), 2)
        assert "modelhash" in block
        assert_equal([tx["txid"] for tx in block["tx"][1:]], list(txids))
        return block

    def check_reward(self):
        self.log.info("A PoDL block's reward is the winner's, and immature")
        before = self.alice.getbalances()["mine"]
        block = self.confirm()
        after = self.alice.getbalances()["mine"]
        # One ordinary reward grew mature, the new one is not.
        assert_equal(after["trusted"], before["trusted"] + SUBSIDY)
        assert_equal(after["immature"], before["immature"])
        seen = self.alice.gettransaction(block["tx"][0]["txid"])
        assert_equal((seen["blockhash"], seen["blockheight"]), (block["hash"], block["height"]))
        assert_equal([d["category"] for d in seen["details"]], ["immature"])

    def check_payment(self):
        self.log.info("A payment, its change and its fee")
        before = self.alice.getbalances()["mine"]
        txid = self.alice.sendtoaddress(self.bob.getnewaddress(), 7)
        self.node.syncwithvalidationinterfacequeue()
        assert_equal(self.bob.getbalances()["mine"]["untrusted_pending"], Decimal(7))
        block = self.confirm(txid)
        fee = -self.alice.gettransaction(txid)["fee"]
        assert_greater_than(fee, 0)
        assert_equal(block["tx"][0]["vout"][0]["value"], SUBSIDY + fee)
        assert_equal(self.bob.getbalances()["mine"]["trusted"], Decimal(7))
        assert_equal(self.alice.getbalances()["mine"]["trusted"], before["trusted"] + SUBSIDY - 7 - fee)
        seen = self.bob.gettransaction(txid)
        assert_equal((seen["blockhash"], seen["confirmations"]), (block["hash"], 1))
        since = self.bob.listsinceblock(block["previousblockhash"])
        assert_equal([tx["txid"] for tx in since["transactions"]], [txid])

    def check_bump(self):
        self.log.info("A replaced transaction: the better fee is confirmed, the other conflicts")
        old = self.alice.sendtoaddress(self.bob.getnewaddress(), 2, fee_rate=2)
        new = self.alice.bumpfee(old, fee_rate=20)["txid"]
        assert_equal(self.node.getrawmempool(), [new])
        self.confirm(new)
        assert_equal(self.alice.gettransaction(old)["confirmations"], -1)
        assert_equal(self.alice.gettransaction(old)["walletconflicts"], [new])
        assert_equal(self.bob.getbalance(), Decimal(9))

    def check_psbt(self):
        self.log.info("A PSBT, made by a wallet without keys and signed by the one that has them")
        online = self.wallet("online", disable_private_keys=True)
        self.copy_descriptors(self.bob, online)
        assert_equal(online.getbalance(), Decimal(9))
        outputs = [{self.alice.getnewaddress(): Decimal(3)}]
        psbt = online.walletcreatefundedpsbt(outputs=outputs)["psbt"]
        assert_equal(online.walletprocesspsbt(psbt)["complete"], False)
        signed = self.bob.walletprocesspsbt(psbt)
        assert_equal(signed["complete"], True)
        txid = self.node.sendrawtransaction(self.node.finalizepsbt(signed["psbt"])["hex"])
        self.confirm(txid)
        assert_equal(online.getbalance(), self.bob.getbalance())
        assert_equal(online.gettransaction(txid)["confirmations"], 1)

    def check_taproot(self):
        self.log.info("Taproot outputs, spent with the key and with the script")
        by_script = self.wallet("by_script", blank=True)
        descriptor = descsum_create(f"tr({NOBODY},pk({XPRV}/0/*))")
        request = {"desc": descriptor, "timestamp": "now", "active": True}
        assert_equal(by_script.importdescriptors([request])[0]["success"], True)
        by_key = self.wallet("by_key")
        for wallet, stack in ((by_key, 1), (by_script, 3)):
            address = wallet.getnewaddress(address_type="bech32m")
            self.confirm(self.alice.sendtoaddress(address, 1))
            txid = wallet.sendall([self.alice.getnewaddress()])["txid"]
            spent = self.confirm(txid)["tx"][1]["vin"]
            assert_equal([len(row["txinwitness"]) for row in spent], [stack])
            assert_equal(wallet.getbalance(), 0)
            assert_equal(wallet.gettransaction(txid)["confirmations"], 1)

    def check_unloaded(self):
        self.log.info("A wallet that was not loaded, and one from a backup, catch up by themselves")
        backup = str(self.task_file.with_name("bob.bak"))
        self.bob.backupwallet(backup)
        address = self.bob.getnewaddress()
        before = self.bob.getbalance()
        self.bob.unloadwallet()
        txid = self.alice.sendtoaddress(address, Decimal("0.5"))
        self.confirm(txid)
        self.node.loadwallet("bob")
        self.node.restorewallet("bob_again", backup)
        for wallet in (self.bob, self.node.get_wallet_rpc("bob_again")):
            assert_equal(wallet.getbalance(), before + Decimal("0.5"))
            assert_equal(wallet.gettransaction(txid)["confirmations"], 1)

    def check_pruned_funds(self):
        self.log.info("A payment that is proven by its PoDL block's Merkle proof alone")
        poor = self.wallet("poor", blank=True)
        txid = self.alice.sendtoaddress(self.bob.getnewaddress(), Decimal("0.25"))
        block = self.confirm(txid)
        self.copy_descriptors(self.bob, poor, private=True)
        poor.removeprunedfunds(txid)
        assert_equal(poor.getbalance(), self.bob.getbalance() - Decimal("0.25"))
        poor.importprunedfunds(block["tx"][1]["hex"], self.node.gettxoutproof([txid]))
        assert_equal(poor.getbalance(), self.bob.getbalance())
        assert_equal(poor.gettransaction(txid)["blockhash"], block["hash"])

    def check_rescan(self):
        self.log.info("A rescan finds everything in PoDL blocks, with block filters and without")
        self.check_found("filtered", "fast variant using block filters")
        self.restart_node(0, [*self.podl_args(), "-fallbackfee=0.0002"])
        self.node.loadwallet("alice")
        self.alice = self.node.get_wallet_rpc("alice")
        self.check_found("whole", "slow variant inspecting all blocks")

    def check_found(self, name, variant):
        """Import alice's keys into a new wallet, which must find what she has."""
        wallet = self.wallet(name, blank=True)
        with self.node.assert_debug_log([variant]):
            self.copy_descriptors(self.alice, wallet, private=True)
        assert_equal(self.seen(wallet), {k: v for k, v in self.seen(self.alice).items() if v is not None})
        for key in ("trusted", "immature", "untrusted_pending"):
            assert_equal(wallet.getbalances()["mine"][key], self.alice.getbalances()["mine"][key])

    def seen(self, wallet):
        """Block height by transaction, None for one that is not confirmed."""
        return {tx["txid"]: tx.get("blockheight") for tx in wallet.listtransactions(count=1000)}


if __name__ == "__main__":
    PodlWalletTest(__file__).main()
