"""The workflow of an order, on AWS Step Functions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from services.common.aws.executions import start_execution
from services.common.runtime import telemetry

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
