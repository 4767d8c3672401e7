"""The changes that applying the ShopServices of a file causes, in their children and in those of their neighbors. Pure.

A ShopService affects others: its dependencies admit its requests, and its dependants know its port.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from shop_operator.api.v1alpha1.common_metadata import NOTHING, OWNED_PREFIXES, CommonMetadata
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.live import deployments, live_scale, picking, rollouts, routes
from shop_operator.cache.snapshot import Child, Shop
from shop_operator.cache.store import Store
from shop_operator.cli.diff.changes import Change, changes, of_shopservice
from shop_operator.cli.diff.merge import applied
from shop_operator.cli.diff.removed_fields import applied_metadata
from shop_operator.cli.documents import NO_UID, BadFields, shopservice
from shop_operator.cli.errors import NotValid
from shop_operator.errors import InvalidSpec, OperatorError
from shop_operator.names import KIND, ChildId, Key
from shop_operator.objects.lenient import mapping
from shop_operator.objects.pod_security import Level
from shop_operator.render import configuration_uses
from shop_operator.render.configuration import Configuration, Record
from shop_operator.render.discovery import hostname
from shop_operator.render.prepare import Facts, prepare
from shop_operator.status.rollback import chosen, not_rolled_back

Object = Mapping[str, Any]
Children = Mapping[tuple[str, str], Object]
_NEWEST: Final = "9999-12-31T23:59:59Z"


@dataclass(frozen=True)
class Namespace:
    """One namespace of the cluster, and the settings of the operator that serves it.

    Args:
        shops: its ShopServices, by name.
        served: the kinds that the API server serves; None for all.
        children: returns the objects with the label of a ShopService.
        find: returns an object by kind and name.
        pod_security: the pod-security level of its pods.
        check: raises an error unless the operator serves the ShopService's namespace.
        queue_endpoints: prefixes of the queue addresses that are allowed in addition to those of AWS; None for any.
        prometheus: the URL at which Argo Rollouts reaches Prometheus; empty for none.
        common: metadata that a setting of the operator gives every child; None if it is unknown.
        cluster: returns the ShopServices that the user may read, and the Services with a discovery hostname.
    """

    shops: Mapping[str, Object]
    served: AbstractSet[str] | None
    children: Callable[[str], Children]
    find: Callable[[str, str], Object | None]
    pod_security: Level = "restricted"
    check: Callable[[Key], None] = lambda _: None
    queue_endpoints: Sequence[str] | None = None
    prometheus: str = ""
    common: CommonMetadata | None = None
    cluster: Callable[[], Iterable[Object]] = lambda: ()


def rendered(documents: Sequence[Object], level: Level = "restricted") -> list[dict[str, Any]]:
    """The children of ShopServices that have no other neighbors, within a pod-security level.

    Raises:
        NotValid: one of them cannot be rendered.
    """
    children = []
    for here in sorted({each["metadata"]["namespace"] for each in documents}):
        stored = [_stored(each, None) for each in documents if each["metadata"]["namespace"] == here]
        facts = _neighbors(stored)
        for each in stored:
            shop = shopservice(each)
            with _valid(shop):
                children += prepare(shop, replace(facts[shop.name], pod_security=level)).desired
    return children


def plan(documents: Sequence[Object], there: Namespace) -> Iterator[Change]:
    """The changes that applying these documents of one namespace causes.

    Raises:
        NotValid: one of them is rejected.
    """
    stored = {
        each["metadata"]["name"]: _stored(each, there.shops.get(each["metadata"]["name"]))
        for each in documents
    }
    after = {**there.shops, **stored}
    facts_before, facts_after = _neighbors(there.shops.values()), _neighbors(after.values())
    holder = _holders(stored.values(), there)
    for name, obj in after.items():
        if name in stored:
            own = of_shopservice(obj, there.shops.get(name))
            if own is not None:
                yield own
        elif facts_before[name] == facts_after[name]:
            continue
        yield from _of_children(obj, facts_after[name], there, holder, refused=name in stored)


def _of_children(
    obj: Object,
    neighbors: Facts,
    there: Namespace,
    holder: Callable[[str], Key | None],
    *,
    refused: bool,
) -> Iterator[Change]:
    """The changes of the children of one ShopService; none if it is suspended, or if its spec was rejected before."""
    name = obj["metadata"]["name"]
    try:
        wanted = shopservice(obj)
        with _valid(wanted, "metadata", "namespace"):
            there.check(Key(wanted.namespace, name))
        if wanted.spec.suspend:
            return
        live = there.children(name) if name in there.shops else {}
        with _valid(wanted):
            facts = _facts(wanted, neighbors, there, live, holder)
            made = chosen(wanted, facts, facts.called_ports.keys(), partial(_restored, facts))
        problems: list[OperatorError] = [*made.prepared.problems]
        desired = made.prepared.desired
        if made.unrestored:
            problems.append(not_rolled_back(wanted, made.unrestored, wanted.status["rollout"]))
            desired = [each for each in desired if each["kind"] != "Deployment"]
        yield from (Change.refused(each, KIND, name, None) for each in problems)
        kept = made.kept({ChildId(*each) for each in live})
        yield from changes(desired, live, wanted.uid, there.find, kept=kept)
    except NotValid:
        if refused:
            raise


def _holders(stored: Iterable[Object], there: Namespace) -> Callable[[str], Key | None]:
    """The holder of a discovery hostname after the apply. The claim of a new ShopService ranks last."""
    documents = [{**each, "metadata": {"creationTimestamp": _NEWEST, **each["metadata"]}} for each in stored]
    if not any((each["spec"].get("discovery") or {}).get("hostname") for each in documents):
        return lambda _: None
    store = Store()
    for each in (*there.cluster(), *there.shops.values()):
        store.put(each)
    for each in documents:
        # Newer than the object that was read.
        metadata = {**each["metadata"], "resourceVersion": str(sys.maxsize)}
        store.put({**each, "metadata": metadata})
    return store.holder


def _stored(document: Object, live: Object | None) -> dict[str, Any]:
    """The ShopService as the API server would store it."""
    obj = applied(document, live)
    given = {"uid": NO_UID, "resourceVersion": "0", **(live or {}).get("metadata", {})}
    kept = {key: given[key] for key in ("uid", "resourceVersion", "creationTimestamp") if key in given}
    return {**obj, "metadata": {**obj["metadata"], **kept}, "status": (live or {}).get("status") or {}}


def _neighbors(shops: Iterable[Object]) -> dict[str, Facts]:
    """The facts that the ShopServices of one namespace are for each other, by the name of the ShopService."""
    known = {each["metadata"]["name"]: (Shop.of(each), _dependencies_of_last_release(each)) for each in shops}
    dependants: dict[str, set[str]] = {}
    for name, (shop, _) in known.items():
        for each in shop.depends_on:
            dependants.setdefault(each, set()).add(name)
    return {
        name: Facts(
            called_ports={
                each: (known[each][0].port,) for each in (*shop.depends_on, *earlier) if each in known
            },
            dependants=frozenset(dependants.get(name, ())),
        )
        for name, (shop, earlier) in known.items()
    }


def _dependencies_of_last_release(obj: Object) -> list[str]:
    """The dependencies of the last available release, whose pods may run in place of those of the spec."""
    pods = mapping(mapping(mapping(obj.get("status")).get("rollout")).get("lastAvailable"))
    named = pods.get("dependsOn")
    return [each for each in named if isinstance(each, str)] if isinstance(named, list) else []


def _facts(
    wanted: ShopService,
    neighbors: Facts,
    there: Namespace,
    live: Children,
    holder: Callable[[str], Key | None],
) -> Facts:
    children = {ChildId(kind, name): Child.of(each) for (kind, name), each in live.items()}
    asked = hostname(wanted)
    return replace(
        neighbors,
        deployments=deployments(children),
        routes=routes(children, wanted.uid),
        rollouts=rollouts(children, wanted.uid),
        picking=picking(children),
        prometheus=there.prometheus,
        scale=live_scale(children, {}),
        # An apply does not change the configuration, so the records of the Deployments stay.
        configuration=Configuration(configuration_uses(wanted)),
        hostname_holder=holder(asked) if asked else None,
        common=there.common or _everywhere(there.shops.get(wanted.name), live.get(("Service", wanted.name))),
        queue_endpoints=there.queue_endpoints,
        served=there.served,
        pod_security=there.pod_security,
    )


def _restored(facts: Facts, good: ShopService, records: Mapping[str, Record]) -> Facts:
    """The facts with the pods of the last good release in place of those of the spec."""
    return replace(facts, pods=good, records=records)


def _everywhere(shop: Object | None, service: Object | None) -> CommonMetadata:
    """The metadata that a setting of the operator gives every child: the metadata of the Service that the ShopService does not request.

    Args:
        shop: the live ShopService.
        service: its live Service, which has no metadata other than the operator's.
    """
    if shop is None or service is None:
        return NOTHING
    own = (shop.get("spec") or {}).get("commonMetadata") or {}
    found = {
        group: {
            key: value
            for key, value in applied_metadata(service, group).items()
            if not key.startswith(OWNED_PREFIXES) and (own.get(group) or {}).get(key) != value
        }
        for group in ("labels", "annotations")
    }
    return CommonMetadata.model_construct(labels=found["labels"], annotations=found["annotations"])


@contextmanager
def _valid(wanted: ShopService, *place: str) -> Iterator[None]:
    """Name the ShopService in an error of its spec, or of another field."""
    try:
        yield
    except InvalidSpec as error:
        found = [(place or ("spec",), error.message.rstrip("."))]
        raise BadFields(wanted.namespace, wanted.name, found) from error
