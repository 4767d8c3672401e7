"""The content of the page of a ShopService, as far as the user may read it."""

from typing import Final

from shop_operator.cli.cluster import Cluster
from shop_operator.cli.errors import NotAllowed, NotThere
from shop_operator.cli.evidence import facts
from shop_operator.cli.explain import explain
from shop_operator.cli.ui.views.service import Found

LOG_LINES: Final = 200
LONGEST_LOG: Final = 65_536
"""Bytes of the longest log that a page contains."""


def found(cluster: Cluster, namespace: str, name: str) -> Found:
    """A ShopService, its objects and their Events.

    Raises:
        NotThere: it does not exist.
        NotAllowed: the user may not read it.
        NotReachable: the cluster does not respond.
    """
    shop = cluster.shop(namespace, name)
    owned, hidden = cluster.owned(namespace, name)
    uids = {each["metadata"]["uid"] for each in (shop, *owned)}
    try:
        events = cluster.events(namespace, uids)
    except NotAllowed:
        events, hidden = [], [*hidden, "Event"]
    return Found(shop, owned, events, explain(facts(cluster, shop)), hidden)


def log(cluster: Cluster, namespace: str, name: str, pod: str, container: str, *, previous: bool) -> str:
    """The end of the log of a container.

    Raises:
        NotThere: the ShopService has no such pod.
        CliError: the log cannot be read.
    """
    if all(each["metadata"]["name"] != pod for each in cluster.pods(namespace, name)):
        raise NotThere(f"{name} has no pod {pod}; it may have been replaced")
    return cluster.log_of(namespace, pod, container, previous=previous, lines=LOG_LINES, longest=LONGEST_LOG)
