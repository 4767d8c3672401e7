"""The sources of the pages, and how often they load themselves again."""

from dataclasses import dataclass

from shop_operator.cli.cluster import Cluster
from shop_operator.cli.ui.fleet import Fleet
from shop_operator.cli.ui.jaeger import Jaeger
from shop_operator.cli.ui.shop import Shop


@dataclass(frozen=True)
class Console:
    """The sources of the pages.

    Args:
        cluster: the cluster.
        fleet: its ShopServices.
        shop: the API of the shop; None if its URL is not known.
        jaeger: the traces of orders.
    """

    cluster: Cluster
    fleet: Fleet
    shop: Shop | None
    jaeger: Jaeger


SLOW = 10
"""Seconds after which a page loads itself again, even if no ShopService has changed."""
FAST = 3
"""The same for a page that changes without them."""
