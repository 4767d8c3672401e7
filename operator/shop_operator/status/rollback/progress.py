"""The error that Ready shows while the last good release replaces a rejected one."""

from collections.abc import Mapping
from typing import Any

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import PermanentError, RollbackFailed, RolledBack
from shop_operator.names import RETRY_ANNOTATION
from shop_operator.objects.rollouts import rolled_out, with_pods
from shop_operator.render.workloads import workloads
from shop_operator.status.verdicts.deployment import overdue
from shop_operator.status.verdicts.verdict import Summaries
from shop_operator.wording import sentence


def rolled_back(
    shop: ShopService, good: ShopService, children: Summaries, rollout: Mapping[str, Any]
) -> PermanentError:
    """The progress of a rollback.

    Args:
        shop: the ShopService.
        good: it with the last good release.
        children: its children.
        rollout: the value of status.rollout.
    """
    release = f"the release with {good.spec.image}"
    names = [workload.name for workload in workloads(good)]
    live = {name: summary for (kind, name), summary in with_pods(children).items() if kind == "Deployment"}
    if all(name in live and rolled_out(live[name]) for name in names):
        progress = f"Rolled back to {release}, which is available"
    elif any(name in overdue(children) for name in names):
        progress = f"Rolled back to {release}, which is not available either"
    else:
        progress = f"Rolling back to {release}"
    partly = "" if rollout.get("lastAvailable") else "; only the image of that release is known"
    return RolledBack(
        f"{progress}{partly}: the rollout of {shop.spec.image} failed. Change the release, or set the annotation"
        f" {RETRY_ANNOTATION} to a new value to retry it. {rollout.get('message', '')}"
    )


def not_rolled_back(shop: ShopService, cause: str, rollout: Mapping[str, Any]) -> PermanentError:
    """The last good release cannot be rendered, for that cause.

    Args:
        shop: the ShopService.
        cause: the cause, as a sentence.
        rollout: the value of status.rollout.
    """
    return RollbackFailed(
        f"Cannot be rolled back to the release with {rollout['lastAvailableImage']}: {sentence(cause)}"
        f" The rollout of {shop.spec.image} failed. {rollout.get('message', '')}"
    )
