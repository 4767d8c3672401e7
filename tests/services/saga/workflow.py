"""The order workflow of a running shop: its timeouts and its states."""

from collections.abc import Iterator
from contextlib import contextmanager

from shopdev.cloudformation import stacks
from shopdev.customer import until
from shopdev.processes.shop import Shop

IMPATIENT_SECONDS, USUAL_SECONDS = 3, 300


@contextmanager
def impatient(shop: Shop) -> Iterator[int]:
    """Has executions that are started meanwhile wait a few seconds for a task before the charge; answers how many."""
    _update(shop, IMPATIENT_SECONDS)
    try:
        yield IMPATIENT_SECONDS
    finally:
        _update(shop, USUAL_SECONDS)


def _update(shop: Shop, seconds: int) -> None:
    shop.clients.cloudformation.update_stack(
        StackName=f"{shop.prefix}-saga",
        TemplateBody=stacks.template("saga"),
        Parameters=[
            {"ParameterKey": "Prefix", "ParameterValue": shop.prefix},
            {"ParameterKey": "TaskTimeoutSeconds", "ParameterValue": str(seconds)},
        ],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    workflow = shop.outputs["saga"]["StateMachineArn"]
    until(
        lambda: (
            f'"TimeoutSeconds": {seconds},'
            in shop.clients.stepfunctions.describe_state_machine(stateMachineArn=workflow)["definition"]
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
