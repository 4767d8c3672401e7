"""The input of a status: everything that one pass has observed."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import InternalError, InvalidSpec, OperatorError
from shop_operator.objects.rollouts import with_pods
from shop_operator.status.dependencies import Dependencies
from shop_operator.status.diagnosis import Diagnosis
from shop_operator.status.drift import Repair
from shop_operator.status.rollback import Release
from shop_operator.status.verdicts.verdict import Known, Summaries

# Errors after which the spec says nothing about what runs.
_UNRENDERED: Final = (InvalidSpec, InternalError)


@dataclass(frozen=True)
class Observed:
    """The observations of one pass.

    Args:
        children: the summaries of the live children.
        error: the worst error; None without any.
        dependencies: the dependencies of the ShopService; None without any.
        held: whether its pods wait for them.
        diagnoses: the diagnoses of pods that do not become ready, by Deployment.
        overdue: the Deployments that have exceeded their deadline beyond doubt.
        repairs: the modifications that were reverted.
        scaling: the Deployments whose wanted count has changed and has not been reached yet.
        failed_autoscalers: the autoscalers (kind, name) that have not worked for three minutes.
        uncreated: the Deployments that have had no ReplicaSet for their newest template for as long as their deadline.
        unobserved: the Rollouts that Argo Rollouts has not observed for as long as their deadline.
        idle: the Rollouts whose release has not continued for the pause of its step and their deadline.
        unmet: whether a dependency has been missing, or part of a cycle, for longer than pods wait for dependencies.
        release: the release that the spec asks for, with automatic rollback; None if this pass does not know it.
        rolled_back: whether that release is rejected: the last good one replaces it, or cannot be rendered any more.
        notes: clauses about fields of the spec that the cluster does not support and that do not prevent readiness.
        overruled: the children with fields to which the API server or a webhook gives other values than the spec.
        retained: objects that are kept for pods and clients of an earlier release.
    """

    children: Summaries
    error: OperatorError | None = None
    dependencies: Dependencies | None = None
    held: bool = False
    diagnoses: Mapping[str, Diagnosis] = field(default_factory=dict)
    overdue: AbstractSet[str] = frozenset()
    repairs: Sequence[Repair] = ()
    scaling: AbstractSet[str] = frozenset()
    failed_autoscalers: AbstractSet[tuple[str, str]] = frozenset()
    uncreated: AbstractSet[str] = frozenset()
    unobserved: AbstractSet[str] = frozenset()
    idle: AbstractSet[str] = frozenset()
    unmet: bool = False
    release: Release | None = None
    rolled_back: bool = False
    notes: Sequence[str] = ()
    overruled: Sequence[str] = ()
    retained: Sequence[str] = ()

    @cached_property
    def serving(self) -> Summaries:
        """The summaries of the live children, in which each Deployment has the pods that a Rollout runs for it."""
        return with_pods(self.children)

    @property
    def rendered(self) -> bool:
        """Whether the spec could be rendered, so that children can be judged by it."""
        return not isinstance(self.error, _UNRENDERED)

    @property
    def known(self) -> Known:
        """The part on which verdicts depend."""
        return Known(
            dependencies=self.dependencies,
            held=self.held,
            diagnoses=self.diagnoses,
            scaling=self.scaling,
            failed_autoscalers=self.failed_autoscalers,
            uncreated=self.uncreated,
            unobserved=self.unobserved,
            idle=self.idle,
        )


def is_suspended(shop: ShopService, observed: Observed) -> bool:
    """Whether spec.suspend is true in a spec that can be rendered."""
    return observed.rendered and shop.spec.suspend is True
