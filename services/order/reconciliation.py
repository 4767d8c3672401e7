"""Decides whether an order is consistent with its workflow, payment, stock and shipment, and what to do otherwise.

    the order has ended, and everything is consistent   → AGREED
    the order is open, and its workflow is running      → UNDER_WAY, or STANDING_STILL after 15 minutes without a change
    the order is open, and its workflow has ended       → RESUME
    the order was undone, but something is still kept   → RESUME: the workflow undoes it again
    anything else                                       → REPORT to an operator

Resuming starts the same workflow again under another name, with the data of the execution that ended. If that execution began
to undo the order, the new one undoes it; if it began to sell the stock, the new one completes the order. Otherwise, each task
finds the result of an earlier execution and returns the same, so that the new execution catches up and continues.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.order.domain import Order, State

# Executions of one order, including the first. A workflow that fails every time needs an operator.
MOST_EXECUTIONS = 5
# An open order that has not changed for this long is reported as standing still.
PATIENCE = timedelta(minutes=15)

# Consistent states of the related resources by the state of the order. None: the resource does not exist.
_SHIPPED: Mapping[str, frozenset[str | None]] = {
    "payment": frozenset({"CHARGED"}),
    "stock": frozenset({"COMMITTED"}),
    "shipment": frozenset({"BOOKED"}),
}
_UNDONE: Mapping[str, frozenset[str | None]] = {
    "payment": frozenset({None, "DECLINED", "REFUNDED"}),
    "stock": frozenset({None, "REFUSED", "RELEASED"}),
    "shipment": frozenset({None, "REFUSED", "CANCELLED"}),
}
RESOURCES = tuple(_SHIPPED)


class FindingKind(StrEnum):
    """Why an order needs attention."""

    STANDING_STILL = "STANDING_STILL"
    DISAGREEING = "DISAGREEING"


@dataclass(frozen=True, slots=True)
class Finding:
    """An order that needs attention.

    Args:
        order_id: ID of the order.
        kind: why it needs attention.
        reason: human-readable reason, with the next step if there is one.
        since: time at which it was found first.
    """

    order_id: str
    kind: FindingKind
    reason: str
    since: datetime


class Verdict(StrEnum):
    """The action for an order."""

    AGREED = "agreed"
    UNDER_WAY = "under_way"
    STANDING_STILL = "standing_still"
    RESUME = "resume"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Execution:
    """The latest execution of an order's workflow.

    Args:
        number: 1 for the first execution.
        is_running: whether it can still make progress.
        status: status in Step Functions.
    """

    number: int
    is_running: bool
    status: str


@dataclass(frozen=True, slots=True)
class Judgment:
    """A verdict and its human-readable reason."""

    verdict: Verdict
    reason: str


def judge(
    order: Order, execution: Execution | None, states: Mapping[str, str | None], at: datetime
) -> Judgment:
    """The verdict on an order.

    Args:
        order: the order as last written.
        execution: latest execution of its workflow, or None if none was started.
        states: resource ("payment", "stock", "shipment") -> its state, or None if it does not exist.
        at: current time.
    """
    if order.state.is_end:
        return _of_ended(order, execution, states)
    if execution is None:
        return _waiting(
            order, at, "no workflow was started: check that the relay is running, and its errors in the log"
        )
    if execution.is_running:
        return _waiting(
            order, at, "its workflow is waiting for a task: check the queues and their dead letters"
        )
    return _again(execution, f"its workflow ended {execution.status} while the order is {order.state}")


def _of_ended(order: Order, execution: Execution | None, states: Mapping[str, str | None]) -> Judgment:
    allowed = _SHIPPED if order.state is State.SHIPPED else _UNDONE
    wrong = [f"{name} is {states[name]}" for name in RESOURCES if states[name] not in allowed[name]]
    if not wrong:
        return Judgment(Verdict.AGREED, "")
    reason = f"the order is {order.state}, but its {', its '.join(wrong)}"
    if execution is not None and execution.is_running:
        return Judgment(Verdict.UNDER_WAY, reason)
    if order.state is State.SHIPPED or execution is None:
        # The parcel may be on its way: only an operator may undo or repeat anything.
        return Judgment(Verdict.REPORT, reason)
    return _again(execution, reason)


def _again(execution: Execution, reason: str) -> Judgment:
    if execution.number >= MOST_EXECUTIONS:
        return Judgment(Verdict.REPORT, f"{reason}, after {execution.number} executions")
    return Judgment(Verdict.RESUME, reason)


def _waiting(order: Order, at: datetime, reason: str) -> Judgment:
    since = max(step.at for step in order.timeline)
    if at - since < PATIENCE:
        return Judgment(Verdict.UNDER_WAY, reason)
    return Judgment(Verdict.STANDING_STILL, f"{order.state} since {since.isoformat()}: {reason}")
