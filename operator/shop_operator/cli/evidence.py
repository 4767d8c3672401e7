"""The facts about a ShopService that `explain` needs, read from the cluster."""

import contextlib
from dataclasses import replace

from shop_operator.cli.api_server import Object
from shop_operator.cli.cluster import Cluster
from shop_operator.cli.errors import NotAllowed, NotThere
from shop_operator.cli.explain import Facts, unavailable
from shop_operator.status.diagnosis import diagnosis, last_line, of_newest


def facts(cluster: Cluster, shop: Object) -> Facts:
    """The facts, as far as the user may read them."""
    namespace, name = shop["metadata"]["namespace"], shop["metadata"]["name"]
    found = Facts(shop)
    with contextlib.suppress(NotAllowed):
        pods, replicasets = cluster.pods(namespace, name), cluster.replicasets(namespace, name)
        known = diagnosis(of_newest(pods, replicasets))
        found = replace(found, diagnosis=known)
        if known is not None and known.container is not None:
            log = cluster.log(namespace, known.pod, known.container, previous=known.previous)
            found = replace(found, words=last_line(log))
        found = replace(found, unavailable=unavailable(cluster.deployments(namespace, name)))
        of_pod = {each["metadata"]["uid"] for each in pods if known and each["metadata"]["name"] == known.pod}
        others = {each["metadata"]["uid"] for each in (shop, *pods, *replicasets)}
        found = replace(found, warnings=cluster.warnings(namespace, others))
        found = replace(found, probes=cluster.warnings(namespace, of_pod) if of_pod else [])
    if (shop.get("spec") or {}).get("gateway"):
        with contextlib.suppress(NotAllowed, NotThere):
            found = replace(found, gateways=cluster.gateways())
    return found
