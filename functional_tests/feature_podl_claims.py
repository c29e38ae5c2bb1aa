#!/usr/bin/env python3
"""Who wins a height: false claims, stolen hashes, ties, unlisted blocks, wrong bodies and wrong coinbases."""

import time
from dataclasses import replace

import podl_framework  # noqa: F401 - sets the import path
from bitcoin.core import CBlock, CTransaction, CTxOut
from bitcoin.core.script import CScript
from podl_framework.actors import Miner, client, evaluate, judge
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round
from test_framework.util import assert_equal

from podl_tools.block import PodlBlock, make_block
from podl_tools.chain.data import Kind, upload
from podl_tools.chain.template import draft_block
from podl_tools.header import grind
from podl_tools.reveal import Reveal


def states(node):
    """State and reason of the round's candidates by block hash."""
    return {c["hash"]: (c["state"], c.get("reason", "")) for c in node.listpodlcandidates()["candidates"]}


def edited(draft: PodlBlock, outputs) -> PodlBlock:
    """Return the draft with other coinbase outputs and a Merkle root that fits."""
    first = draft.vtx[0]
    coinbase = CTransaction(first.vin, outputs(list(first.vout)), first.nLockTime, first.nVersion, first.wit)
    vtx = [coinbase, *draft.vtx[1:]]
    root = CBlock.build_merkle_tree_from_txs(vtx)[-1]
    return make_block(replace(draft.header, merkle_root=root), vtx)


