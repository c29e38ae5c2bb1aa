"""The ordinary part of the chain: blocks below the first PoDL block, a wallet, a transaction."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from podl_tools.tool_errors import NodeUnreachableError, NodeWarmupError
from regtest.errors import DemoError
from regtest.plan import NODES, PODL_HEIGHT

if TYPE_CHECKING:
    from regtest.network import Network

WALLET: Final = "demo"
_AMOUNT: Final = 1
# Ordinary blocks mined at once are dated ahead of the clock, one second for every six of them. Made in the
# past, they leave room for commitments, which must be dated between their parents and the clock.
_HEAD_START_SECONDS: Final = 600


@dataclass(frozen=True)
class Payment:
    """An ordinary transaction: its id, and the height of the coin it spends."""

    txid: str
    coin_height: int


def start_first_node(network: Network) -> None:
    """Start node 0 and mine the ordinary blocks on it, into a wallet of its own."""
    network.start(network.nodes[:1])
    network.wait_until("node0 answers", partial(_answers, network, 0))
    network.rpc(0, "setmocktime", int(time.time()) - _HEAD_START_SECONDS)
    network.rpc(0, "createwallet", WALLET)
    network.rpc(0, "generatetoaddress", PODL_HEIGHT - 1, network.rpc(0, "getnewaddress"))
    network.rpc(0, "setmocktime", 0)


def start_other_nodes(network: Network) -> None:
    """Start the other nodes and wait until all know each other and have the same blocks."""
    network.start(network.nodes[1:])
    for at in range(1, NODES):
        network.wait_until(f"node{at} answers", partial(_answers, network, at))
    network.wait_until(
        "every node is connected to all others",
        lambda: all(network.rpc(at, "getconnectioncount") >= NODES - 1 for at in range(NODES)),
    )
    tip = network.rpc(0, "getbestblockhash")
    network.wait_until(
        f"every node has block {PODL_HEIGHT - 1}",
        lambda: all(network.rpc(at, "getbestblockhash") == tip for at in range(NODES)),
    )


def _answers(network: Network, index: int) -> bool:
    try:
        network.rpc(index, "getblockcount")
    except (NodeUnreachableError, NodeWarmupError):
        return False
    return True


def new_addresses(network: Network, count: int) -> list[str]:
    """Return fresh addresses of the demonstration's wallet."""
    return [network.rpc(0, "getnewaddress") for _ in range(count)]


def pay(network: Network) -> Payment:
    """Send an ordinary transaction and wait until it is in every node's memory pool."""
    address = network.rpc(0, "getnewaddress")
    txid = network.rpc(0, "sendtoaddress", address, _AMOUNT)
    details = network.rpc(0, "gettransaction", txid, True, True)["decoded"]
    coin = network.rpc(0, "gettransaction", details["vin"][0]["txid"])
    network.wait_until("every node knows the transaction", partial(_known_everywhere, network, txid))
    return Payment(txid, coin["blockheight"])


def _known_everywhere(network: Network, txid: str) -> bool:
    return all(txid in network.rpc(at, "getrawmempool") for at in range(NODES))


def confirmed_height(network: Network, payment: Payment) -> int:
    """Return the height of the PoDL block that holds the transaction.

    Raises
    ------
    DemoError
        It is in no PoDL block, or spends no coin of an ordinary block.
    """
    found = network.rpc(0, "gettransaction", payment.txid)
    height = found.get("blockheight")
    if height is None or height < PODL_HEIGHT:
        raise DemoError(f"transaction {payment.txid} is in no PoDL block")
    if payment.coin_height >= PODL_HEIGHT:
        raise DemoError(f"transaction {payment.txid} spends a coin of height {payment.coin_height}")
    for at in range(NODES):
        if payment.txid not in network.rpc(at, "getblock", found["blockhash"])["tx"]:
            raise DemoError(f"node{at} has block {height} without transaction {payment.txid}")
    return int(height)
