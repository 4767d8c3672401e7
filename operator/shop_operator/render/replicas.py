"""The replica count of a Deployment that the operator applies, and the Deployments whose count it leaves to another manager."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from shop_operator.render.workloads import Workload

DEFAULT_REPLICAS: Final = 1


@dataclass(frozen=True)
class LiveScale:
    """The live replica counts of the Deployments, and their owners.

    Args:
        replicas: spec.replicas of each Deployment, by its name.
        ours: the Deployments whose count only the operator has set.
        autoscaled: the Deployments that have an autoscaler, or whose count was last set by one.
        unchosen: the Deployments whose count the operator or KEDA has set. A count of 0 does not disable their autoscaler.
        event_driven: the Deployments that have a ScaledObject.
        lost: the last known spec.replicas of Deployments that were deleted by another client.
    """

    replicas: Mapping[str, int] = field(default_factory=dict)
    ours: AbstractSet[str] = frozenset()
    autoscaled: AbstractSet[str] = frozenset()
    unchosen: AbstractSet[str] = frozenset()
    event_driven: AbstractSet[str] = frozenset()
    lost: Mapping[str, int] = field(default_factory=dict)


def wanted_replicas(workload: Workload, live: LiveScale | None) -> int | None:
    """The replica count to apply; None to leave it to its owner.

    Without an autoscaler, it is the count of the spec. A spec without one gets one pod, or keeps the count that a removed autoscaler
    has set. With an autoscaler, it is the minimum for a new Deployment, until another manager scales it. A Deployment that another
    client deleted starts with its last count. Any other count belongs to the autoscaler, and so does a zero: see `_forgotten`.
    """
    live = live or LiveScale()
    current, last = live.replicas.get(workload.name), live.lost.get(workload.name, 0)
    if workload.autoscaling is None:
        if workload.replicas is not None:
            return workload.replicas
        if current is None:
            return last or DEFAULT_REPLICAS
        return None if workload.name in live.autoscaled else DEFAULT_REPLICAS
    minimum = workload.autoscaling.min_replicas
    if current is None:
        return max(minimum, min(last, workload.autoscaling.max_replicas))
    untouched = workload.name in live.ours and current == minimum
    return minimum if untouched or _forgotten(workload, current, minimum, live) else None


def keeps_count(workload: Workload, live: LiveScale | None) -> bool:
    """Whether a new Deployment gets the count of its predecessor, of which there is no other record.

    An annotation records this, so that it survives a restart of the operator, until the count has the owner that keeps a count which
    an autoscaler has set.
    """
    if live is None or workload.autoscaling is not None or workload.replicas is not None:
        return False
    return workload.name not in live.replicas and bool(live.lost.get(workload.name))


def expected_replicas(workload: Workload, live: LiveScale | None) -> int:
    """The number of pods of a workload after its Deployment is applied, as far as it is known."""
    wanted = wanted_replicas(workload, live)
    if wanted is not None:
        return wanted
    return workload.floor if live is None else live.replicas.get(workload.name, workload.floor)


def _forgotten(workload: Workload, current: int, minimum: int, live: LiveScale) -> bool:
    """Whether a Deployment has zero replicas that only the operator can end.

    A HorizontalPodAutoscaler is disabled at zero. A zero that another manager has set (`kubectl scale`, or a tool that stops
    workloads at night) is therefore intended and stays. A zero that the operator has set for an earlier `replicas: 0`, or that KEDA
    has set before it was removed, is not. With a ScaledObject, any count belongs to KEDA, including zero.
    """
    if current or not minimum:
        return False
    if (
        workload.autoscaling is not None
        and workload.autoscaling.by_keda
        and workload.name in live.event_driven
    ):
        return False
    return workload.name in live.unchosen | live.event_driven