class PodlClaimsTest(PodlTestFramework):
    """The best claim that is true wins, whatever else is sent."""

    def set_test_params(self):
        self.num_nodes = 1

    def run_test(self):
        self.node = self.nodes[0]
        self.mine_to_podl()
        self.check_false_claim()
        self.check_copied_hash()
        self.check_tie()
        self.check_unlisted()
        self.check_body()
        self.check_coinbase()
        assert_equal(self.node.getpodlinfo()["state"], "running")
        assert_equal([tip["status"] for tip in self.node.getchaintips()], ["active"])

    def round(self, *miners):
        return Round(self.requester, self.node, list(miners))

    def submit(self, reveal: Reveal):
        answer = client(self.node).submit_reveal(reveal.serialize())
        return answer.status, answer.reason

    def check_false_claim(self):
        self.log.info("A claim that is too high loses; the next best true claim wins")
        liar, honest = Miner(self.requester, "liar", epochs=1), Miner(self.requester, "honest", epochs=8)
        current = self.round(liar, honest).commit().close()
        liar.reveal_all(self.node, current.kept[0], current.release, claim=64)
        current.reveals = [honest.reveal_all(self.node, current.kept[1], current.release)]
        judge(self.node, self.requester)
        assert_equal(states(self.node)[current.kept[0].hash_hex][0], "false-claim")
        self.log.info("The same header may still claim the truth, and loses only on its count")
        true_claim = liar.reveal(current.kept[0], current.release)
        assert_equal(self.submit(true_claim), ("accepted", ""))
        assert_equal(states(self.node)[current.kept[0].hash_hex][0], "valid")
        assert_equal(self.submit(true_claim)[0], "duplicate")
        current.finish()
        assert_equal(self.node.getbestblockhash(), current.kept[1].hash_hex)

    def check_copied_hash(self):
        self.log.info("A thief that copies hashModel into an own header cannot open it")
        victim, thief = Miner(self.requester, "victim"), Miner(self.requester, "thief")
        kept = victim.commit(self.node)
        copy = thief.prepare(self.node, trained=kept.trained)
        header = grind(replace(copy.disclosure.header, model_hash=kept.disclosure.header.model_hash), 0)
        assert_equal(client(self.node).submit_commitment(header.serialize()).status, "accepted")
        current = self.round(victim)
        current.kept = [kept]
        prev = bytes.fromhex(self.node.getbestblockhash())[::-1]
        moment = max(int(time.time()), header.time)
        current.release = self.requester.release(prev, [header.hash, kept.hash], at=moment)
        self.requester.publish(current.release, self.node)
        self.requester.open_shard(current.release, self.node)
        stolen = replace(kept.disclosure, header=header)
        claim = victim.count(kept, current.release)
        self.log.info("... with the victim's opening: the signature is not the thief's to make")
        attempt = Reveal.sign(thief.reveal_key, stolen, current.release.id, claim)
        assert_equal(self.submit(attempt), ("refused", "podl-reveal-sig"))
        self.log.info("... with own payout or own key: the opening does not hash to hashModel")
        payout = replace(stolen, payout=thief.payout)
        assert_equal(
            self.submit(Reveal.sign(thief.reveal_key, payout, current.release.id, claim))[1], "podl-payout"
        )
        opening = replace(stolen.opening, reveal_key=thief.reveal_key.public)
        forged = Reveal.sign(thief.reveal_key, replace(stolen, opening=opening), current.release.id, claim)
        assert_equal(self.submit(forged), ("refused", "podl-hashmodel"))
        current.reveal().judge().finish()
        assert_equal(self.node.getbestblockhash(), kept.hash_hex)

    def check_tie(self):
        self.log.info("Equal counts are decided by the rank sum, not by the place in the list")
        first, second = self.find_tied_miners()
        current = self.round(first, second).commit().close().reveal().judge()
        table = {c["hash"]: c for c in self.node.listpodlcandidates()["candidates"]}
        rows = [table[kept.hash_hex] for kept in current.kept]
        assert_equal(rows[0]["count"], rows[1]["count"])
        assert rows[0]["rank_sum"] > rows[1]["rank_sum"]
        self.log.info("The node warns when the final names the worse one, and follows it")
        self.requester.publish(self.requester.final(current.reveals[0]), self.node)
        self.node.syncpodl()
        assert_equal(self.node.getbestblockhash(), current.kept[0].hash_hex)
        alarms = [alarm["reason"] for alarm in self.node.getpodlinfo()["alarms"]]
        assert_equal(alarms, ["podl-final-suboptimal"])
        assert_equal(self.node.getpodlinfo()["state"], "running")

    def find_tied_miners(self):
        """Two miners with the same count on the coming shard, the worse rank sum first."""
        log = self.requester.log
        prev = bytes.fromhex(self.node.getbestblockhash())[::-1]
        coming = self.requester.release(prev, [bytes(31) + b"\x01"])
        assert log.latest_release(log.next_height) is None
        seen = {}
        for number in range(200):
            miner = Miner(self.requester, f"tied {number}", epochs=1 + number % 3)
            found = evaluate(self.requester, miner.train(miner.recipe()).weights, miner.program, coming)
            other = seen.setdefault(found.count, (found.rank_sum, miner))
            if other[0] != found.rank_sum:
                pair = sorted([(found.rank_sum, miner), other], key=lambda row: -row[0])
                return pair[0][1], pair[1][1]
        raise AssertionError("no two of 200 models tie")

    def check_unlisted(self):
        self.log.info("A block whose header is not in the list cannot win, before and after the final")
        late, listed = Miner(self.requester, "late", epochs=8), Miner(self.requester, "listed")
        kept = late.prepare(self.node)
        current = self.round(listed).commit().close()
        attempt = late.reveal(kept, current.release)
        assert_equal(self.submit(attempt), ("later", "podl-not-committed"))
        assert self.node.submitblock(kept.block.hex()).startswith("podl-final-missing, ")
        current.reveal().judge().finish()
        assert self.node.submitblock(kept.block.hex()).startswith("podl-not-final, ")
        assert_equal(self.submit(attempt)[0], "later")
        assert_equal(self.node.getbestblockhash(), current.kept[0].hash_hex)

    def check_body(self):
        self.log.info("A body that does not belong to its header is dropped, and the right one still fits")
        miner, other = Miner(self.requester, "body"), Miner(self.requester, "other body")
        current = self.round(miner, other).commit().close()
        current.reveals = [
            m.reveal(kept, current.release) for m, kept in zip(current.miners, current.kept, strict=True)
        ]
        for reveal in current.reveals:
            assert_equal(self.submit(reveal), ("accepted", ""))
        kept, wrong = current.kept
        for data in (wrong.block, kept.block[:112] + wrong.block[112:], kept.block[:-1], kept.block + b"\0"):
            answer = upload(client(self.node), Kind.BODY, kept.hash, data)
            assert_equal((answer.status, answer.reason), ("refused", "podl-body-mismatch"))
        assert_equal(states(self.node)[kept.hash_hex][0], "waiting-body")
        miner.upload(self.node, kept)
        other.upload(self.node, wrong)
        current.judge().finish()

    def check_coinbase(self):
        self.log.info("A coinbase that pays anyone else makes the candidate invalid, and the next one wins")
        honest = Miner(self.requester, "honest again")
        spare = CTxOut(0, CScript(b"\x51"))
        cases = {
            "other script": lambda outs: [CTxOut(outs[0].nValue, CScript(b"\x51")), *outs[1:]],
            "second payee": lambda outs: [
                CTxOut(outs[0].nValue - 1, outs[0].scriptPubKey),
                CTxOut(1, CScript(b"\x51")),
                *outs[1:],
            ],
            "spare output": lambda outs: [*outs, spare],
        }
        cheats = [Miner(self.requester, name, epochs=4) for name in cases]
        current = self.round(*cheats, honest)
        for miner, outputs in zip(cheats, cases.values(), strict=True):
            current.kept.append(
                miner.commit(
                    self.node,
                    make=lambda template, payout, o=outputs: edited(draft_block(template, payout), o),
                )
            )
        current.kept.append(honest.commit(self.node))
        current.close()
        for miner, kept in zip(cheats, current.kept, strict=False):
            assert_equal(self.submit(miner.reveal(kept, current.release)), ("accepted", ""))
            miner.upload(self.node, kept, Kind.WEIGHTS)
            answer = upload(client(self.node), Kind.BODY, kept.hash, kept.block)
            assert_equal((answer.status, answer.reason), ("refused", "podl-payout"))
            assert_equal(states(self.node)[kept.hash_hex], ("invalid", "podl-payout"))
        current.reveals = [honest.reveal_all(self.node, current.kept[-1], current.release)]
        current.judge().finish()
        assert_equal(self.node.getbestblockhash(), current.kept[-1].hash_hex)


if __name__ == "__main__":
    PodlClaimsTest(__file__).main()
