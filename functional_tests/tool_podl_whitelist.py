#!/usr/bin/env python3
"""A validator works with an RPC user of its own, who can call nothing but what a validator needs."""

from urllib.parse import urlparse

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner
from podl_framework.sidecars import Observer, SidecarTestFramework
from test_framework.authproxy import AuthServiceProxy, JSONRPCException
from test_framework.util import assert_equal

from regtest.bitcoind import VALIDATOR_RPCS, rpcauth

PASSWORD = "of-the-validator"


class PodlWhitelistTest(SidecarTestFramework):
    """The cookie's user keeps all rights."""

    def set_test_params(self):
        self.num_nodes = 1

    def podl_args(self, index=0):
        return [
            *super().podl_args(index),
            f"-rpcauth={rpcauth('validator', PASSWORD)}",
            f"-rpcwhitelist=validator:{VALIDATOR_RPCS}",
            "-rpcwhitelistdefault=0",
        ]

    def status_of(self, rpc, method):
        """HTTP status of a call without arguments."""
        try:
            getattr(rpc, method)()
        except JSONRPCException as error:
            return error.http_status
        return 200

    def run_test(self):
        node = self.nodes[0]
        self.mine_to_podl()
        self.log.info("Everything else is forbidden, what would change the node or its keys first of all")
        address = urlparse(node.url)
        login = f"http://validator:{PASSWORD}@{address.hostname}:{address.port}"
        validator = AuthServiceProxy(login)
        allowed = set(VALIDATOR_RPCS.split(","))
        methods = {line.split()[0] for line in node.help().splitlines() if line and not line.startswith("==")}
        assert allowed < methods
        for method in sorted(methods - allowed):
            assert_equal(self.status_of(validator, method), 403)
        assert_equal(validator.getpodlinfo()["state"], "running")
        self.log.info("With that a validator does its work, and the node builds on it")
        self.start_requester(node, commitments=1, reportverdicts=0)
        self.start_validator("own", node, rpccookiefile=None, rpcuser="validator", rpcpassword=PASSWORD)
        miner = Miner(Observer(node, self.training), "miner")
        kept = miner.commit(node)
        self.wait_until(lambda: node.listpodlcandidates().get("shard", False))
        log = miner.requester.log
        miner.reveal_all(node, kept, log.latest_release(log.next_height).entry)
        self.wait_until(lambda: node.getbestblockhash() == kept.hash_hex, timeout=120)
        assert "own" in [row["name"] for row in node.getpodlinfo()["evaluators"]]
        self.stop_sidecars()


if __name__ == "__main__":
    PodlWhitelistTest(__file__).main()
