"""What a namespace shall be in the end: the pure render of its ShopServices, and nothing else of theirs.

It compares in its own way, so that the operator's comparison is not its own judge.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from shop_operator.render import Surroundings, render
from shop_operator.spec import DEFAULT_PORT, ShopService
from tests.integration.cluster import CHILD_KINDS, Cluster
from tests.integration.operators import Operator, Quiet
from tests.waiting import wait_for

Object = Mapping[str, Any]

QUIET_SECONDS: Final = 2.0


def differences(cluster: Cluster, namespace: str) -> list[str]:
    """Where a namespace is not what its ShopServices say, one line each.

    The count of pods is only compared where the spec names one, since otherwise the live one is kept.
    """
    found: list[str] = []
    shops = {each["metadata"]["name"]: each for each in _objects(cluster, "ShopService", namespace)}
    live = {
        (kind, each["metadata"]["name"]): each
        for kind in CHILD_KINDS
        for each in _objects(cluster, kind, namespace)
    }
    served = {kind for kind in CHILD_KINDS if _served(cluster, kind, namespace)}
    wanted: dict[tuple[str, str], str] = {}
    for name, shop in shops.items():
        for child in _rendered(shop, shops, served):
            key = (child["kind"], child["metadata"]["name"])
            wanted[key] = shop["metadata"]["uid"]
            if key not in live:
                found.append(f"{key[0]}/{key[1]} is missing")
            else:
                found += [f"{key[0]}/{key[1]} {each}" for each in _differing(child, live[key])]
        observed = (shop.get("status") or {}).get("observedGeneration")
        if observed != shop["metadata"]["generation"]:
            found.append(
                f"ShopService/{name} was observed at {observed}, not {shop['metadata']['generation']}"
            )
    shops_uids = {shop["metadata"]["uid"] for shop in shops.values()}
    for key, obj in live.items():
        ours = [
            each["uid"]
            for each in obj["metadata"].get("ownerReferences", ())
            if each["kind"] == "ShopService"
        ]
        if ours and wanted.get(key) not in ours:
            # The garbage collector takes what a deleted ShopService leaves, the operator all else.
            whose = "us" if shops_uids.intersection(ours) else "the garbage collector"
            found.append(f"{key[0]}/{key[1]} is left over by {whose}")
    return found


def settled(cluster: Cluster, namespace: str, operator: Operator, deadline: float = 60) -> None:
    """Wait until a namespace is what it shall be; then nothing may be written any more.

    Raises:
        NotYet: with what differs, or how much was written.
    """

    def as_rendered() -> bool:
        found = differences(cluster, namespace)
        assert not found, found
        return True

    wait_for(as_rendered, deadline, what=f"namespace {namespace} as rendered")
    wait_for(Quiet(operator.writes, QUIET_SECONDS), deadline, what="no more writes")
    assert differences(cluster, namespace) == []


def _rendered(shop: Object, shops: Mapping[str, Object], served: set[str]) -> list[dict[str, Any]]:
    name, depends = shop["metadata"]["name"], shop["spec"].get("dependsOn", ())
    told = {each["type"]: each["reason"] for each in shop.get("status", {}).get("conditions", ())}
    around = Surroundings(
        dependencies={
            each: shops[each]["spec"].get("port", DEFAULT_PORT) for each in depends if each in shops
        },
        dependants=frozenset(
            each for each, other in shops.items() if name in other["spec"].get("dependsOn", ())
        ),
        served=served,
        # How long that lasts is a matter of its own tests; here only what it holds back.
        hold=told.get("Ready") == "WaitingForDependencies",
    )
    children = render(ShopService.from_object(shop), live=None, around=around)
    for child in children:
        # The first says what was applied and not how; a count that nobody names is whoever's scaled last.
        child["metadata"].pop("annotations", None)
        if child["kind"] == "Deployment" and shop["spec"].get("replicas") is None:
            child["spec"].pop("replicas", None)
    return children


def _differing(wanted: Any, live: Any, path: str = "") -> Iterator[str]:
    """Where live lacks what is wanted; what is empty may be left out, what lists say is said in full."""
    if isinstance(wanted, Mapping):
        if live is None and not wanted:
            return
        if not isinstance(live, Mapping):
            yield f"{path or '.'} is {live!r}, not {wanted!r}"
            return
        for key, value in wanted.items():
            yield from _differing(value, live.get(key), f"{path}.{key}")
    elif isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if len(wanted) != len(live or ()):
            yield f"{path} has {len(live or ())} items, not {len(wanted)}"
            return
        for i, value in enumerate(wanted):
            yield from _differing(value, live[i], f"{path}[{i}]")
    elif wanted != live and (wanted or live):
        yield f"{path} is {live!r}, not {wanted!r}"


def _served(cluster: Cluster, kind: str, namespace: str) -> bool:
    return bool(cluster.http.get(cluster.path(kind, namespace), params={"limit": "1"}).is_success)


def _objects(cluster: Cluster, kind: str, namespace: str) -> list[dict[str, Any]]:
    answer = cluster.http.get(cluster.path(kind, namespace))
    if answer.status_code == 404:
        return []
    found = answer.raise_for_status().json()
    # What a list says once is not said by its items.
    return [{"kind": kind, "apiVersion": found["apiVersion"], **each} for each in found["items"]]
