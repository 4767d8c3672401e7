"""Every child is deleted once, and every single field that the operator owns is edited: how soon is it back?"""

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from bench.apiserver import Api, Refused, path_of, shop_path
from bench.loads import create, name_of
from bench.processes import Operator
from shop_operator.render import render
from shop_operator.spec import ShopService

# Something of every kind of child.
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
    "discovery": {"hostname": "shop.example.internal"},
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
DEADLINE: Final = 10.0

# Where a word is one of a few, another one of them.
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
# Whose an object is is no drift, and what it is cannot change.
_IDENTITY: Final = frozenset({"apiVersion", "kind", "name", "namespace", "ownerReferences"})
_COUNT: Final = ("spec", "replicas")

Path = tuple[str | int, ...]


@dataclass
class Repairs:
    """Of one kind.

    Attributes:
        deleted: seconds until a child that was deleted was there again.
        edited: seconds until a field was as before.
        refused: fields that the API server lets nobody edit so.
        missed: fields that were never put back.
    """

    deleted: list[float] = field(default_factory=list)
    edited: list[float] = field(default_factory=list)
    refused: int = 0
    missed: list[str] = field(default_factory=list)


async def drift(api: Api, operator: Operator) -> dict[str, Repairs]:
    """By kind of child. Each ShopService gets few edits, since whoever edits one again and again is made to wait."""
    namespace = await api.fresh()
    await create(api, namespace, SHOPS, EVERYTHING)
    await operator.quiet()
    found: defaultdict[str, Repairs] = defaultdict(Repairs)
    edits = 0
    for child in await _rendered(api, namespace, 0):
        kind, suffix = child["kind"], child["metadata"]["name"].removeprefix(name_of(0))
        scaled = kind == "Deployment" and suffix != "-relay"
        for leaf in leaves(child):
            # The count of what has an autoscaler is whoever's scales it.
            if scaled and leaf == _COUNT:
                continue
            edits += 1
            path = path_of(kind, namespace, name_of(edits % SHOPS) + suffix)
            await _edit(api, path, leaf, found[kind])
        edits += 1
        found[kind].deleted.append(
            await _delete(api, path_of(kind, namespace, name_of(edits % SHOPS) + suffix))
        )
    await operator.quiet()
    return dict(found)


async def _rendered(api: Api, namespace: str, index: int) -> list[dict[str, Any]]:
    live = await api.call("GET", shop_path(namespace, name_of(index)))
    return render(ShopService.from_object(live), live=None)


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every single value of an apply configuration that is not its identity."""
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
    """What a value might be in its place, the likeliest to be allowed first."""
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
    """The value of a path, None when there is none."""
    for key in path:
        try:
            obj = obj[key]
        except (KeyError, IndexError, TypeError):
            return None
    return obj


async def _edit(api: Api, path: str, leaf: Path, repairs: Repairs) -> None:
    live = await api.call("GET", path)
    before = at(live, leaf)
    for other in others(before):
        edited = deepcopy(live)
        at(edited, leaf[:-1])[leaf[-1]] = other
        # The version of a moment ago may be the operator's own repair of another field.
        del edited["metadata"]["resourceVersion"]
        started = time.perf_counter()
        try:
            answer = await api.call("PUT", path, edited, fieldManager="mallory")
        except Refused as error:
            if error.status not in {HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_REQUEST}:
                raise
            continue
        if at(answer, leaf) == before:
            continue
        took = await _until(api, path, partial(_is_again, leaf, before), started)
        if took is None:
            repairs.missed.append(".".join(map(str, leaf)))
        else:
            repairs.edited.append(took)
        return
    repairs.refused += 1


def _is_again(leaf: Path, before: Any, obj: dict[str, Any]) -> bool:
    return bool(at(obj, leaf) == before)


async def _delete(api: Api, path: str) -> float:
    uid = (await api.call("GET", path))["metadata"]["uid"]
    started = time.perf_counter()
    await api.call("DELETE", path)
    took = await _until(api, path, lambda obj: obj["metadata"]["uid"] != uid, started)
    return DEADLINE if took is None else took


async def _until(
    api: Api, path: str, is_well: Callable[[dict[str, Any]], bool], started: float
) -> float | None:
    """Seconds until an object is well, None when it never was."""
    while time.perf_counter() - started < DEADLINE:
        try:
            if is_well(await api.call("GET", path)):
                return time.perf_counter() - started
        except Refused:
            pass
        await asyncio.sleep(0.005)
    return None
