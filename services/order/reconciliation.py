"""Whether an order's workflow, payment, stock and shipment agree with it, and what to do when they do not.

    ended, and all agree                          → nothing is left to do
    open, and its workflow runs                   → wait; it stands still when it has done so for long
    open, and its workflow has ended or was ended → resume it
    undone, and something is kept of it           → resume it: the undoing is done again
    anything else                                 → report it to an operator

To resume is to start the same workflow again, under another name. Each of its tasks finds what an earlier execution
came to and answers the same, so the new one catches up with it and goes on, forward or back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.order.domain import Order, State

# Executions of one order, the first included; a workflow that ends early every time needs an operator.
MOST_EXECUTIONS = 5
# From when on an open order stands still.
PATIENCE = timedelta(minutes=15)

# What the other services may say of an order that has ended so; None stands for nothing.
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
PARTS = tuple(_SHIPPED)


class Verdict(StrEnum):
    """What is to be done about an order."""

    AGREED = "agreed"
    UNDER_WAY = "under_way"
    STANDING_STILL = "standing_still"
    RESUME = "resume"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Execution:
    """The latest execution of an order's workflow.

    Args:
        number: 1 for the first.
        is_running: whether it goes on.
        status: as Step Functions says.
    """

    number: int
    is_running: bool
    status: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and why, for an operator."""

    verdict: Verdict
    reason: str


def judge(
    order: Order, execution: Execution | None, states: Mapping[str, str | None], at: datetime
) -> Judgement:
    """What is to be done about an order.

    Args:
        order: as it is.
        execution: the latest of its workflow; None when none was ever started.
        states: part ("payment", "stock", "shipment") -> its state; None for none.
        at: now.
    """
    if order.state.is_end:
        return _of_ended(order, execution, states)
    if execution is None:
        return _waiting(
            order, at, "no workflow was started: see that the relay runs, or what its record lacks"
        )
    if execution.is_running:
        return _waiting(order, at, "its workflow waits for a task: see the queues and their dead letters")
    return _again(execution, f"its workflow ended {execution.status} and the order is {order.state}")


def _of_ended(order: Order, execution: Execution | None, states: Mapping[str, str | None]) -> Judgement:
    allowed = _SHIPPED if order.state is State.SHIPPED else _UNDONE
    wrong = [f"{part} is {states[part]}" for part in PARTS if states[part] not in allowed[part]]
    if not wrong:
        return Judgement(Verdict.AGREED, "")
    reason = f"the order is {order.state}, but its {', its '.join(wrong)}"
    if execution is not None and execution.is_running:
        return Judgement(Verdict.UNDER_WAY, reason)
    if order.state is State.SHIPPED or execution is None:
        # The parcel may be on its way: nothing is undone, and nothing done again, without an operator.
        return Judgement(Verdict.REPORT, reason)
    return _again(execution, reason)


def _again(execution: Execution, reason: str) -> Judgement:
    if execution.number >= MOST_EXECUTIONS:
        return Judgement(Verdict.REPORT, f"{reason}, after {execution.number} executions")
    return Judgement(Verdict.RESUME, reason)


def _waiting(order: Order, at: datetime, reason: str) -> Judgement:
    since = max(step.at for step in order.timeline)
    if at - since < PATIENCE:
        return Judgement(Verdict.UNDER_WAY, reason)
    return Judgement(Verdict.STANDING_STILL, f"{order.state} since {since.isoformat()}: {reason}")
