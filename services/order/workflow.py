"""The workflow of an order, as executions of an AWS Step Functions state machine."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
from botocore.exceptions import ClientError

from services.common.aws.executions import start_execution
from services.common.runtime import telemetry
from services.order.reconciliation import Execution

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

log = telemetry.logger(__name__)


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

    def resume(self, order_id: str, after: Execution) -> None:
        """Starts the workflow with the input of the first execution. Has no effect if another process was faster."""
        first = self._describe(order_id, 1)
        given: Any = orjson.loads(first["input"]) if first else {}
        start_execution(
            self._client, self._arn, _name(order_id, after.number + 1), {**given, "resumed": True}
        )

    def _describe(self, order_id: str, number: int) -> Mapping[str, Any] | None:
        arn = f"{self._arn.replace(':stateMachine:', ':execution:')}:{_name(order_id, number)}"
        try:
            return self._client.describe_execution(executionArn=arn)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ExecutionDoesNotExist":
                raise
            return None


def _name(order_id: str, number: int) -> str:
    return order_id if number == 1 else f"{order_id}-{number}"
