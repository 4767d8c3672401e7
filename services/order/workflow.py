"""The workflow of an order, as executions of an AWS Step Functions state machine."""

from collections.abc import Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import orjson
from botocore.exceptions import ClientError

from services.common.aws.executions import start_execution
from services.common.telemetry import logs
from services.order.reconciliation import Execution

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

log = logs.logger(__name__)
# Events that end an execution. AWS returns them, and the status, with a delay.
_ENDS = frozenset({"ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"})


class StepFunctionsWorkflow:
    """The workflow as a state machine of AWS Step Functions.

    Args:
        client: a Step Functions client.
        arn: the state machine.
    """

    def __init__(self, client: "SFNClient", arn: str) -> None:
        self._client = client
        self._arn = arn

    def start(self, order_id: str, order: Mapping[str, Any]) -> None:
        """As `ports.Workflow.start`."""
        started = start_execution(self._client, self._arn, order_id, order)
        log.info("workflow_started" if started else "workflow_already_started", order_id=order_id)


class Executions:
    """The executions of the workflow. The first one is named after its order; the ones that resume it are `<order>-2`, ….

    Args:
        client: a Step Functions client.
        arn: the state machine.
    """

    def __init__(self, client: "SFNClient", arn: str) -> None:
        self._client = client
        self._arn = arn

    def latest(self, order_id: str) -> Execution | None:
        """The order's latest execution."""
        latest, number = None, 1
        while (found := self._describe(order_id, number)) is not None:
            status = found["status"]
            latest = Execution(number, status in {"RUNNING", "PENDING_REDRIVE"}, status)
            number += 1
        return latest

    def resume(self, order_id: str, after: Execution) -> bool:
        """Starts the workflow with the data of an execution that has ended: its input, and the results of its steps.

        The data tells the new execution whether the earlier one began to undo the order, or to sell its stock.

        Returns:
            False if the data of the earlier execution is not complete yet. Then nothing is started.
        """
        data = self._last_data(order_id, after.number)
        if data is None:
            return False
        # Has no effect if another process was faster.
        start_execution(self._client, self._arn, _name(order_id, after.number + 1), {**data, "resumed": True})
        return True

    def _last_data(self, order_id: str, number: int) -> dict[str, Any] | None:
        """The input of the last state that an execution entered, or None if its history does not contain its end yet."""
        pages = self._client.get_paginator("get_execution_history").paginate(
            executionArn=self._arn_of(order_id, number), reverseOrder=True
        )
        # The order is that of AWS. Other implementations ignore `reverseOrder`, so each page is sorted.
        latest_first = (
            event for page in pages for event in sorted(page["events"], key=itemgetter("id"), reverse=True)
        )
        has_ended = False
        for event in latest_first:
            has_ended = has_ended or event["type"] in _ENDS
            entered = event.get("stateEnteredEventDetails") or event.get("executionStartedEventDetails")
            if entered:
                data: dict[str, Any] = orjson.loads(entered["input"])
                return data if has_ended else None
        return None

    def _describe(self, order_id: str, number: int) -> Mapping[str, Any] | None:
        try:
            return self._client.describe_execution(executionArn=self._arn_of(order_id, number))
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ExecutionDoesNotExist":
                raise
            return None

    def _arn_of(self, order_id: str, number: int) -> str:
        return f"{self._arn.replace(':stateMachine:', ':execution:')}:{_name(order_id, number)}"


def _name(order_id: str, number: int) -> str:
    return order_id if number == 1 else f"{order_id}-{number}"
