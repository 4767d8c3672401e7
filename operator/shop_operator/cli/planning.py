"""Every change that the ShopServices of a file bring about, those of their neighbours too. Pure.

A ShopService shows in others: its dependencies let it in, and its dependants know its port.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from shop_operator.cli.applying import applied
from shop_operator.cli.diff import Change, changes, of_shopservice
from shop_operator.cli.documents import NO_UID, shopservice
from shop_operator.cli.errors import NotValid
from shop_operator.errors import InvalidSpec
from shop_operator.render import LiveScale, Surroundings, config_references, render
from shop_operator.render.service_account import account_name
from shop_operator.report import image_in_place
from shop_operator.spec import ShopService
from shop_operator.store import Child, Scaler, Shop
from shop_operator.summary import CHECKSUM_ANNOTATION

Object = Mapping[str, Any]
Children = Mapping[tuple[str, str], Object]
_AUTOSCALERS = frozenset({"HorizontalPodAutoscaler", "ScaledObject"})


@dataclass(frozen=True)
class Namespace:
    """What there is.

    Args:
        shops: every ShopService, by name.
        served: the kinds that there can be.
        children: asks for what carries the label of a ShopService.
        find: asks for an object by kind and name.
    """

    shops: Mapping[str, Object]
    served: AbstractSet[str] | None
    children: Callable[[str], Children]
    find: Callable[[str, str], Object | None]


def rendered(documents: Sequence[Object]) -> list[dict[str, Any]]:
    """Every child of ShopServices that know each other and nobody else.

    Raises:
        NotValid: one of them cannot be rendered.
    """
    children = []
    for here in sorted({each["metadata"]["namespace"] for each in documents}):
        stored = [_stored(each, None) for each in documents if each["metadata"]["namespace"] == here]
        around = _neighbours(stored)
        for each in stored:
            children += _render(shopservice(each), around[each["metadata"]["name"]], None)
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
    for name, obj in after.items():
        if name in stored:
            own = of_shopservice(obj, there.shops.get(name))
            if own is not None:
                yield own
        elif around_before[name] == around_after[name]:
            continue
        yield from _of_children(obj, around_after[name], there, refused=name in stored)


def _of_children(obj: Object, around: Surroundings, there: Namespace, *, refused: bool) -> Iterator[Change]:
    """What changes below one ShopService; nothing below one whose spec was refused before, or that is suspended."""
    name = obj["metadata"]["name"]
    try:
        wanted = shopservice(obj)
        if wanted.spec.suspend:
            return
        live = there.children(name) if name in there.shops else {}
        yield from changes(
            _render(wanted, _in_cluster(wanted, obj, around, there, live), _scale(live)),
            live,
            wanted.uid,
            there.find,
            # The operator leaves the account that the pods name to whoever wants it so, even if it has made it.
            kept={("ServiceAccount", account_name(wanted))},
        )
    except NotValid:
        if refused:
            raise


def _stored(document: Object, live: Object | None) -> dict[str, Any]:
    """As the API server would keep it."""
    obj = applied(document, live)
    given = {"uid": NO_UID, "resourceVersion": "0", **(live or {}).get("metadata", {})}
    kept = {key: given[key] for key in ("uid", "resourceVersion")}
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
    checksum, unmarked = _checksum(live, wanted.name)
    return replace(
        around,
        checksum=checksum if config_references(wanted) else None,
        unmarked=unmarked,
        served=there.served,
        image=image_in_place(wanted, obj.get("status") or {}),
    )


def _checksum(live: Children, name: str) -> tuple[str | None, dict[str, str | None]]:
    """The configuration does not change by an apply: what the Deployments say of it, as Surroundings has it."""
    found: str | None = None
    unmarked: dict[str, str | None] = {}
    for (kind, each), obj in live.items():
        if kind != "Deployment":
            continue
        own, pods = (
            (part["metadata"].get("annotations") or {}).get(CHECKSUM_ANNOTATION)
            for part in (obj, obj["spec"]["template"])
        )
        if pods is None:
            unmarked[each] = own
        if each == name:
            found = pods or own
    return found, unmarked


def _scale(live: Children) -> LiveScale | None:
    deployments = {name: Child.of(each) for (kind, name), each in live.items() if kind == "Deployment"}
    if not deployments:
        return None
    scaled = {name for kind, name in live if kind in _AUTOSCALERS}
    return LiveScale(
        replicas={name: each.state["spec"]["replicas"] for name, each in deployments.items()},
        ours={name for name, each in deployments.items() if each.scaled_by is Scaler.OPERATOR},
        autoscaled=scaled
        | {name for name, each in deployments.items() if each.scaled_by is Scaler.AUTOSCALER},
    )


def _render(wanted: ShopService, around: Surroundings, live: LiveScale | None) -> list[dict[str, Any]]:
    try:
        return render(wanted, live=live, around=around)
    except InvalidSpec as error:
        raise NotValid(f"ShopService {wanted.name}: {error.message.rstrip('.')}") from error
