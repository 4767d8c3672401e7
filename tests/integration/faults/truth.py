"""Expected final state of a namespace: the pure render of its ShopServices, and no other children.

The comparison is independent of the operator's own: it uses the API server's objects and their
managedFields. It trusts one value of the operator: an image in a ShopService's status shows
that the image's pods were ready once.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.api.v1alpha1.spec import DEFAULT_PORT
from shop_operator.render import LiveScale, Surroundings, render
from tests.integration.cluster import CHILD_KINDS, PLURALS, Cluster
from tests.integration.operators import Operator, Quiet
from tests.waiting import wait_for

Object = Mapping[str, Any]
Id = tuple[str, str]
"""Kind and name of a child."""

QUIET_SECONDS: Final = 2.0
LONG_QUIET_SECONDS: Final = 8.0
"""Longer than every periodic action of the operator: a status once a second, a contested field every two, a check of its
own watch every six."""

GRACE: Final = timedelta(seconds=120)
"""How long the first pods of a ShopService wait for what it depends on."""
_SOON: Final = timedelta(seconds=40)

_BUDGET: Final = "PodDisruptionBudget"
_MANAGER: Final = "shop-operator"
_REMEMBERED: Final = {"shopservice.dev/applied-hash": ""}
# Fields that the operator owns as a whole: additions by other managers are reverted too.
_WHOLE: Final = frozenset(
    {
        *("selector", "matchLabels", "podSelector", "namespaceSelector", "nodeSelector", "labelSelector"),
        *("scaleTargetRef", "ingress", "egress", "policyTypes", "metrics"),
    }
)
# The one key of a list's items that need not be said.
_DEFAULT_KEYS: Final = {"protocol": "TCP"}


@dataclass(frozen=True)
class Seen:
    """One namespace as it is.

    Attributes:
        shops: its ShopServices by name.
        live: whatever there is of the kinds of children, by kind and name.
        served: those kinds of which there can be any.
        at: when.
    """

    shops: Mapping[str, Object]
    live: Mapping[Id, Object]
    served: AbstractSet[str]
    at: datetime

    @classmethod
    def of(cls, cluster: Cluster, namespace: str) -> "Seen":
        """Look now."""
        found = {kind: _objects(cluster, kind, namespace) for kind in CHILD_KINDS}
        return cls(
            shops={
                each["metadata"]["name"]: each for each in _objects(cluster, "ShopService", namespace) or ()
            },
            live={
                (kind, each["metadata"]["name"]): each
                for kind, objects in found.items()
                for each in objects or ()
            },
            served={kind for kind, objects in found.items() if objects is not None},
            at=datetime.now(UTC),
        )

    def held(self, name: str) -> timedelta | None:
        """For how long a ShopService may still do without Deployments, None when it must have them.

        It may until what it depends on is available, but only before its first Deployment, not for longer than the grace
        period, and not where two wait for each other.
        """
        shop = self.shops[name]
        left = datetime.fromisoformat(shop["metadata"]["creationTimestamp"]) + GRACE - self.at
        began = "image" in shop.get("status", {}) or any(
            kind == "Deployment" and shop["metadata"]["uid"] in _owners(obj)
            for (kind, _), obj in self.live.items()
        )
        waits = not all(self._available(each) for each in _depends(shop)) and name not in self._behind(name)
        return left if waits and not began and left > timedelta() else None

    def deployments(self, owners: AbstractSet[str]) -> list[Object]:
        """The Deployments that belong to any of these ShopServices."""
        return [obj for (kind, _), obj in self.live.items() if kind == "Deployment" and owners & _owners(obj)]

    def _available(self, name: str) -> bool:
        """Whether a ShopService is there, and its Deployment says that enough pods are."""
        web = self.live.get(("Deployment", name), {})
        told = {each["type"]: each["status"] for each in web.get("status", {}).get("conditions", ())}
        return name in self.shops and told.get("Available") == "True"

    def _behind(self, name: str) -> set[str]:
        """All that a ShopService depends on, and what that depends on, and so on."""
        found: set[str] = set()
        ways = [name]
        while ways:
            new = {each for each in _depends(self.shops.get(ways.pop(), {})) if each not in found}
            found |= new
            ways += new
        return found


def differences(cluster: Cluster, namespace: str) -> list[str]:
    """Where a namespace is not what its ShopServices say, one line each.

    The count of the web part's pods is only compared where the spec names one, since otherwise the live one is kept.
    """
    return list(judged(Seen.of(cluster, namespace)))


def judged(seen: Seen) -> Iterator[str]:
    """Where what was seen is not what the ShopServices say, one line each."""
    wanted: dict[Id, str] = {}
    for name, shop in seen.shops.items():
        for child in _rendered(name, seen):
            key = (child["kind"], child["metadata"]["name"])
            wanted[key] = shop["metadata"]["uid"]
            where = f"{key[0]}/{key[1]}"
            if key not in seen.live:
                yield f"{where} is missing"
            else:
                live = _without_earlier_rules(child, seen)
                yield from (f"{where} {each}" for each in _wrong(child, live, shop))
        observed = (shop.get("status") or {}).get("observedGeneration")
        if observed != shop["metadata"]["generation"]:
            yield f"ShopService/{name} was observed at {observed}, not {shop['metadata']['generation']}"
    uids = {shop["metadata"]["uid"] for shop in seen.shops.values()}
    for key, obj in seen.live.items():
        ours = _owners(obj)
        # Pods of an earlier template may still run under an account that is not wanted any more.
        needed = key[0] == "ServiceAccount" and any(
            _is_rolling_out(each) for each in seen.deployments(ours & uids)
        )
        if ours and wanted.get(key) not in ours and not needed:
            # The garbage collector takes what a deleted ShopService leaves, the operator all else.
            whose = "us" if uids & ours else "the garbage collector"
            yield f"{key[0]}/{key[1]} is left over by {whose}"


def rendered(cluster: Cluster, namespace: str, deadline: float = 60) -> None:
    """Wait until a namespace matches its expected state, for a moment at least.

    Raises:
        NotYet: with what differs.
    """
    wait_for(lambda: _as_rendered(cluster, namespace), deadline, what=f"namespace {namespace} as rendered")


def settled(
    cluster: Cluster,
    namespace: str,
    operator: Operator,
    *,
    deadline: float = 60,
    quiet: float = QUIET_SECONDS,
) -> None:
    """Wait until a namespace matches its expected state and the operator has sent no write for some seconds.

    Raises:
        NotYet: with what differs, or that it does not stop to write.
    """
    rendered(cluster, namespace, deadline)
    still = Quiet(operator.sent, quiet)
    wait_for(
        lambda: still() and _as_rendered(cluster, namespace), deadline, what=f"namespace {namespace} at rest"
    )


def settled_for_good(cluster: Cluster, namespace: str, operator: Operator) -> None:
    """Wait until a namespace matches its expected state and no other controller is about to cause more work.

    Raises:
        NotYet: with what differs, who is still expected, or that the operator does not stop to write.
    """
    settled(cluster, namespace, operator)
    no_wait_is_about_to_end(cluster, namespace)
    every_deployment_is_seen(cluster, namespace)
    wait_for(lambda: not silent_autoscalers(cluster, namespace), 60, what="a word of every autoscaler")
    settled(cluster, namespace, operator)


def no_wait_is_about_to_end(cluster: Cluster, namespace: str) -> None:
    """Wait until every ShopService has its Deployments, or will have to do without for a while yet."""

    def nobody_is_expected() -> bool:
        seen = Seen.of(cluster, namespace)
        left = [seen.held(name) for name in seen.shops]
        return all(each is None or each > _SOON for each in left)

    wait_for(nobody_is_expected, 60, what="no ShopService that is about to get its Deployments")


def every_deployment_is_seen(cluster: Cluster, namespace: str) -> None:
    """Wait until the controllers of Kubernetes have nothing left to say of any Deployment, since no pod gets ready here.

    A ReplicaSet whose pods were refused, as by a ServiceAccount that was away, tries again after ever longer times and without
    an event. What it says then goes into a status.
    """

    def seen() -> bool:
        unseen = [
            each["metadata"]["name"]
            for each in _objects(cluster, "Deployment", namespace) or ()
            if not _is_seen(each)
        ]
        assert not unseen, unseen
        return True

    wait_for(seen, 120, what="a word about every Deployment")


def _is_seen(deployment: Object) -> bool:
    status = deployment.get("status") or {}
    failed = {each["type"] for each in status.get("conditions", ()) if each["status"] == "True"}
    return (
        status.get("observedGeneration") == deployment["metadata"]["generation"]
        and status.get("replicas", 0) >= deployment["spec"]["replicas"]
        and "ReplicaFailure" not in failed
    )


def silent_autoscalers(cluster: Cluster, namespace: str) -> int:
    """How many have not said anything yet: their controller comes by every two seconds, and its first word goes into a status."""
    return sum(
        "conditions" not in each.get("status", {})
        for each in _objects(cluster, "HorizontalPodAutoscaler", namespace) or ()
    )


def has_nothing_to_do(cluster: Cluster, fresh: Operator, *, besides: int = 0) -> None:
    """Assert that a freshly started operator reconciles every existing ShopService without a write.

    Args:
        cluster: where.
        fresh: the operator.
        besides: how many statuses others may give it reason to write.

    Raises:
        NotYet: it does not come to an end.
        AssertionError: it has written something.
    """
    everywhere = cluster.http.get(f"/{PLURALS['ShopService'][0]}/shopservices").raise_for_status().json()
    wait_for(lambda: fresh.passes() >= len(everywhere["items"]), what="a pass over every ShopService")
    wait_for(Quiet(fresh.passes, QUIET_SECONDS), deadline=30, what="no more passes")
    assert fresh.metric("shop_operator_child_writes_total") == 0
    now = cluster.http.get(f"/{PLURALS['ShopService'][0]}/shopservices").raise_for_status().json()
    was = {each["metadata"]["uid"]: each.get("status") for each in everywhere["items"]}
    changed = [
        (was.get(each["metadata"]["uid"]), each.get("status"))
        for each in now["items"]
        if each.get("status") != was.get(each["metadata"]["uid"])
    ]
    assert fresh.sent() <= besides, f"{fresh.sent():.0f} writes of a restarted operator: {changed}"


def _as_rendered(cluster: Cluster, namespace: str) -> bool:
    found = differences(cluster, namespace)
    assert not found, found
    return True


def _is_rolling_out(deployment: Object) -> bool:
    """Whether pods of an earlier template may be left, or those of the newest are not all available."""
    status, wanted = deployment.get("status") or {}, deployment["spec"]["replicas"]
    counts = (status.get(each, 0) for each in ("replicas", "updatedReplicas", "availableReplicas"))
    observed = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return not observed or any(count != wanted for count in counts)


def _without_earlier_rules(wanted: Object, seen: Seen) -> Object:
    """A live child; a NetworkPolicy may have earlier rules of the operator after the wanted ones while pods are replaced."""
    live = seen.live[wanted["kind"], wanted["metadata"]["name"]]
    uids = {shop["metadata"]["uid"] for shop in seen.shops.values()}
    if live["kind"] != "NetworkPolicy" or not any(map(_is_rolling_out, seen.deployments(uids))):
        return live
    owned = [
        entry["fieldsV1"].get("f:spec", {})
        for entry in live["metadata"].get("managedFields", ())
        if (entry["manager"], entry["operation"]) == (_MANAGER, "Apply")
    ]
    spec = {
        each: (live["spec"].get(each) or [])[: len(wanted["spec"][each])]
        for each in ("ingress", "egress")
        if any(f"f:{each}" in fields for fields in owned)
    }
    return {**live, "spec": {**live["spec"], **spec}}


def _rendered(name: str, seen: Seen) -> list[dict[str, Any]]:
    shop, shops = seen.shops[name], seen.shops
    around = Surroundings(
        dependencies={
            each: shops[each]["spec"].get("port", DEFAULT_PORT) for each in _depends(shop) if each in shops
        },
        dependants=frozenset(each for each, other in shops.items() if name in _depends(other)),
        served=seen.served,
        hold=seen.held(name) is not None,
    )
    parsed = ShopService.from_object(shop)
    children = render(parsed, live=None, around=around)
    # A budget follows the current number of pods, regardless of the manager that scaled them.
    counts = {
        name: obj["spec"]["replicas"] for (kind, name), obj in seen.live.items() if kind == "Deployment"
    }
    scaled = render(parsed, live=LiveScale(counts, autoscaled=frozenset(counts)), around=around)
    return [
        *(each for each in children if each["kind"] != _BUDGET),
        *(each for each in scaled if each["kind"] == _BUDGET),
    ]


def _wrong(wanted: Object, live: Object, shop: Object) -> Iterator[str]:
    """Differences of one child from its expected state."""
    yield from _kept(wanted, live)
    web = wanted["kind"] == "Deployment" and wanted["metadata"]["name"] == shop["metadata"]["name"]
    if web and shop["spec"].get("replicas") is None:
        # A count that the spec omits belongs to the manager that scaled last.
        spec = {key: value for key, value in wanted["spec"].items() if key != "replicas"}
        wanted = {**wanted, "spec": spec}
    yield from _differing(wanted, live)


def _differing(wanted: Any, live: Any, path: str = "", *, whole: bool = False) -> Iterator[str]:
    """Where live is not what is wanted; what is empty may be left out, what lists say is said in full.

    Args:
        wanted: as rendered.
        live: as the API server has it, with more fields.
        path: where we are.
        whole: whether it may not have more fields.
    """
    if isinstance(wanted, Mapping):
        if live is None and not wanted:
            return
        if not isinstance(live, Mapping):
            yield f"{path or '.'} is {live!r}, not {wanted!r}"
            return
        for key, value in wanted.items():
            yield from _differing(value, live.get(key), f"{path}.{key}", whole=whole or key in _WHOLE)
        if whole:
            yield from (f"{path}.{key} is too much" for key in live.keys() - wanted.keys())
    elif isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if len(wanted) != len(live or ()):
            yield f"{path} has {len(live or ())} items, not {len(wanted)}"
            return
        for i, value in enumerate(wanted):
            yield from _differing(value, live[i], f"{path}[{i}]", whole=whole)
    elif wanted != live and not (wanted == "" and live is None):
        yield f"{path} is {live!r}, not {wanted!r}"


def _kept(wanted: Object, live: Object) -> Iterator[str]:
    """Fields that the operator owns according to managedFields but does not want (any more)."""
    owned = [
        entry["fieldsV1"]
        for entry in live["metadata"].get("managedFields", ())
        if (entry["manager"], entry["operation"]) == (_MANAGER, "Apply") and "subresource" not in entry
    ]
    if not owned:
        yield "is not the operator's"
    metadata = wanted["metadata"]
    signed = {**metadata, "annotations": {**metadata.get("annotations", {}), **_REMEMBERED}}
    for fields in owned:
        yield from _surplus(fields, {**wanted, "metadata": signed}, "")


def _surplus(fields: Object, wanted: Any, path: str) -> Iterator[str]:
    """Which of these fields (a `fieldsV1`) are not in what is wanted."""
    for key, below in fields.items():
        how, _, which = key.partition(":")
        if how == ".":
            continue
        found = list(_IN[how](wanted, which))
        if not found:
            yield f"{path}.{which} is owned and not wanted"
        elif below:
            yield from _surplus(below, found[0], f"{path}.{which}")


def _field(wanted: Any, name: str) -> list[Any]:
    return [wanted[name]] if isinstance(wanted, Mapping) and name in wanted else []


def _item_of_keys(wanted: Any, keys: str) -> list[Any]:
    meant: dict[str, Any] = json.loads(keys)
    return [each for each in wanted if meant.items() <= {**_DEFAULT_KEYS, **each}.items()]


def _item_of_value(wanted: Any, value: str) -> list[Any]:
    return [each for each in wanted if each == json.loads(value)]


# How a `fieldsV1` names what it is about (sigs.k8s.io/structured-merge-diff, fieldpath/serialize-pe.go).
_IN: Final = {"f": _field, "k": _item_of_keys, "v": _item_of_value}


def _depends(shop: Object) -> Sequence[str]:
    found: Sequence[str] = shop.get("spec", {}).get("dependsOn", ())
    return found


def _owners(obj: Object) -> set[str]:
    """The ShopServices, by their UID, to which an object belongs."""
    owners = obj["metadata"].get("ownerReferences", ())
    return {each["uid"] for each in owners if each["kind"] == "ShopService"}


def _objects(cluster: Cluster, kind: str, namespace: str) -> list[dict[str, Any]] | None:
    """Every object of a kind, None when it is not served."""
    answer = cluster.http.get(cluster.path(kind, namespace))
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return None
    found = answer.raise_for_status().json()
    # What a list says once is not said by its items.
    return [{"kind": kind, "apiVersion": found["apiVersion"], **each} for each in found["items"]]
