"""The table of ShopServices. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shop_operator.cli.explain import Facts, explain
from shop_operator.cli.ui.views.times import Moment, moment
from shop_operator.wording import listed, number

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Health:
    """The state of a ShopService or of one of its objects.

    Args:
        kind: good, bad, busy or idle; decides the color and the symbol.
        word: the state in a word or two.
    """

    kind: str
    word: str


READY = Health("good", "Ready")
NOT_READY = Health("bad", "Not ready")


@dataclass(frozen=True)
class Drift:
    """The last modification that the operator reverted.

    Args:
        count: number of reverted modifications.
        at: time of the last one.
        what: the object, the fields and their manager, as a sentence.
    """

    count: int
    at: Moment | None
    what: str


@dataclass(frozen=True)
class Row:
    """A ShopService in the table.

    Args:
        namespace: its namespace.
        name: its name.
        health: its state.
        pods: ready and desired pods, such as 2/2.
        reason: reason of the condition Ready.
        sentence: why it is not ready, or that it is.
        image: the image without its repository.
        url: URL inside the cluster; empty if it has none.
        bounds: bounds of the autoscaler, such as 2-10; empty without one.
        replicas: current number of web pods.
        drift: the last reverted modification; None if there was none.
    """

    namespace: str
    name: str
    health: Health
    pods: str
    reason: str
    sentence: str
    image: str
    url: str
    bounds: str
    replicas: int | None
    drift: Drift | None


def rows(shops: Iterable[Object], now: datetime) -> list[Row]:
    """The ShopServices, those that are not ready first."""
    found = [_row(each, now) for each in shops]
    return sorted(found, key=lambda each: (each.health.kind == "good", each.namespace, each.name))


def summary(shops: Iterable[Row]) -> str:
    """How many are ready, and which are not, as a sentence."""
    given = list(shops)
    others = [each.name for each in given if each.health != READY]
    if not given:
        return "No ShopServices."
    if not others:
        return f"{number(len(given), 'ShopService')}, all ready."
    return f"{number(len(given), 'ShopService')}; not ready: {listed(others)}."


def health(shop: Object) -> Health:
    """The state of a ShopService."""
    reason = ready_of(shop).get("reason", "NotObserved")
    if (shop.get("spec") or {}).get("suspend"):
        return Health("idle", "Suspended")
    if "deletionTimestamp" in shop["metadata"]:
        return Health("busy", "Terminating")
    if reason == "ScaledToZero":
        return Health("idle", "Scaled to zero")
    if ready_of(shop).get("status") == "True":
        return READY
    return Health("busy", "Not observed") if reason == "NotObserved" else NOT_READY


def ready_of(shop: Object) -> Object:
    """The condition Ready; empty if it has none."""
    conditions = (shop.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == "Ready"), {})


def drift(shop: Object, now: datetime) -> Drift | None:
    """The last modification that the operator reverted; None if there was none."""
    known = (shop.get("status") or {}).get("drift")
    if not known:
        return None
    last = known["last"]
    by = f" by {last['manager']}" if last.get("manager") else ""
    fields = listed(list(last.get("fields") or ("fields",)))
    what = f"{fields} of {last.get('object', '')} changed{by}; reverted"
    return Drift(known["count"], moment(last.get("time"), now), what)


def tag(image: str) -> str:
    """The last part of an image's name, with its tag or the start of its digest."""
    name = image.rpartition("/")[2]
    before, at, digest = name.partition("@")
    return f"{before}@{digest[:15]}…" if at else name


def _row(shop: Object, now: datetime) -> Row:
    state, spec = shop.get("status") or {}, shop.get("spec") or {}
    explained = explain(Facts(shop))
    return Row(
        namespace=shop["metadata"]["namespace"],
        name=shop["metadata"]["name"],
        health=health(shop),
        pods=state.get("ready", ""),
        reason=ready_of(shop).get("reason", "NotObserved"),
        sentence=explained.sentence,
        image=tag(spec.get("image", "")),
        url=state.get("url", ""),
        bounds=state.get("autoscaling", ""),
        replicas=state.get("replicas"),
        drift=drift(shop, now),
    )
