"""The conditions of a ShopService, one function each.

They follow kstatus, so that `kubectl wait`, Helm and Argo CD understand them: Ready is the condition to wait for; Reconciling
and Stalled are true only while work is in progress or needs intervention. Available depends only on the pods: during a
rollout, a ShopService is available and not ready.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from shop_operator.api.v1alpha1.reasons import row
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import PermanentError
from shop_operator.objects.summary import Summary
from shop_operator.status.cause import CYCLE, MISSING, READY, ZERO, Cause, of_ready, unready
from shop_operator.status.dependencies import Dependencies
from shop_operator.status.fields import LONGEST_MESSAGE
from shop_operator.status.observed import Observed
from shop_operator.status.verdicts import worst
from shop_operator.status.verdicts.verdict import ON_ITS_WAY, Verdict
from shop_operator.wording import number, printable

Condition = dict[str, Any]

_ROLLING: Final = ("Deployment", "Rollout")
_TRUE: Final = "True"
_FALSE: Final = "False"
_STATUS: Final = (_FALSE, _TRUE)
_SEE: Final = "See the Ready condition."
_MINIMUM: Final = "MinimumReplicasAvailable"
_NO_MINIMUM: Final = "MinimumReplicasUnavailable"


def conditions(
    shop: ShopService,
    observed: Observed,
    judged: Mapping[tuple[str, str], Verdict],
    previous: Mapping[str, Any],
) -> Iterator[Condition]:
    """All conditions, without their times.

    Args:
        shop: the ShopService.
        observed: its children and the errors of the pass.
        judged: the verdicts on its children.
        previous: the status so far.
    """
    waiting = {key: verdict for key, verdict in judged.items() if not verdict.ready and verdict.decisive}
    stuck = {key: verdict for key, verdict in waiting.items() if verdict.stuck}
    cause = unready(shop, observed, stuck, waiting, previous)
    stalls = _stalls(cause, observed, stuck)
    yield _ready(cause, shop, observed)
    yield _available(shop, observed, previous)
    yield _progressing(cause, waiting)
    yield _reconciling(cause, stalls=stalls)
    yield _stalled(cause, stalls=stalls)
    if observed.dependencies is not None:
        yield _dependencies_ready(observed.dependencies)


def dated(
    condition: Condition, generation: int, previous: Mapping[str, Any], now: Callable[[], str]
) -> Condition:
    """The condition with its generation and the time of its last transition."""
    before: Mapping[str, Any] = next(
        (each for each in previous.get("conditions", ()) if each["type"] == condition["type"]), {}
    )
    same = before.get("status") == condition["status"]
    time = before["lastTransitionTime"] if same else now()
    return {**condition, "observedGeneration": generation, "lastTransitionTime": time}


def _ready(cause: Cause | None, shop: ShopService, observed: Observed) -> Condition:
    return _condition(READY, _STATUS[cause is None], *of_ready(cause, shop, observed))


def _available(shop: ShopService, observed: Observed, previous: Mapping[str, Any]) -> Condition:
    """Whether the web Deployment serves; what the previous status says if the spec cannot be rendered."""
    if observed.rendered:
        web = observed.serving.get(("Deployment", shop.name))
        return _condition("Available", *_availability(shop.name, web))
    for each in previous.get("conditions", ()):
        if each["type"] == "Available":
            return _condition("Available", _STATUS[each["status"] == "True"], each["reason"], each["message"])
    return _condition("Available", _FALSE, _NO_MINIMUM, "Availability is unknown.")


def _availability(name: str, web: Summary | None) -> tuple[str, str, str]:
    """Status, reason and message. Without any pod it is not available, whatever the Deployment's maxUnavailable allows."""
    if web is None:
        return _FALSE, _NO_MINIMUM, f"Deployment {name} does not exist."
    wanted = web["spec"].get("replicas", 1)
    if not wanted:
        return _TRUE, ZERO, f"Deployment {name} is scaled to zero."
    state = web.get("status", {})
    available = state.get("availableReplicas", 0)
    holds = available > 0 and any(
        each["type"] == "Available" and each["status"] == "True" for each in state.get("conditions", ())
    )
    verb = "has" if holds else "does not have"
    message = f"Deployment {name} {verb} minimum availability: {available} of {number(wanted, 'pod')}."
    return _STATUS[holds], _MINIMUM if holds else _NO_MINIMUM, message


def _progressing(cause: Cause | None, waiting: Mapping[tuple[str, str], Verdict]) -> Condition:
    key = worst({key: verdict for key, verdict in waiting.items() if _rolls(key, verdict)})
    if key is None:
        return _condition("Progressing", _FALSE, "RolledOut", "No rollout is in progress.")
    reason = waiting[key].reason
    message = _SEE if cause is not None and cause.reason == reason else "A rollout is in progress."
    return _condition("Progressing", _TRUE, reason, message)


def _rolls(key: tuple[str, str], verdict: Verdict) -> bool:
    return key[0] in _ROLLING and not verdict.stuck and verdict.reason != "PodsUnavailable"


def _reconciling(cause: Cause | None, *, stalls: bool) -> Condition:
    if cause is None:
        return _condition("Reconciling", _FALSE, "Settled", "Reconciliation complete.")
    return _condition("Reconciling", _STATUS[not stalls], "Settled" if stalls else cause.reason, _SEE)


def _stalled(cause: Cause | None, *, stalls: bool) -> Condition:
    if cause is None or (not stalls and cause.reason in ON_ITS_WAY):
        return _condition("Stalled", _FALSE, "NotStalled", "No intervention required.")
    if not stalls:
        return _condition("Stalled", _FALSE, "NotStalled", f"May require intervention. {_SEE}")
    known = row(cause.reason, cause.message)
    message = f"{known.cure} {_SEE}" if known is not None and known.cure else _SEE
    return _condition("Stalled", _TRUE, cause.reason, message)


def _stalls(cause: Cause | None, observed: Observed, stuck: Mapping[tuple[str, str], Verdict]) -> bool:
    if cause is None or observed.error is not None:
        return isinstance(observed.error, PermanentError)
    return bool(stuck) or (observed.unmet and cause.reason in {MISSING, CYCLE})


def _dependencies_ready(known: Dependencies) -> Condition:
    return _condition("DependenciesReady", _STATUS[known.satisfied], known.reason, known.message)


def _condition(kind: str, state: str, reason: str, message: str) -> Condition:
    return {
        "type": kind,
        "status": state,
        "reason": reason,
        "message": printable(message)[:LONGEST_MESSAGE],
    }
