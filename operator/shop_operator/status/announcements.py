"""The Events about a change of status. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from shop_operator.api.v1alpha1.reasons import REASONS
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.status.cause import READY
from shop_operator.status.drift import Repair
from shop_operator.wording import sentence


class Announcement(NamedTuple):
    """An Event.

    Attributes:
        reason: a CamelCase word.
        note: one or more sentences.
        warning: whether its type is Warning.
    """

    reason: str
    note: str
    warning: bool = False


def of_change(
    shop: ShopService, previous: Mapping[str, Any], wanted: Mapping[str, Any]
) -> Iterator[Announcement]:
    """The Events about the conditions that differ between two statuses."""
    before = {each["type"]: each for each in previous.get("conditions", ())}
    after = {each["type"]: each for each in wanted["conditions"]}
    ready, was_ready = after[READY], before.get(READY, {})
    if ready["reason"] == READY and was_ready.get("status") != "True":
        yield Announcement(READY, f"{wanted['ready']} pods of {shop.spec.image} are ready.")
    changed = was_ready.get("reason") != ready["reason"]
    known = REASONS.get(ready["reason"])
    warns = changed and known is not None and known.warns
    if warns or _stalls(before.get("Stalled", {}), after["Stalled"]):
        yield Announcement(ready["reason"], ready["message"], warning=True)
    if changed and ready["reason"] == "WaitingForDependencies":
        yield Announcement(ready["reason"], ready["message"])


def _stalls(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    if after["status"] != "True":
        return False
    return (before.get("status"), before.get("reason")) != ("True", after["reason"])


def of_rejection(image: str, wanted: Mapping[str, Any]) -> Announcement:
    """The Event about a release that is rejected from now on, with its image."""
    rollout = wanted["rollout"]
    note = (
        f"Rolled back to {rollout['lastAvailableImage']}: the rollout of {image} failed."
        f" {sentence(rollout['message'])}"
    )
    return Announcement("RollingBack", note, warning=True)


def of_repair(repair: Repair) -> Announcement:
    """The Event about a reverted modification."""
    return Announcement("DriftRepaired", str(repair), warning=True)


def of_recreation(child: str, count: int | None) -> Announcement:
    """The Event about a child that another client had deleted; with its count of pods for a Deployment."""
    pods = "" if count is None else f" with {count} replica{'' if count == 1 else 's'}"
    note = f"{child} was deleted by another client and has been recreated{pods}."
    return Announcement("Recreated", note, warning=True)
