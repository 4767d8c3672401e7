"""The Deployment of one part, and who owns its replica count."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from shop_operator.policies import Rollout
from shop_operator.render.labels import metadata, selector
from shop_operator.render.overlay import overlaid
from shop_operator.render.parts import Part
from shop_operator.render.pod import template
from shop_operator.render.surroundings import Surroundings
from shop_operator.spec import ShopService
from shop_operator.summary import CHECKSUM_ANNOTATION

DEFAULT_REPLICAS: Final = 1
REVISIONS: Final = 5
PROGRESS_DEADLINE_SECONDS: Final = 300
SURGE: Final = "25%"


@dataclass(frozen=True)
class LiveScale:
    """How many replicas each Deployment is set to in the cluster, and by whom.

    Args:
        replicas: spec.replicas by the Deployment's name.
        ours: the Deployments whose count only the operator has set.
        autoscaled: the Deployments that have an autoscaler, or whose count one has set last.
    """

    replicas: Mapping[str, int]
    ours: AbstractSet[str] = frozenset()
    autoscaled: AbstractSet[str] = frozenset()


def deployment(
    shop: ShopService, part: Part, account: str, live: LiveScale | None, around: Surroundings
) -> dict[str, Any]:
    """A rolling Deployment that never has fewer pods ready than wanted, unless the user lets it.

    Raises:
        InvalidSpec: when the podTemplate changes what the operator owns.
    """
    rollout = shop.spec.rollout or Rollout()
    surge, missing = rollout.max_surge, rollout.max_unavailable
    spec: dict[str, Any] = {
        "revisionHistoryLimit": REVISIONS,
        "progressDeadlineSeconds": rollout.progress_deadline_seconds or PROGRESS_DEADLINE_SECONDS,
        "selector": {"matchLabels": selector(shop, part.component)},
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {
                "maxSurge": SURGE if surge is None else surge,
                "maxUnavailable": 0 if missing is None else missing,
            },
        },
        "template": overlaid(shop, part, template(shop, part, account, around)),
    }
    replicas = wanted_replicas(part, live)
    checksum, _ = around.checksum_of(part.name)
    own = None if checksum is None else {CHECKSUM_ANNOTATION: checksum}
    if replicas is not None:
        spec["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(shop, part.name, part.component, own),
        "spec": spec,
    }


def wanted_replicas(part: Part, live: LiveScale | None) -> int | None:
    """The count to apply, None to leave it to its owner.

    Without an autoscaler it is the user's; a user without a wish gets one pod, or keeps what an autoscaler left. With an
    autoscaler it is the minimum for a Deployment that is not there yet, and as long as nobody has scaled it; also for one
    at zero, from which a HorizontalPodAutoscaler never comes back by itself. Every other count is the autoscaler's.
    """
    live = live or LiveScale({})
    if part.autoscaling is None:
        if part.replicas is not None:
            return part.replicas
        return None if part.name in live.autoscaled else DEFAULT_REPLICAS
    current, minimum = live.replicas.get(part.name), part.autoscaling.min_replicas
    untouched = part.name in live.ours and current == minimum
    stuck_at_zero = current == 0 and minimum > 0
    return minimum if current is None or stuck_at_zero or untouched else None
