"""Every change that the ShopServices of a file bring about, those of their neighbours too. Pure.

A ShopService shows in others: its dependencies let it in, and its dependants know its port.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from shop_operator.api.v1alpha1.common_metadata import NOTHING, OWNED_PREFIXES, CommonMetadata
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.hostnames import taken
from shop_operator.cache.live import live_scale, part_of, records, routes
from shop_operator.cache.snapshot import Child, Shop
from shop_operator.cache.store import Store
from shop_operator.cli.applying import applied
from shop_operator.cli.diff import Change, changes, of_shopservice
from shop_operator.cli.documents import NO_UID, BadFields, shopservice
from shop_operator.cli.errors import NotValid
from shop_operator.cli.owning import applied_metadata
from shop_operator.errors import InvalidSpec, OperatorError
from shop_operator.names import KIND, RETRY_ANNOTATION, ChildId, Key
from shop_operator.objects.pod_security import Level
from shop_operator.render import LiveScale, Surroundings, configuration_uses, render
from shop_operator.render.configuration import Configuration
from shop_operator.render.installed import not_installed
from shop_operator.render.service_account import account_name
from shop_operator.status.rollback import last_good, rolls_back, same_pods

Object = Mapping[str, Any]
Children = Mapping[tuple[str, str], Object]
_NEWEST: Final = "9999-12-31T23:59:59Z"


@dataclass(frozen=True)
class Namespace:
    """What there is.

    Args:
        shops: every ShopService, by name.
        served: the kinds that there can be.
        children: asks for what carries the label of a ShopService.
        find: asks for an object by kind and name.
        pod_security: the pod-security level of its pods.
        check: raises an error unless the operator serves the ShopService's namespace.
        queue_endpoints: the beginnings of addresses that queues may have beside those of AWS; None for any.
        common: metadata that a setting of the operator gives every child; None when it is not known.
        cluster: asks for every ShopService that may be read, and for every Service that has a discovery hostname.
    """

    shops: Mapping[str, Object]
    served: AbstractSet[str] | None
    children: Callable[[str], Children]
    find: Callable[[str, str], Object | None]
    pod_security: Level = "restricted"
    check: Callable[[Key], None] = lambda _: None
    queue_endpoints: Sequence[str] | None = None
    common: CommonMetadata | None = None
    cluster: Callable[[], Iterable[Object]] = lambda: ()


def rendered(documents: Sequence[Object], level: Level = "restricted") -> list[dict[str, Any]]:
    """Every child of ShopServices that know each other and no others, within a pod-security level.

    Raises:
        NotValid: one of them cannot be rendered.
    """
    children = []
    for here in sorted({each["metadata"]["namespace"] for each in documents}):
        stored = [_stored(each, None) for each in documents if each["metadata"]["namespace"] == here]
        around = _neighbours(stored)
        for each in stored:
            here_around = replace(around[each["metadata"]["name"]], pod_security=level)
            children += _render(shopservice(each), here_around, None)
    return children


def plan(documents: Sequence[Object], there: Namespace) -> Iterator[Change]:
    """What an apply of these documents of one namespace changes.

    Raises:
        NotValid: one of them is refused.
    """
    stored = {
        each["metadata"]["name"]: _stored(each, there.shops.get(each["metadata"]["name"]))
        for each in documents
    }
    after = {**there.shops, **stored}
    around_before, around_after = _neighbours(there.shops.values()), _neighbours(after.values())
    holder = _holders(stored.values(), there)
    for name, obj in after.items():
        if name in stored:
            own = of_shopservice(obj, there.shops.get(name))
            if own is not None:
                yield own
        elif around_before[name] == around_after[name]:
            continue
        yield from _of_children(obj, around_after[name], there, holder, refused=name in stored)


def _of_children(
    obj: Object,
    around: Surroundings,
    there: Namespace,
    holder: Callable[[str], Key | None],
    *,
    refused: bool,
) -> Iterator[Change]:
    """What changes below one ShopService; nothing below one whose spec was refused before, or that is suspended."""
    name = obj["metadata"]["name"]
    try:
        wanted = shopservice(obj)
        key = Key(wanted.namespace, name)
        with _valid(wanted, "metadata", "namespace"):
            there.check(key)
        if wanted.spec.suspend:
            return
        live = there.children(name) if name in there.shops else {}
        around = _in_cluster(wanted, obj, around, there, live)
        hostname = wanted.spec.discovery.hostname if wanted.spec.discovery else ""
        other = holder(hostname) if hostname else None
        problems: list[OperatorError] = list(not_installed(wanted, around))
        if other not in {None, key}:
            around = replace(around, discovered=False)
            problems.append(taken(hostname, other.name if other.namespace == key.namespace else None))
        desired = _render(wanted, around, live_scale(_kept(live), {}))
        yield from (Change.refused(each, KIND, name, None) for each in problems)
        # The operator leaves the account that the pods name to whoever wants it so, even if it has made it.
        kept = {("ServiceAccount", account_name(wanted))}
        yield from changes(desired, live, wanted.uid, there.find, kept=kept)
    except NotValid:
        if refused:
            raise


def _holders(stored: Iterable[Object], there: Namespace) -> Callable[[str], Key | None]:
    """Who has a discovery hostname once these ShopServices are applied; a new one comes after all others."""
    documents = [{**each, "metadata": {"creationTimestamp": _NEWEST, **each["metadata"]}} for each in stored]
    if not any((each["spec"].get("discovery") or {}).get("hostname") for each in documents):
        return lambda _: None
    store = Store()
    for each in (*there.cluster(), *there.shops.values()):
        store.put(each)
    for each in documents:
        # As one that is newer than what was read.
        metadata = {**each["metadata"], "resourceVersion": str(sys.maxsize)}
        store.put({**each, "metadata": metadata})
    return store.holder


def _stored(document: Object, live: Object | None) -> dict[str, Any]:
    """As the API server would keep it."""
    obj = applied(document, live)
    given = {"uid": NO_UID, "resourceVersion": "0", **(live or {}).get("metadata", {})}
    kept = {key: given[key] for key in ("uid", "resourceVersion", "creationTimestamp") if key in given}
    return {**obj, "metadata": {**obj["metadata"], **kept}, "status": (live or {}).get("status") or {}}


def _neighbours(shops: Iterable[Object]) -> dict[str, Surroundings]:
    """What the ShopServices of one namespace are to each other."""
    known = {each["metadata"]["name"]: Shop.of(each) for each in shops}
    dependants: dict[str, set[str]] = {}
    for name, shop in known.items():
        for each in shop.depends_on:
            dependants.setdefault(each, set()).add(name)
    return {
        name: Surroundings(
            dependencies={each: known[each].port for each in shop.depends_on if each in known},
            dependants=frozenset(dependants.get(name, ())),
        )
        for name, shop in known.items()
    }


def _in_cluster(
    wanted: ShopService, obj: Object, around: Surroundings, there: Namespace, live: Children
) -> Surroundings:
    kept = _kept(live)
    # An apply does not change the configuration: what the Deployments record of it stays.
    with _valid(wanted):
        recorded = Configuration(configuration_uses(wanted)).records(records(kept))
    return replace(
        around,
        records=recorded,
        routes=routes(kept, wanted.uid),
        part_of=part_of(kept),
        common=there.common or _everywhere(there.shops.get(wanted.name), live.get(("Service", wanted.name))),
        queue_endpoints=there.queue_endpoints,
        served=there.served,
        pod_security=there.pod_security,
        pods=_in_place(wanted, obj, there.shops.get(wanted.name) or obj),
    )


def _kept(live: Children) -> dict[ChildId, Child]:
    """The children as the operator knows them."""
    return {ChildId(kind, name): Child.of(each) for (kind, name), each in live.items()}


def _in_place(wanted: ShopService, obj: Object, before: Object) -> ShopService | None:
    """The last good release, where it runs in place of the spec's and the apply neither changes that nor retries it.

    Args:
        wanted: the ShopService after the apply.
        obj: the same, as it is stored.
        before: as it is stored now.
    """
    rollout = (obj.get("status") or {}).get("rollout") or {}
    with _valid(wanted):
        careful = rolls_back(wanted)
    retried = wanted.annotations.get(RETRY_ANNOTATION, "") != rollout.get("retry", "")
    changed = not same_pods(obj["spec"], before["spec"])
    if not careful or not rollout.get("rejectedRelease") or retried or changed:
        return None
    return last_good(wanted, rollout)


def _everywhere(shop: Object | None, service: Object | None) -> CommonMetadata:
    """The metadata that a setting of the operator gives every child: what its Service has and the ShopService does not ask for.

    Args:
        shop: the ShopService as it is now.
        service: its Service, which has no metadata of its own beside the operator's.
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


def _render(wanted: ShopService, around: Surroundings, live: LiveScale | None) -> list[dict[str, Any]]:
    with _valid(wanted):
        return render(wanted, live=live, around=around)


@contextmanager
def _valid(wanted: ShopService, *place: str) -> Iterator[None]:
    """Name the ShopService in what is wrong with its spec, or at another place."""
    try:
        yield
    except InvalidSpec as error:
        found = [(place or ("spec",), error.message.rstrip("."))]
        raise BadFields(wanted.namespace, wanted.name, found) from error
