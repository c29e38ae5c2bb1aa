#!/usr/bin/env python3
"""The REST interface on a PoDL chain: headers of 112 bytes in every format, blocks, filters, coins."""

import http.client
import json
import urllib.parse
from decimal import Decimal

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import play_height
from test_framework.util import assert_equal
from test_framework.wallet import MiniWallet

from podl_tools.header import Header

SIZE, LEGACY_SIZE = 112, 80


class PodlRestTest(PodlTestFramework):
    """What a REST client reads."""

    podl_height = 105

    def set_test_params(self):
        self.num_nodes = 1
        self.extra_args = [["-rest", "-blockfilterindex=1", "-txindex=1"]]

    def run_test(self):
        self.node = self.nodes[0]
        self.url = urllib.parse.urlparse(self.node.url)
        wallet = MiniWallet(self.node)
        self.generate(wallet, self.podl_height - 1)
        miners = [Miner(self.requester, "miner")]
        self.tx = wallet.send_self_transfer(from_node=self.node)
        self.finals = [play_height(self.requester, self.node, miners).disclosure.header for _ in range(2)]
        self.blocks = [header.hash[::-1].hex() for header in self.finals]
        self.check_headers()
        self.check_block()
        self.check_rest()

    def get(self, path, *, status=200):
        """Body of the answer."""
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port)
        connection.request("GET", f"/rest{path}")
        answer = connection.getresponse()
        body = answer.read()
        assert_equal(answer.status, status)
        connection.close()
        return body

    def get_json(self, path):
        return json.loads(self.get(f"{path}.json"), parse_float=Decimal)

    def check_headers(self):
        self.log.info("headers: an ordinary one and both of PoDL's in one answer")
        last = self.node.getblockhash(self.podl_height - 1)
        wanted = self.node.getblockheader(last, False)
        assert_equal(len(wanted), 2 * LEGACY_SIZE)
        wanted += "".join(header.serialize().hex() for header in self.finals)
        assert_equal(len(wanted), 2 * (LEGACY_SIZE + 2 * SIZE))
        assert_equal(self.get(f"/headers/{last}.bin?count=3").hex(), wanted)
        assert_equal(self.get(f"/headers/{last}.hex?count=3").decode(), wanted + "\n")
        rows = self.get_json_headers(last)
        assert_equal([row["hash"] for row in rows], [last, *self.blocks])
        assert_equal(
            [row.get("modelhash") for row in rows], [None] + [h.model_hash.hex() for h in self.finals]
        )
        assert_equal(rows[1:], [self.node.getblockheader(block) for block in self.blocks])

    def get_json_headers(self, first):
        return json.loads(self.get(f"/headers/{first}.json?count=3"), parse_float=Decimal)

    def check_block(self):
        self.log.info("block: begins with the header in .bin and .hex, names the model in .json")
        for block, header in zip(self.blocks, self.finals, strict=True):
            data = self.get(f"/block/{block}.bin")
            assert_equal(Header.parse(data[:SIZE]), header)
            assert_equal(data.hex(), self.node.getblock(block, 0))
            assert_equal(self.get(f"/block/{block}.hex").decode().strip(), data.hex())
            found = self.get_json(f"/block/{block}")
            assert_equal(found["modelhash"], header.model_hash.hex())
            assert_equal(found, self.node.getblock(block, 3))
            short = self.get_json(f"/block/notxdetails/{block}")
            assert_equal(short, self.node.getblock(block, 1))
            assert_equal(self.get(f"/blockpart/{block}.bin?offset=80&size=32"), header.model_hash)
        self.get(f"/block/{'ab' * 32}.bin", status=404)

    def check_rest(self):
        self.log.info("blockhashbyheight, blockfilter, spenttxouts, tx, getutxos, chaininfo, deploymentinfo")
        block = self.blocks[0]
        assert_equal(self.get_json(f"/blockhashbyheight/{self.podl_height}"), {"blockhash": block})
        self.wait_until(lambda: all(i["synced"] for i in self.node.getindexinfo().values()))
        found = self.node.getblockfilter(block)
        assert_equal(self.get_json(f"/blockfilter/basic/{block}"), {"filter": found["filter"]})
        assert_equal(
            json.loads(self.get(f"/blockfilterheaders/basic/{block}.json?count=1")), [found["header"]]
        )
        spent = self.get_json(f"/spenttxouts/{block}")
        assert_equal([[coin["value"] for coin in tx] for tx in spent], [[], [50]])
        assert_equal(self.get_json(f"/tx/{self.tx['txid']}")["blockhash"], block)
        coin = self.get_json(f"/getutxos/{self.tx['txid']}-0")
        assert_equal(
            (coin["chainHeight"], coin["utxos"][0]["height"]), (self.podl_height + 1, self.podl_height)
        )
        assert_equal(self.get_json("/chaininfo"), self.node.getblockchaininfo())
        assert_equal(self.get_json("/deploymentinfo"), self.node.getdeploymentinfo())


if __name__ == "__main__":
    PodlRestTest(__file__).main()
