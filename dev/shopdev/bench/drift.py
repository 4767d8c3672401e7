"""Measure how soon the operator restores each child that is deleted, and each of its fields that is edited."""

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render import render
from shopdev.bench.apiserver import Api, Refused, path_of, shop_path
from shopdev.bench.loads import create, name_of
from shopdev.bench.processes import Operator

# A spec with every kind of child, without a discovery hostname.
EVERYTHING: Final[Mapping[str, Any]] = {
    "image": "registry.example/shop:1",
    "command": ["serve"],
    "args": ["--verbose"],
    "autoscaling": {"minReplicas": 2, "maxReplicas": 6, "cpu": 70, "memory": 80},
    "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
    "env": [{"name": "SETTING", "value": "value"}],
    "envFrom": [{"configMapRef": {"name": "settings"}}],
    "gateway": {"name": "public", "namespace": "gateways"},
    "routes": [{"path": "/shop", "methods": ["GET"], "hostnames": ["shop.example"]}],
    "networkPolicy": {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]},
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/shop"}},
    "disruption": {"maxUnavailable": "25%"},
    "rollout": {"maxSurge": 1, "progressDeadlineSeconds": 120},
    "monitoring": {"interval": "15s"},
    "workers": [
        {"name": "relay", "command": ["relay"], "replicas": 3, "port": 9000},
        {
            "name": "consumer",
            "command": ["consume"],
            "autoscaling": {
                "minReplicas": 0,
                "maxReplicas": 5,
                "queue": {
                    "url": "https://sqs.eu-west-1.amazonaws.com/123456789012/orders",
                    "region": "eu-west-1",
                    "messagesPerReplica": 5,
                },
            },
        },
    ],
}
SHOPS: Final = 60


def everything(index: int) -> dict[str, Any]:
    """The spec of a ShopService by number. Only one has a discovery hostname, which is unique in the cluster."""
    return {**EVERYTHING, "discovery": {"hostname": f"{name_of(index)}.example.internal"}}


DEADLINE: Final = 10.0

# Value of an enumeration -> another one.
_OTHERS: Final = {
    "Always": "IfNotPresent",
    "AlwaysAllow": "IfHealthyBudget",
    "ClusterIP": "NodePort",
    "DoNotSchedule": "ScheduleAnyway",
    "Egress": "Ingress",
    "GET": "POST",
    "HTTP": "HTTPS",
    "IfNotPresent": "Always",
    "Ingress": "Egress",
    "PathPrefix": "Exact",
    "RuntimeDefault": "Unconfined",
    "ScheduleAnyway": "DoNotSchedule",
    "TCP": "UDP",
    "UDP": "TCP",
}
# Owners and identity of an object, which are not edited.
_IDENTITY: Final = frozenset({"apiVersion", "kind", "name", "namespace", "ownerReferences"})
_COUNT: Final = ("spec", "replicas")

Path = tuple[str | int, ...]


@dataclass
class Repairs:
    """The results for one kind.

    Attributes:
        deleted: seconds until a deleted child existed again.
        edited: seconds until an edited field was restored.
        refused: fields whose edit the API server refused.
        missed: fields that were not restored.
    """

    deleted: list[float] = field(default_factory=list)
    edited: list[float] = field(default_factory=list)
    refused: int = 0
    missed: list[str] = field(default_factory=list)


async def drift(api: Api, operator: Operator) -> dict[str, Repairs]:
    """Kind of child -> results. Each ShopService gets few edits, because the operator slows down repeated ones."""
    namespace = await api.fresh()
    await create(api, namespace, SHOPS, everything)
    await operator.quiet()
    shops = [await _rendered(api, namespace, index) for index in range(SHOPS)]
    found: defaultdict[str, Repairs] = defaultdict(Repairs)
    edits = 0
    for position, child in enumerate(shops[0]):
        kind = child["kind"]
        for leaf in leaves(child):
            # An autoscaler owns the number of replicas.
            if kind == "Deployment" and leaf == _COUNT and not child["metadata"]["name"].endswith("-relay"):
                continue
            edits += 1
            await _edit(api, _path(shops[edits % SHOPS][position]), leaf, found[kind])
        edits += 1
        found[kind].deleted.append(await _delete(api, _path(shops[edits % SHOPS][position])))
    await operator.quiet()
    return dict(found)


async def _rendered(api: Api, namespace: str, index: int) -> list[dict[str, Any]]:
    live = await api.call("GET", shop_path(namespace, name_of(index)))
    return render(ShopService.from_object(live), live=None)


def _path(child: Mapping[str, Any]) -> str:
    metadata = child["metadata"]
    return path_of(child["kind"], metadata["namespace"], metadata["name"])


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every value of an apply configuration, except its identity."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not (key in _IDENTITY and path in {(), ("metadata",)}):
                yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path


def others(value: Any) -> Iterator[Any]:
    """Other values for a field, in the order in which the API server is likely to accept them."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
        yield value - 1
    elif isinstance(value, str):
        if value in _OTHERS:
            yield _OTHERS[value]
        if re.search(r"\d", value):
            yield re.sub(r"\d+", lambda number: str(int(number[0]) + 1), value, count=1)
        yield f"{value}x"


def at(obj: Any, path: Path) -> Any:
    """The value at a path; None if it does not exist."""
    for key in path:
        try:
            obj = obj[key]
        except (KeyError, IndexError, TypeError):
            return None
    return obj


async def _edit(api: Api, path: str, leaf: Path, repairs: Repairs) -> None:
    """Edit one field and wait until it is restored."""
    before = await api.call("GET", path)
    for other in others(at(before, leaf)):
        answer = await _put(api, path, leaf, other)
        if answer is None or at(answer, leaf) == at(before, leaf):
            continue
        took = await _until(api, path, partial(_is_again, leaf, before), time.perf_counter())
        if took is None:
            repairs.missed.append(".".join(map(str, leaf)))
        else:
            repairs.edited.append(took)
        if at(await api.call("GET", path), leaf) != at(before, leaf):
            # An item with another key belongs to another field manager and would disturb later edits.
            await _delete(api, path)
        return
    repairs.refused += 1


async def _put(api: Api, path: str, leaf: Path, value: Any) -> Any:
    """The object with another value at a path; None if the API server refuses all of them."""
    while True:
        edited = await api.call("GET", path)
        at(edited, leaf[:-1])[leaf[-1]] = value
        try:
            return await api.call("PUT", path, edited, fieldManager="mallory")
        except Refused as error:
            if error.status != HTTPStatus.CONFLICT:
                return None


def _is_again(leaf: Path, before: Any, obj: dict[str, Any]) -> bool:
    """Whether the value is restored; for the key of a list item, at any position."""
    if at(obj, leaf) == at(before, leaf):
        return True
    item, items = at(before, leaf[:-1]), at(obj, leaf[:-2])
    return isinstance(items, list) and item in items


async def _delete(api: Api, path: str) -> float:
    uid = (await api.call("GET", path))["metadata"]["uid"]
    started = time.perf_counter()
    await api.call("DELETE", path)
    took = await _until(api, path, lambda obj: obj["metadata"]["uid"] != uid, started)
    return DEADLINE if took is None else took


async def _until(
    api: Api, path: str, is_well: Callable[[dict[str, Any]], bool], started: float
) -> float | None:
    """Seconds until an object is restored; None if it was not."""
    while time.perf_counter() - started < DEADLINE:
        try:
            if is_well(await api.call("GET", path)):
                return time.perf_counter() - started
        except Refused:
            pass
        await asyncio.sleep(0.005)
    return None
