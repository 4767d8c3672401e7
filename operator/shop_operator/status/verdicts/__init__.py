"""The state of each child: ready, in progress or stuck, and the reason. Pure.

Each kind that reports a state has a module with a chain of checks: small pure functions that return a verdict or None.
The first verdict in the chain counts. Children of all other kinds are ready once they exist.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render.workloads import workloads
from shop_operator.status.verdicts import autoscaler, deployment, http_route, rollout
from shop_operator.status.verdicts.verdict import ON_ITS_WAY, READY_VERDICT, Input, Known, Summaries, Verdict

_JUDGES: Final[Mapping[str, Callable[[Input], Verdict]]] = {
    "Deployment": deployment.judge,
    "Rollout": rollout.judge,
    "HorizontalPodAutoscaler": autoscaler.judge,
    "ScaledObject": autoscaler.judge,
    "HTTPRoute": http_route.judge,
}
"""By kind, the function that applies its chain of checks."""
# Kinds without which the ShopService cannot be ready while one is being deleted.
_DECISIVE: Final = frozenset({"Deployment", "HTTPRoute", "Rollout", "Service", "ServiceAccount"})


def verdicts(
    shop: ShopService, children: Summaries, known: Known
) -> Iterator[tuple[tuple[str, str], Verdict]]:
    """Judge every live child, and every Deployment that does not exist yet."""
    if not shop.spec.suspend:
        absent = deployment.absent(known)
        for workload in workloads(shop):
            if ("Deployment", workload.name) not in children:
                yield ("Deployment", workload.name), absent
    deadline = deployment.deadline_of(shop)
    for key, summary in children.items():
        kind, name = key
        judge = _JUDGES.get(kind)
        if "deletionTimestamp" in summary["metadata"]:
            yield key, _terminating(kind)
        elif judge is None:
            yield key, READY_VERDICT
        else:
            yield key, judge(Input(kind, name, summary, children, known, deadline))


def _terminating(kind: str) -> Verdict:
    return Verdict(ready=False, reason="Terminating", message="is being deleted", decisive=kind in _DECISIVE)


def worst(verdicts: Mapping[tuple[str, str], Verdict]) -> tuple[str, str] | None:
    """The child whose verdict the ShopService shows: a failure before work in progress, then the first by kind and name."""
    return min(verdicts, key=lambda key: (verdicts[key].reason in ON_ITS_WAY, key), default=None)
