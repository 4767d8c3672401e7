"""A verdict, and the facts on which verdicts depend beside the children."""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

from shop_operator.objects.summary import Summary
from shop_operator.status.dependencies import Dependencies
from shop_operator.status.diagnosis import Diagnosis

Summaries = Mapping[tuple[str, str], Summary]
"""The summaries of live children, by kind and name."""
Subject = TypeVar("Subject")

ON_ITS_WAY: Final = frozenset(
    {"Canary", "Creating", "RollingOut", "Scaling", "Terminating", "WaitingForDependencies"}
)
"""Reasons that usually pass without intervention."""


@dataclass(frozen=True)
class Verdict:
    """The state of one child.

    Args:
        ready: whether the child does its work.
        reason: a CamelCase word; empty when ready.
        message: a clause; empty when ready.
        stuck: whether the child needs intervention to become ready.
        overdue: whether its rollout has exceeded its progress deadline.
        decisive: whether the ShopService is not ready without it.
    """

    ready: bool
    reason: str = ""
    message: str = ""
    stuck: bool = False
    overdue: bool = False
    decisive: bool = True


READY_VERDICT: Final = Verdict(ready=True)


@dataclass(frozen=True)
class Known:
    """The facts on which verdicts depend beside the children.

    Args:
        dependencies: the dependencies of the ShopService; None without any.
        held: whether its pods wait for them.
        diagnoses: the diagnoses of pods that do not become ready, by Deployment.
        scaling: the Deployments whose wanted count has changed and has not been reached yet.
        failed_autoscalers: the autoscalers (kind, name) that have not worked for three minutes.
        uncreated: the Deployments that have had no ReplicaSet for their newest template for as long as their deadline.
        unobserved: the Rollouts that Argo Rollouts has not observed for as long as their deadline.
        idle: the Rollouts whose release has not continued for the pause of its step and their deadline.
    """

    dependencies: Dependencies | None = None
    held: bool = False
    diagnoses: Mapping[str, Diagnosis] = field(default_factory=dict)
    scaling: AbstractSet[str] = frozenset()
    failed_autoscalers: AbstractSet[tuple[str, str]] = frozenset()
    uncreated: AbstractSet[str] = frozenset()
    unobserved: AbstractSet[str] = frozenset()
    idle: AbstractSet[str] = frozenset()


class Input(NamedTuple):
    """One live child and everything that its verdict may depend on.

    Attributes:
        kind: of the child.
        name: of the child.
        summary: of the child.
        children: all children of the ShopService.
        known: the facts beside them.
        deadline: the progress deadline of its Deployments, in seconds.
    """

    kind: str
    name: str
    summary: Summary
    children: Summaries
    known: Known
    deadline: int


def first_answer(chain: Iterable[Callable[[Subject], Verdict | None]], subject: Subject) -> Verdict:
    """The answer of the first check in the chain that has one; ready without any."""
    for check in chain:
        verdict = check(subject)
        if verdict is not None:
            return verdict
    return READY_VERDICT
