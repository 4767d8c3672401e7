"""The order workflow of a running shop: its timeouts and its states."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shopdev.cloudformation import stacks
from shopdev.customer import until
from shopdev.processes.shop import Shop

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef

IMPATIENT_SECONDS = 3
BEFORE_THE_CHARGE, AFTER_THE_CHARGE = "TaskTimeoutSeconds", "PaidTaskTimeoutSeconds"


@contextmanager
def impatient(shop: Shop, timeout: str = BEFORE_THE_CHARGE) -> Iterator[int]:
    """Shortens a timeout of the executions that are started in the meantime. Returns it in seconds."""
    _update(shop, {timeout: IMPATIENT_SECONDS})
    try:
        yield IMPATIENT_SECONDS
    finally:
        _update(shop, {})


def _update(shop: Shop, timeouts: Mapping[str, int]) -> None:
    """Sets the timeouts. The others have their defaults."""
    chosen: list[ParameterTypeDef] = [
        {"ParameterKey": name, "ParameterValue": str(seconds)} for name, seconds in timeouts.items()
    ]
    shop.clients.cloudformation.update_stack(
        StackName=f"{shop.prefix}-saga",
        TemplateBody=stacks.body("saga"),
        Parameters=[
            {"ParameterKey": "Prefix", "ParameterValue": shop.prefix},
            *chosen,
        ],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    workflow = shop.outputs["saga"]["StateMachineArn"]
    until(
        lambda: (
            (
                f'"TimeoutSeconds": {IMPATIENT_SECONDS},'
                in shop.clients.stepfunctions.describe_state_machine(stateMachineArn=workflow)["definition"]
            )
            is bool(timeouts)
        )
    )


def visited(shop: Shop, execution: str) -> set[str]:
    """Every state that an execution has entered."""
    workflows = shop.clients.stepfunctions
    try:
        history = workflows.get_execution_history(executionArn=arn(shop, execution), maxResults=1000)
    except workflows.exceptions.ExecutionDoesNotExist:
        return set()
    return {
        event["stateEnteredEventDetails"]["name"]
        for event in history["events"]
        if "stateEnteredEventDetails" in event
    }


def arn(shop: Shop, execution: str) -> str:
    """Of an execution of this name."""
    return shop.outputs["saga"]["StateMachineArn"].replace(":stateMachine:", ":execution:") + f":{execution}"
