"""The release whose pods are desired: that of the spec or, after an automatic rollback, the last good one.

The operator and `kubectl shop diff` both call `chosen`, so they agree on whether the release of the spec is rejected.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import InvalidSpec
from shop_operator.names import RETRY_ANNOTATION, ChildId
from shop_operator.objects.lenient import mapping, text
from shop_operator.render.configuration import Configuration, Record
from shop_operator.render.prepare import Facts, Prepared, prepare
from shop_operator.status.rollback.last_good import last_good, records, rolls_back
from shop_operator.status.rollback.release import Release, release


@dataclass(frozen=True)
class Chosen:
    """The desired state of one ShopService.

    Attributes:
        prepared: the desired state.
        release: the release of the spec, with automatic rollback; None if it is unknown.
        unrestored: the reason why the last good release does not replace a rejected one; empty if nothing prevents it. The
            Deployments stay as they are then.
    """

    prepared: Prepared
    release: Release | None = None
    unrestored: str = ""

    def kept(self, live: AbstractSet[ChildId]) -> frozenset[ChildId]:
        """The children that are not deleted.

        Args:
            live: the children that exist.
        """
        kept = self.prepared.kept
        return kept | _of_other_workloads(live, kept) if self.unrestored else kept


def chosen(
    shop: ShopService,
    facts: Facts,
    existing: AbstractSet[str],
    restored: Callable[[ShopService, Mapping[str, Record]], Facts],
) -> Chosen:
    """Prepare the release of the spec, or the last good one if the release of the spec was rejected.

    Args:
        shop: the ShopService.
        facts: about it.
        existing: its dependencies that exist.
        restored: returns the facts with the pods of the last good release, and its records of configuration.

    Raises:
        InvalidSpec: the spec cannot be rendered.
    """
    prepared = prepare(shop, facts)
    if prepared.around.hold or not rolls_back(shop):
        return Chosen(prepared)
    asked = _release(shop, facts, prepared, existing)
    found = Chosen(prepared, None if facts.configuration is None else asked)
    good = _replacement(shop, asked)
    if good is None:
        return found
    try:
        kept = records(_rollout(shop), prepared.around.records)
        return replace(found, prepared=prepare(shop, restored(good, kept)))
    except InvalidSpec as error:
        return replace(found, unrestored=error.message)


def in_place(shop: ShopService) -> ShopService | None:
    """The ShopService with the last good release, if the status shows that this release runs in place of the spec's.

    For a pass that does not know the release of the spec: a different image is certainly a different release.
    """
    good = _replacement(shop, None)
    try:
        return good if good is not None and good.spec else None
    except InvalidSpec:
        # It was kept by a version of the operator with less strict rules.
        return None


def _replacement(shop: ShopService, asked: Release | None) -> ShopService | None:
    """The ShopService with the last good release, if its own release is rejected; None otherwise."""
    rejected = rolls_back(shop) and _is_rejected(shop, asked)
    return last_good(shop, _rollout(shop)) if rejected else None


def _is_rejected(shop: ShopService, asked: Release | None) -> bool:
    """Whether the release of the spec was rejected and no retry has been requested.

    The images decide if either release is unknown: that of the spec now, or the rejected one because the configuration of its
    pods could not be read when it failed.
    """
    rollout = _rollout(shop)
    if text(rollout.get("retry")) != text(shop.annotations.get(RETRY_ANNOTATION)):
        return False
    if asked is None or "rejectedRelease" not in rollout:
        return "rejectedImage" in rollout and rollout["rejectedImage"] == shop.document.get("image")
    return asked.is_that(text(rollout["rejectedRelease"]))


def _release(shop: ShopService, facts: Facts, prepared: Prepared, existing: AbstractSet[str]) -> Release:
    # Configuration that cannot be read identifies a release no better than configuration that does not exist.
    config = facts.configuration or Configuration()
    part_of = {name: live.part_of for name, live in facts.deployments.items() if live.part_of is not None}
    return release(shop, prepared.desired, config, prepared.around, existing, part_of)


def _rollout(shop: ShopService) -> Mapping[str, Any]:
    return mapping(shop.status.get("rollout"))


def _of_other_workloads(live: AbstractSet[ChildId], kept: AbstractSet[ChildId]) -> frozenset[ChildId]:
    """The Deployments that are not kept, with their autoscalers and disruption budgets."""
    unwanted = {child.name for child in live - kept if child.kind == "Deployment"}
    return frozenset(child for child in live if child.name in unwanted)
