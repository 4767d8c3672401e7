"""The reason and the message of the Ready condition: the whole cause, to which the other conditions refer."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.status.observed import Observed, is_suspended
from shop_operator.status.verdicts import worst
from shop_operator.status.verdicts.verdict import ON_ITS_WAY, Verdict
from shop_operator.wording import clause, listed, sentence, steady

READY: Final = "Ready"
MISSING: Final = "DependencyMissing"
CYCLE: Final = "DependencyCycle"
SUSPENDED: Final = "Suspended"
ZERO: Final = "ScaledToZero"
_LEFT_ALONE: Final = "Reconciliation is suspended by spec.suspend."
_RETAINED: Final = " Kept for pods and clients of an earlier release: "
_MOST_RETAINED: Final = 5
_OVERRULED: Final = (
    "These fields do not match the spec, because the API server or an admission webhook changes them: "
)


class Cause(NamedTuple):
    """A reason, and a message of one or more sentences."""

    reason: str
    message: str


def unready(
    shop: ShopService,
    observed: Observed,
    stuck: Mapping[tuple[str, str], Verdict],
    waiting: Mapping[tuple[str, str], Verdict],
    previous: Mapping[str, Any],
) -> Cause | None:
    """The cause for not being ready; None if ready.

    Args:
        shop: the ShopService.
        observed: its children and the errors of the pass.
        stuck: the verdicts on children that need intervention.
        waiting: the verdicts on all children that prevent readiness.
        previous: the status so far: its message stays if the new one says nothing new.
    """
    cause = _cause(shop, observed, stuck, waiting)
    return cause and Cause(cause.reason, _steady(cause, shop, previous))


def of_ready(cause: Cause | None, shop: ShopService, observed: Observed) -> Cause:
    """The reason and the message of the Ready condition, with what is kept of an earlier release."""
    found = cause or _ready(shop, observed)
    if cause is not None and is_suspended(shop, observed):
        found = Cause(SUSPENDED, f"{_LEFT_ALONE} {cause.message}")
    return Cause(found.reason, found.message + _retained(observed))


def _cause(
    shop: ShopService,
    observed: Observed,
    stuck: Mapping[tuple[str, str], Verdict],
    waiting: Mapping[tuple[str, str], Verdict],
) -> Cause | None:
    """A failure comes before a dependency that cannot be met, and that before work in progress."""
    if observed.error is not None:
        return Cause(observed.error.reason, sentence(observed.error.message))
    child = _worst_child(stuck or waiting)
    known = observed.dependencies
    if known is None or not known.impossible or shop.spec.suspend:
        return child
    if child is None or (child.reason in ON_ITS_WAY and child.reason != "WaitingForDependencies"):
        return Cause(CYCLE if known.cycle else MISSING, known.message)
    return child


def _worst_child(waiting: Mapping[tuple[str, str], Verdict]) -> Cause | None:
    """The cause of the worst child, with the number of the others."""
    key = worst(waiting)
    if key is None:
        return None
    kind, name = key
    others = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
    return Cause(waiting[key].reason, sentence(f"{kind} {name}: {waiting[key].message}{others}"))


def _steady(cause: Cause, shop: ShopService, previous: Mapping[str, Any]) -> str:
    before = next((each for each in previous.get("conditions", ()) if each["type"] == READY), None)
    same = (
        before is not None
        and before["reason"] in {cause.reason, SUSPENDED}
        and before.get("observedGeneration") == shop.generation
    )
    if before is None or not same:
        return cause.message
    said = before["message"].removeprefix(f"{_LEFT_ALONE} ").partition(_RETAINED)[0]
    return steady(said, cause.message)


def _ready(shop: ShopService, observed: Observed) -> Cause:
    """The reason and the message for being ready."""
    if is_suspended(shop, observed):
        return Cause(SUSPENDED, _LEFT_ALONE)
    web = observed.serving.get(("Deployment", shop.name), {})
    zero = web.get("spec", {}).get("replicas", 1) == 0
    notes = _notes(observed)
    if observed.overruled:
        # Not a note, because the children do not match the spec.
        lead = "The web Deployment is scaled to zero" if zero else "All resources are ready"
        return Cause(ZERO if zero else READY, f"{lead}{notes}. {_OVERRULED}{listed(observed.overruled)}.")
    if zero:
        return Cause(ZERO, f"All resources match the spec. The web Deployment is scaled to zero{notes}.")
    return Cause(READY, f"All resources match the spec and are ready{notes}.")


def _notes(observed: Observed) -> str:
    notes = [clause(each) for each in observed.notes]
    if observed.dependencies is not None and observed.dependencies.unavailable:
        notes.append("a dependency is not available (see the DependenciesReady condition)")
    return "".join(f"; {each}" for each in notes)


def _retained(observed: Observed) -> str:
    """The objects that the spec no longer asks for and that are kept until the rollout is complete."""
    if not observed.retained:
        return ""
    first = list(observed.retained[:_MOST_RETAINED])
    more = len(observed.retained) - len(first)
    return f"{_RETAINED}{listed([*first, *([f'{more} more'] if more else [])])}."
