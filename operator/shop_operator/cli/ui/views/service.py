"""The page of one ShopService. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from shop_operator.cli import views as trees
from shop_operator.cli.events import last_seen
from shop_operator.cli.explain import Explanation
from shop_operator.cli.ui.views.overview import Drift, Health, drift, health, tag
from shop_operator.cli.ui.views.times import Moment, moment
from shop_operator.names import REVISION_ANNOTATION
from shop_operator.objects.lenient import digits

Object = Mapping[str, Any]

MOST_EVENTS: Final = 50
_FIRST: Final = ("Ready", "Available", "Progressing", "Reconciling", "Stalled", "DependenciesReady")
# Conditions that are good when they are False.
_PROBLEMS: Final = frozenset({"Progressing", "Reconciling", "Stalled"})


@dataclass(frozen=True)
class Found:
    """The objects that were read from the cluster for a ShopService.

    Args:
        shop: the ShopService.
        owned: the objects with its label, including ReplicaSets and Pods.
        events: Events about it and about them, newest first.
        explained: the explanation of its state.
        missing: the kinds that the user may not list.
    """

    shop: Object
    owned: Sequence[Object] = ()
    events: Sequence[Object] = ()
    explained: Explanation | None = None
    missing: Sequence[str] = ()


@dataclass(frozen=True)
class Condition:
    """A condition, with the state that it means."""

    type: str
    health: Health
    status: str
    reason: str
    message: str
    since: Moment | None


@dataclass(frozen=True)
class Revision:
    """A revision of a Deployment.

    Args:
        number: its number.
        deployment: name of the Deployment.
        image: image of the container with the ShopService's image.
        pods: number of pods.
        made: when it was created.
        notes: such as "current" or "rolled back".
    """

    number: int
    deployment: str
    image: str
    pods: int
    made: Moment | None
    notes: Sequence[str]


@dataclass(frozen=True)
class Pod:
    """A pod, with its containers."""

    name: str
    health: Health
    restarts: int
    age: Moment | None
    containers: Sequence[str]


@dataclass(frozen=True)
class Event:
    """An Event."""

    at: Moment | None
    warning: bool
    reason: str
    about: str
    note: str
    count: int


@dataclass(frozen=True)
class Service:
    """The page of a ShopService."""

    namespace: str
    name: str
    health: Health
    explained: Explanation | None
    image: str
    url: str
    bounds: str
    pods_ready: str
    conditions: Sequence[Condition]
    tree: trees.Node
    revisions: Sequence[Revision]
    pods: Sequence[Pod]
    events: Sequence[Event]
    drift: Drift | None
    commands: Sequence[str] = field(default_factory=list)
    missing: Sequence[str] = ()


def service(found: Found, now: datetime) -> Service:
    """The page of a ShopService, as far as its objects could be read."""
    shop = found.shop
    namespace, name = shop["metadata"]["namespace"], shop["metadata"]["name"]
    state = shop.get("status") or {}
    pods = [each for each in found.owned if each["kind"] == "Pod"]
    return Service(
        namespace=namespace,
        name=name,
        health=health(shop),
        explained=found.explained,
        image=(shop.get("spec") or {}).get("image", ""),
        url=state.get("url", ""),
        bounds=state.get("autoscaling", ""),
        pods_ready=state.get("ready", ""),
        conditions=_conditions(shop, now),
        tree=trees.tree(shop, found.owned, found.missing),
        revisions=_revisions(shop, found.owned, now),
        pods=sorted((_pod(each, now) for each in pods), key=lambda each: each.name),
        events=[_event(each, now) for each in found.events[:MOST_EVENTS]],
        drift=drift(shop, now),
        commands=_commands(namespace, name, suspended=bool((shop.get("spec") or {}).get("suspend"))),
        missing=found.missing,
    )


def _conditions(shop: Object, now: datetime) -> list[Condition]:
    known = (shop.get("status") or {}).get("conditions") or ()
    order = {name: index for index, name in enumerate(_FIRST)}
    return [
        Condition(
            each["type"],
            _meaning(each),
            each["status"],
            each["reason"],
            each.get("message", ""),
            moment(each.get("lastTransitionTime"), now),
        )
        for each in sorted(known, key=lambda each: order.get(each["type"], len(order)))
    ]


def _meaning(condition: Object) -> Health:
    status = condition["status"]
    if status == "Unknown":
        return Health("idle", status)
    if condition["type"] in _PROBLEMS:
        bad = "bad" if condition["type"] == "Stalled" else "busy"
        return Health(bad if status == "True" else "good", status)
    return Health("good" if status == "True" else "bad", status)


def _revisions(shop: Object, owned: Iterable[Object], now: datetime) -> list[Revision]:
    sets = [each for each in owned if each["kind"] == "ReplicaSet"]
    newest: dict[str, int] = {}
    for each in sets:
        owner = _owner(each)
        newest[owner] = max(newest.get(owner, 0), _number(each))
    rollout = (shop.get("status") or {}).get("rollout") or {}
    found = [
        Revision(
            _number(each),
            _owner(each),
            _image(each),
            int((each.get("status") or {}).get("replicas") or 0),
            moment(each["metadata"].get("creationTimestamp"), now),
            _notes(each, newest, rollout),
        )
        for each in sets
    ]
    return sorted(found, key=lambda each: (each.deployment, -each.number))


def _notes(replicaset: Object, newest: Mapping[str, int], rollout: Object) -> list[str]:
    image = _image(replicaset)
    facts = (
        ("current", _number(replicaset) == newest[_owner(replicaset)]),
        ("last available", image == rollout.get("lastAvailableImage")),
        ("rolled back", image == rollout.get("rejectedImage")),
    )
    return [note for note, holds in facts if holds]


def _owner(obj: Object) -> str:
    owners: Sequence[Object] = obj["metadata"].get("ownerReferences") or ()
    return str(owners[0].get("name", "")) if owners else ""


def _number(replicaset: Object) -> int:
    return digits((replicaset["metadata"].get("annotations") or {}).get(REVISION_ANNOTATION))


def _image(replicaset: Object) -> str:
    containers = replicaset["spec"]["template"]["spec"]["containers"]
    return tag(str(containers[0].get("image", "")))


def _pod(pod: Object, now: datetime) -> Pod:
    state = pod.get("status") or {}
    statuses = [*(state.get("initContainerStatuses") or ()), *(state.get("containerStatuses") or ())]
    spec = pod.get("spec") or {}
    names = [each["name"] for part in ("initContainers", "containers") for each in spec.get(part) or ()]
    return Pod(
        pod["metadata"]["name"],
        _pod_health(pod),
        sum(int(each.get("restartCount") or 0) for each in statuses),
        moment(pod["metadata"].get("creationTimestamp"), now),
        names,
    )


def _pod_health(pod: Object) -> Health:
    state = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return Health("busy", "Terminating")
    if any(each["type"] == "Ready" and each["status"] == "True" for each in state.get("conditions") or ()):
        return Health("good", "Ready")
    for each in state.get("containerStatuses") or ():
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            return Health("bad", waiting["reason"])
    return Health("busy", state.get("phase") or "Pending")


def _event(event: Object, now: datetime) -> Event:
    about = event.get("regarding") or {}
    series = event.get("series") or {}
    return Event(
        moment(last_seen(event), now),
        event.get("type") == "Warning",
        event.get("reason") or "",
        f"{about.get('kind', '')} {about.get('name', '')}",
        event.get("note") or "",
        int(series.get("count") or event.get("deprecatedCount") or 1),
    )


def _commands(namespace: str, name: str, *, suspended: bool) -> list[str]:
    """The commands that change a ShopService, to copy: the pages change nothing."""
    pause = "resume" if suspended else "suspend"
    return [f"kubectl shop {verb} {name} -n {namespace}" for verb in ("restart", "rollback", pause)]
