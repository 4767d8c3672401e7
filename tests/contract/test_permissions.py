"""Each service's IAM policy against the AWS calls in its code: no right is missing, and none is unused.

Read from the source: which operations of boto3 the modules use that a service's processes import.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shopprocs import stacks

SERVICES = Path(__file__).resolve().parents[2] / "services"
ACTIONS = {
    "batch_get_item": "dynamodb:BatchGetItem",
    "batch_write_item": "dynamodb:BatchWriteItem",
    "delete_item": "dynamodb:DeleteItem",
    "describe_table": "dynamodb:DescribeTable",
    "get_item": "dynamodb:GetItem",
    "put_item": "dynamodb:PutItem",
    "query": "dynamodb:Query",
    "scan": "dynamodb:Scan",
    "update_item": "dynamodb:UpdateItem",
    "change_message_visibility": "sqs:ChangeMessageVisibility",
    "delete_message": "sqs:DeleteMessage",
    "get_queue_attributes": "sqs:GetQueueAttributes",
    "receive_message": "sqs:ReceiveMessage",
    "send_message": "sqs:SendMessage",
    "publish": "sns:Publish",
    "publish_batch": "sns:Publish",
    "send_task_failure": "states:SendTaskFailure",
    "send_task_heartbeat": "states:SendTaskHeartbeat",
    "send_task_success": "states:SendTaskSuccess",
    "start_execution": "states:StartExecution",
}
# A transaction has no right of its own: each of its parts needs that of the single operation.
PARTS = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}
CALL = re.compile(r"_client\.(\w+)\(")
PAGES = re.compile(r'get_paginator\("(\w+)"\)')
PART = re.compile(r'"(Put|Update|Delete|ConditionCheck)":')
IMPORT = re.compile(r"^\s*from (services\.\w+(?:\.\w+)?) import ([\w, ]+)", re.MULTILINE)


def imported(source: str) -> Iterator[Path]:
    """The modules of the repository that a module imports."""
    for package, names in IMPORT.findall(source):
        folder = SERVICES.parent.joinpath(*package.split("."))
        yield folder.with_suffix(".py")
        yield from (folder / f"{name.strip()}.py" for name in names.split(","))


def modules(service: str) -> set[Path]:
    """A service's modules and all that they import."""
    found: set[Path] = set()
    waiting = set((SERVICES / service).glob("*.py"))
    while waiting:
        module = waiting.pop()
        if module not in found and module.exists():
            found.add(module)
            waiting.update(imported(module.read_text(encoding="utf-8")))
    return found


def used(service: str) -> set[str]:
    """The IAM actions of the calls in a service's code."""
    sources = [module.read_text(encoding="utf-8") for module in modules(service)]
    calls = {call for source in sources for pattern in (CALL, PAGES) for call in pattern.findall(source)}
    transacts = "transact_write_items" in calls
    parts = {part for source in sources for part in PART.findall(source)} if transacts else set()
    unknown = calls - ACTIONS.keys() - {"transact_write_items", "get_paginator"}
    assert not unknown, f"this test knows no right for {unknown}"
    return {ACTIONS[call] for call in calls & ACTIONS.keys()} | {PARTS[part] for part in parts}


@pytest.mark.parametrize("service", stacks.SERVICES)
def test_given_a_services_code_when_its_policy_is_read_then_it_grants_exactly_the_calls_that_are_made(
    service: str,
) -> None:
    policy = stacks.document(service)["Resources"]["Access"]["Properties"]["PolicyDocument"]
    granted: set[str] = set()
    for statement in policy["Statement"]:
        action = statement["Action"]
        granted |= {action} if isinstance(action, str) else set(action)
    assert granted == used(service)
