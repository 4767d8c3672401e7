"""The whole status of a ShopService: a pure function of its spec, its children and the errors of a pass.

Every pass computes every field and every condition, and they are written together.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.status.conditions import conditions, dated
from shop_operator.status.drift import drift
from shop_operator.status.fields import fields
from shop_operator.status.observed import Observed, is_suspended
from shop_operator.status.rollback.rejection import rollout
from shop_operator.status.verdicts import verdicts
from shop_operator.status.verdicts.verdict import Verdict
from shop_operator.wording import steady


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def status(
    shop: ShopService,
    observed: Observed,
    previous: Mapping[str, Any],
    *,
    made: ShopService | None = None,
    now: Callable[[], str] = _now,
) -> dict[str, Any]:
    """The whole status.

    Args:
        shop: the ShopService.
        observed: its children and the errors of the pass.
        previous: the status so far; a condition whose status does not change keeps its lastTransitionTime.
        made: the ShopService whose pods run, if it is not the same: the one with the last good release.
        now: the time as RFC 3339.
    """
    if observed.rendered:
        judged = _judged(made or shop, observed, previous)
        found = fields(shop, made or shop, observed, judged, previous)
        kept = rollout(shop, observed, judged, previous)
        if kept:
            found["rollout"] = kept
    else:
        # The children keep running, and the status keeps showing them.
        judged = {}
        found = {key: value for key, value in previous.items() if key != "conditions"}
    drifted = drift(observed.repairs, previous, now)
    if drifted:
        found["drift"] = drifted
    if is_suspended(shop, observed):
        found["suspended"] = True
    wanted = conditions(shop, observed, judged, previous)
    return {
        **found,
        "observedGeneration": shop.generation,
        "conditions": [dated(each, shop.generation, previous, now) for each in wanted],
    }


def _judged(
    made: ShopService, observed: Observed, previous: Mapping[str, Any]
) -> dict[tuple[str, str], Verdict]:
    """The verdicts, with the previous message wherever the new one says nothing new about the same spec."""
    judged = dict(verdicts(made, observed.children, observed.known))
    if previous.get("observedGeneration") != made.generation:
        return judged
    said = {(each["kind"], each["name"]): each.get("message") for each in previous.get("children", ())}
    return {
        key: v if said.get(key) == v.message else replace(v, message=steady(said.get(key), v.message))
        for key, v in judged.items()
    }
