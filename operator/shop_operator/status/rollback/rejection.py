"""The value of status.rollout: the last good release, and whether the release of the spec is rejected.

A rejected release stays rejected until the spec asks for a different one or the retry annotation changes.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.names import RETRY_ANNOTATION
from shop_operator.objects.lenient import text
from shop_operator.render.workloads import workloads
from shop_operator.status.diagnosis import DEFINITE_PULL_FAILURES, Diagnosis
from shop_operator.status.fields import LONGEST_MESSAGE, rolled_out_image
from shop_operator.status.observed import Observed
from shop_operator.status.rollback.last_good import GOOD, rolls_back
from shop_operator.status.rollback.release import Release
from shop_operator.status.verdicts.verdict import Verdict
from shop_operator.wording import printable

Rollout = dict[str, Any]

_IDENTITY: Final = ("rejectedImage", "rejectedRelease", "retry")
_REJECTED: Final = (*_IDENTITY, "message")


class _Failure(NamedTuple):
    deployment: str
    message: str


def rollout(
    shop: ShopService,
    observed: Observed,
    judged: Mapping[tuple[str, str], Verdict],
    previous: Mapping[str, Any],
) -> Rollout:
    """The value of status.rollout; empty without automatic rollback or without a good release."""
    if not rolls_back(shop):
        return {}
    before = previous.get("rollout") or {}
    good = _good(shop, observed, judged, before)
    if not good:
        return {}
    if observed.rolled_back or _is_undecided(observed.release, good, before):
        return good | _still_rejected(observed.release, before)
    if shop.spec.suspend or _is_good(shop, observed.release, good):
        return good
    return good | _verdict(shop, observed, judged, good["lastAvailableImage"])


def newly_rejected(previous: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """The image of the release that only the second status rejects; None without one."""
    before, now = ((each.get("rollout") or {}) for each in (previous, wanted))
    same = all(before.get(key) == now.get(key) for key in _IDENTITY)
    return None if same else now.get("rejectedImage")


def _good(
    shop: ShopService,
    observed: Observed,
    judged: Mapping[tuple[str, str], Verdict],
    before: Rollout,
) -> Rollout:
    """The fields about the last good release; empty without one."""
    kept: Rollout = {key: before[key] for key in GOOD if key in before}
    image = None if observed.rolled_back else rolled_out_image(shop, observed, judged)
    if not image or not _has_pods(observed):
        # A release without a pod has not shown that it works.
        return kept if "lastAvailableImage" in kept else {}
    if observed.release is not None and observed.release.applied:
        return {"lastAvailableImage": image, **observed.release.kept}
    return kept if kept.get("lastAvailableImage") == image else {"lastAvailableImage": image}


def _has_pods(observed: Observed) -> bool:
    return any(
        summary["status"].get("availableReplicas")
        for (kind, _), summary in observed.serving.items()
        if kind == "Deployment"
    )


def _is_undecided(release: Release | None, good: Rollout, before: Rollout) -> bool:
    """Whether a rejection stays because the release is not known and the rejected image has not become available."""
    return (
        release is None
        and "rejectedImage" in before
        and good["lastAvailableImage"] == before.get("lastAvailableImage")
    )


def _still_rejected(release: Release | None, before: Rollout) -> Rollout:
    """The fields about the rejected release."""
    rejected: Rollout = {key: before[key] for key in _REJECTED if key in before}
    if release is not None and "rejectedRelease" in rejected:
        rejected["rejectedRelease"] = release.remembered(text(rejected["rejectedRelease"]))
    return rejected


def _is_good(shop: ShopService, release: Release | None, good: Rollout) -> bool:
    """Whether the spec asks for the last good release."""
    if good["lastAvailableImage"] != shop.spec.image:
        return False
    if "lastAvailableRelease" not in good:
        return True
    return release is not None and release.is_that(text(good["lastAvailableRelease"]))


def _verdict(
    shop: ShopService, observed: Observed, judged: Mapping[tuple[str, str], Verdict], good_image: str
) -> Rollout:
    """The fields about a release that has failed; empty if it has not."""
    failure = _failure(shop, observed, judged, good_image)
    if failure is None:
        return {}
    message = printable(failure.message)
    if _may_be_pulled_later(observed.diagnoses.get(failure.deployment)):
        waits = f"{message}; not rolled back, since the registry may recover"
        return {"message": waits[:LONGEST_MESSAGE]}
    rejected: Rollout = {"rejectedImage": shop.spec.image, "message": message[:LONGEST_MESSAGE]}
    retry = text(shop.annotations.get(RETRY_ANNOTATION))
    if retry:
        rejected["retry"] = retry
    return rejected | (observed.release.rejected if observed.release else {})


def _failure(
    shop: ShopService, observed: Observed, judged: Mapping[tuple[str, str], Verdict], good_image: str
) -> _Failure | None:
    """The Deployment or Rollout that shows that the release has failed; None if none has, or if it was not tried yet."""
    for workload in workloads(shop):
        key = ("Deployment", workload.name)
        rollout = ("Rollout", workload.name)
        failed = rollout if rollout in judged and judged[rollout].overdue else key
        if failed == key and (workload.name not in observed.overdue or not judged[key].overdue):
            continue
        image = observed.children.get(key, {}).get("images", {}).get(workload.container)
        # An image that is neither the last good one nor the spec's may be a webhook's spelling of the spec's, once that is applied.
        tried = image != good_image and (image == shop.spec.image or observed.error is None)
        if tried or (observed.release is not None and observed.release.applied):
            return _Failure(workload.name, f"{failed[0]} {workload.name}: {judged[failed].message}")
    return None


def _may_be_pulled_later(found: Diagnosis | None) -> bool:
    """Whether an image cannot be pulled although no registry has answered that it is missing or not allowed."""
    return (
        found is not None
        and found.reason == "ImagePullBackOff"
        and not any(each in found.message for each in DEFINITE_PULL_FAILURES)
    )
