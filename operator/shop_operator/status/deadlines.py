"""Facts that count only once they have lasted, or that follow from an earlier pass. Pure but for the memory, which it updates."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import InvalidSpec
from shop_operator.status import resuming
from shop_operator.status.dependencies import GRACE
from shop_operator.status.memory import StatusMemory
from shop_operator.status.outcome import Outcome
from shop_operator.status.verdicts.autoscaler import failing
from shop_operator.status.verdicts.deployment import OVER, deadline_of, overdue, uncreated
from shop_operator.status.verdicts.rollout import NO_CONTROLLER, is_idle, releases, unobserved
from shop_operator.status.verdicts.verdict import Summaries

# If the ReplicaSet of a new template exists already, the Deployment controller reports an exceeded deadline until the ReplicaSet
# makes progress. No rollout exceeds its deadline within this time: it is the minimum of the deadline.
_DOUBT: Final = 10.0
# An autoscaler has no measurement of pods that have just started, or while the metrics API recovers.
_FAILED_AUTOSCALER: Final = 180.0


class Lasted(NamedTuple):
    """The facts, as in Observed, and the time of the next inspection.

    Attributes:
        overdue: the Deployments that have exceeded their deadline beyond doubt.
        uncreated: the Deployments that have had no ReplicaSet for as long as their deadline.
        unobserved: the Rollouts that Argo Rollouts has not observed for as long as their deadline.
        idle: the Rollouts whose release has not continued for the pause of its step and their deadline.
        failed_autoscalers: the autoscalers that have not worked for three minutes.
        unmet: whether a dependency could not be met for as long as pods wait for dependencies.
        scaling: the Deployments whose wanted count has changed and has not been reached yet.
        next_look: seconds until one of these may change without an event; None if none may.
    """

    overdue: AbstractSet[str]
    uncreated: AbstractSet[str]
    unobserved: AbstractSet[str]
    idle: AbstractSet[str]
    failed_autoscalers: AbstractSet[tuple[str, str]]
    unmet: bool
    scaling: AbstractSet[str]
    next_look: float | None


def overdue_before(memory: StatusMemory, shop: ShopService, children: Summaries) -> list[tuple[str, int]]:
    """The overdue Deployments that an earlier process has reported, with their generations; only in the first pass."""
    if memory.late is not None:
        return []
    before = resuming.overdue(shop.status, shop.generation)
    return [(name, generation) for name, generation in overdue(children).items() if name == before]


def observe(
    memory: StatusMemory,
    shop: ShopService,
    children: Summaries,
    outcome: Outcome,
    *,
    before: Iterable[tuple[str, int]],
    now: float,
) -> Lasted:
    """Update the memory with what this pass observes.

    Args:
        memory: of the ShopService.
        shop: the ShopService.
        children: its children.
        outcome: the result of the pass.
        before: the overdue Deployments that an earlier process has reported.
        now: the time of a steady clock, in seconds.
    """
    late, doubt = memory.overdue.see(overdue(children).items(), now, _DOUBT, known=before)
    failed_autoscalers, broken = memory.failed_autoscalers.see(
        failing(children), now, _FAILED_AUTOSCALER, known=resuming.failed_autoscalers(shop.status)
    )
    lacking, soon = _uncreated(memory, shop, children, outcome, now)
    ignored, silent = _unobserved(memory, shop, children, outcome, now)
    idle, resting = _idle(memory, shop, children, outcome, now)
    unmet, hopeless = _unmet(memory, shop, outcome, now)
    looks = (doubt, broken, soon, silent, resting, hopeless)
    return Lasted(
        overdue=lacking | {name for name, _ in late},
        uncreated=lacking,
        unobserved=ignored,
        idle=idle,
        failed_autoscalers=failed_autoscalers,
        unmet=unmet,
        scaling=_scaling(memory, shop, children),
        next_look=min((each for each in looks if each is not None), default=None),
    )


def _uncreated(
    memory: StatusMemory, shop: ShopService, children: Summaries, outcome: Outcome, now: float
) -> tuple[frozenset[str], float | None]:
    """The Deployment controller does not measure the deadline of a Deployment without a ReplicaSet, so the operator does."""
    if any(isinstance(each, InvalidSpec) for each in outcome.problems):
        return frozenset(), None
    found = uncreated(children)
    messages = _messages(shop, "Deployment") if found else {}
    known = [each for each in found if OVER in messages.get(each[0], "")]
    deadline = deadline_of(outcome.pods or shop) if found else 0
    late, soon = memory.uncreated.see(found, now, deadline, known=known)
    return frozenset(name for name, _ in late), soon


def _unobserved(
    memory: StatusMemory, shop: ShopService, children: Summaries, outcome: Outcome, now: float
) -> tuple[frozenset[str], float | None]:
    """A Rollout has no status without a controller, and no condition says so."""
    found = unobserved(children)
    messages = _messages(shop, "Rollout") if found else {}
    known = [each for each in found if NO_CONTROLLER in messages.get(each[0], "")]
    deadline = deadline_of(outcome.pods or shop) if found else 0
    ignored, soon = memory.unobserved.see(found, now, deadline, known=known)
    return frozenset(name for name, *_ in ignored), soon


def _idle(
    memory: StatusMemory, shop: ShopService, children: Summaries, outcome: Outcome, now: float
) -> tuple[frozenset[str], float | None]:
    """A release whose controller has ended looks like one that waits."""
    found = releases(children)
    messages = _messages(shop, "Rollout") if found else {}
    known = [each for each in found if is_idle(messages.get(each.name, ""), each)]
    patience = deadline_of(outcome.pods or shop) + max(found.values()) if found else 0
    lasted, soon = memory.releases.see(found, now, patience, known=known)
    return frozenset(each.name for each in lasted), soon


def _messages(shop: ShopService, kind: str) -> dict[str, str]:
    """The messages of the status about children that are not ready, if it is about the current spec."""
    current = shop.status.get("observedGeneration") == shop.generation
    return resuming.messages(shop.status, kind) if current else {}


def _unmet(
    memory: StatusMemory, shop: ShopService, outcome: Outcome, now: float
) -> tuple[bool, float | None]:
    impossible = ["dependencies"] if outcome.dependencies and outcome.dependencies.impossible else []
    known = impossible if resuming.unmet(shop.status) else []
    found, hopeless = memory.unmet.see(impossible, now, GRACE.total_seconds(), known=known)
    return bool(found), hopeless


def _scaling(memory: StatusMemory, shop: ShopService, children: Summaries) -> frozenset[str]:
    """The Deployments whose wanted count has changed since they had as many available pods as wanted."""
    found: dict[str, tuple[int, bool]] = {}
    for (kind, name), child in children.items():
        if kind != "Deployment":
            continue
        wanted, state = child["spec"].get("replicas", 1), child["status"]
        known = memory.scaling.get(name)
        changed = resuming.scaling(shop.status, name) if known is None else known[1] or known[0] != wanted
        seen = state.get("observedGeneration", 0) >= child["metadata"].get("generation", 0)
        there = state.get("replicas", 0) == state.get("availableReplicas", 0) == wanted
        found[name] = (wanted, changed and not (seen and there))
    memory.scaling = found
    return frozenset(name for name, (_, changes) in found.items() if changes)
