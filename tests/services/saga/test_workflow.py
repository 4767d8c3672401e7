"""Every path through the order workflow, with scripted services.

The workflow is the deployed one; only the results of the services are scripted. All stories run concurrently, so that the
tests wait for a timeout only once.
"""

import contextlib
import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from shopdev.checkout import SERVICES
from shopdev.cloudformation import stacks
from shopdev.processes.emulator import Emulator

pytestmark = pytest.mark.emulator

TASK_TIMEOUT_SECONDS = 8
PAID_TASK_TIMEOUT_SECONDS = 20
# Between both: too late before the charge, and in time after it.
LATE_SECONDS = 12
DEADLINE_SECONDS = 90
TOTAL = {"amount": 2598, "currency": "EUR"}
NOTHING = {"amount": 0, "currency": "EUR"}


@dataclass(frozen=True)
class Failure:
    """The service rejects the task."""

    error: str
    cause: str = "because the story says so"


class Silence:
    """The service reports no result for this message."""


class Late:
    """The service completes the task after `LATE_SECONDS`."""


Answer = Failure | Silence | Late
# What Step Functions reports of a send that SQS refuses. The emulator accepts every send, so the service answers it.
REFUSED_SEND = Failure("SQS.AmazonSQSException")
SUCCESS: Mapping[str, Mapping[str, Any]] = {
    "ReserveStock": {"reserved_at": "2026-01-01T00:00:01Z"},
    "CheckOrder": {"state": "RESERVED"},
    "ChargePayment": {"payment_id": "payment-1", "charged_at": "2026-01-01T00:00:02Z"},
    "ConfirmOrder": {"confirmed_at": "2026-01-01T00:00:03Z"},
    "CreateShipment": {"tracking_number": "T-1", "booked_at": "2026-01-01T00:00:04Z"},
    "CommitStock": {"committed_at": "2026-01-01T00:00:05Z"},
    "CompleteOrder": {"state": "SHIPPED"},
    "StartCancelling": {"state": "CANCELLING"},
    "CancelShipment": {"cancelled": True},
    "RefundPayment": {"refunded": TOTAL},
    "ReleaseStock": {"released_at": "2026-01-01T00:00:06Z"},
    "CancelOrder": {"state": "CANCELLED"},
}
# The data of an execution after its steps, and after CreateShipment.
RESULTS = {
    "reservation": SUCCESS["ReserveStock"],
    "charge": SUCCESS["ChargePayment"],
    "confirmation": SUCCESS["ConfirmOrder"],
}
BOOKED = {"shipment": SUCCESS["CreateShipment"]}
OWNER = {
    "ReserveStock": "product",
    "CheckOrder": "order",
    "ChargePayment": "payment",
    "ConfirmOrder": "order",
    "CreateShipment": "shipping",
    "CommitStock": "product",
    "CompleteOrder": "order",
    "StartCancelling": "order",
    "CancelShipment": "shipping",
    "RefundPayment": "payment",
    "ReleaseStock": "product",
    "CancelOrder": "order",
}

FORWARD = (
    "ReserveStock",
    "CheckOrder",
    "ChargePayment",
    "ConfirmOrder",
    "CreateShipment",
    "CommitStock",
    "CompleteOrder",
)
UNDO = ("RefundPayment", "ReleaseStock", "CancelOrder")
BACK = ("StartCancelling", *UNDO)
BACK_FROM_SHIPMENT = ("StartCancelling", "CancelShipment", *UNDO)


@dataclass(frozen=True)
class Story:
    """Answers of the services in order (then success), and the tasks that must follow."""

    answers: Mapping[str, Sequence[Answer]]
    path: Sequence[str]
    error: str | None = None
    refunded: Mapping[str, Any] = field(default_factory=lambda: TOTAL)
    resumed: bool = False
    data: dict[str, Any] = field(default_factory=dict)
    """Data that a resumed execution gets from the earlier one, in addition to the input."""


STORIES: Mapping[str, Story] = {
    "all goes well": Story({}, FORWARD),
    "out of stock: nothing was kept": Story(
        {"ReserveStock": [Failure("OutOfStock")]}, ("ReserveStock", "CancelOrder"), "OutOfStock", NOTHING
    ),
    "unknown product: nothing was kept": Story(
        {"ReserveStock": [Failure("UnknownProduct")]},
        ("ReserveStock", "CancelOrder"),
        "UnknownProduct",
        NOTHING,
    ),
    "no answer about stock: it may have been kept": Story(
        {"ReserveStock": [Silence()]},
        ("ReserveStock", "ReleaseStock", "CancelOrder"),
        "States.Timeout",
        NOTHING,
    ),
    "stock closed for this order": Story(
        {"ReserveStock": [Failure("OrderClosed")]},
        ("ReserveStock", "ReleaseStock", "CancelOrder"),
        "OrderClosed",
        NOTHING,
    ),
    "declined: only stock goes back": Story(
        {"ChargePayment": [Failure("PaymentDeclined")]},
        (*FORWARD[:3], "ReleaseStock", "CancelOrder"),
        "PaymentDeclined",
        NOTHING,
    ),
    "payment unknown: it may have been charged": Story(
        {"ChargePayment": [Failure("PaymentUnknown")]}, (*FORWARD[:3], *BACK), "PaymentUnknown"
    ),
    "payment closed for this order": Story(
        {"ChargePayment": [Failure("OrderClosed")]}, (*FORWARD[:3], *BACK), "OrderClosed"
    ),
    "no answer about the charge": Story(
        {"ChargePayment": [Silence()]}, (*FORWARD[:3], *BACK), "States.Timeout"
    ),
    "cancelled before the charge: nothing is charged": Story(
        {"CheckOrder": [Failure("OrderCancelled")]},
        (*FORWARD[:2], "ReleaseStock", "CancelOrder"),
        "OrderCancelled",
        NOTHING,
    ),
    "no answer about the order before the charge": Story(
        {"CheckOrder": [Silence()]},
        (*FORWARD[:2], "ReleaseStock", "CancelOrder"),
        "States.Timeout",
        NOTHING,
    ),
    "the order does not hear that it is being undone": Story(
        {"ConfirmOrder": [Failure("OrderCancelled")], "StartCancelling": [Failure("Oops")]},
        (*FORWARD[:4], *BACK),
        "OrderCancelled",
    ),
    "the stock is reserved late: it may be wanted no more": Story(
        {"ReserveStock": [Late()]},
        ("ReserveStock", "ReleaseStock", "CancelOrder"),
        "States.Timeout",
        NOTHING,
    ),
    "resumed after all went well": Story({}, FORWARD, resumed=True),
    "resumed while no service before the charge answers for long": Story(
        {"ReserveStock": [Late()], "CheckOrder": [Late()], "ChargePayment": [Late()]}, FORWARD, resumed=True
    ),
    "resumed while a queue refuses a task for a quarter of an hour": Story(
        {"ChargePayment": [REFUSED_SEND] * 20},
        (*FORWARD[:2], *("ChargePayment",) * 20, *FORWARD[2:]),
        resumed=True,
    ),
    "resumed, and no answer about stock: everything may have been done": Story(
        {"ReserveStock": [Silence()]},
        ("ReserveStock", *BACK_FROM_SHIPMENT),
        "States.Timeout",
        resumed=True,
    ),
    "resumed, and no answer about the order: everything may have been done": Story(
        {"CheckOrder": [Silence()]}, (*FORWARD[:2], *BACK_FROM_SHIPMENT), "States.Timeout", resumed=True
    ),
    "resumed, and no answer about the charge: everything may have been done": Story(
        {"ChargePayment": [Silence()]}, (*FORWARD[:3], *BACK_FROM_SHIPMENT), "States.Timeout", resumed=True
    ),
    "resumed after it was out of stock: nothing was kept": Story(
        {"ReserveStock": [Failure("OutOfStock")]},
        ("ReserveStock", "CancelOrder"),
        "OutOfStock",
        NOTHING,
        resumed=True,
    ),
    "resumed after the payment was declined: only stock goes back": Story(
        {"ChargePayment": [Failure("PaymentDeclined")]},
        (*FORWARD[:3], "ReleaseStock", "CancelOrder"),
        "PaymentDeclined",
        NOTHING,
        resumed=True,
    ),
    "resumed after the stock was released": Story(
        {"ReserveStock": [Failure("OrderClosed")]},
        ("ReserveStock", *BACK_FROM_SHIPMENT),
        "OrderClosed",
        resumed=True,
    ),
    "resumed after it was cancelled": Story(
        {"CheckOrder": [Failure("OrderCancelled")]},
        (*FORWARD[:2], *BACK_FROM_SHIPMENT),
        "OrderCancelled",
        resumed=True,
    ),
    "resumed after the refund": Story(
        {"ChargePayment": [Failure("OrderClosed")]},
        (*FORWARD[:3], *BACK_FROM_SHIPMENT),
        "OrderClosed",
        resumed=True,
    ),
    "resumed after it began to be undone: nothing is repeated before": Story(
        {},
        BACK_FROM_SHIPMENT,
        "PaymentUnknown",
        resumed=True,
        data=RESULTS | {"failure": {"Error": "PaymentUnknown", "Cause": "no response"}},
    ),
    "resumed after it timed out and began to be undone: a timeout has no cause": Story(
        {}, BACK_FROM_SHIPMENT, "States.Timeout", resumed=True, data={"failure": {"Error": "States.Timeout"}}
    ),
    "resumed after it was booked and failed: it is undone": Story(
        {},
        BACK_FROM_SHIPMENT,
        "States.Timeout",
        resumed=True,
        data=RESULTS | BOOKED | {"failure": {"Error": "States.Timeout"}},
    ),
    "resumed after its stock began to be sold: it is not undone": Story(
        {"CommitStock": [Silence()], "CompleteOrder": [Failure("Oops")]},
        ("CommitStock", "CommitStock", "CompleteOrder", "CompleteOrder"),
        resumed=True,
        data=RESULTS | BOOKED,
    ),
    "cancelled by the customer": Story(
        {"ConfirmOrder": [Failure("OrderCancelled")]}, (*FORWARD[:4], *BACK), "OrderCancelled"
    ),
    "no answer about the confirmation": Story(
        {"ConfirmOrder": [Silence()]}, (*FORWARD[:4], *BACK), "States.Timeout"
    ),
    "shipment refused": Story(
        {"CreateShipment": [Failure("ShipmentRefused")]}, (*FORWARD[:5], *BACK), "ShipmentRefused"
    ),
    "shipping closed for this order": Story(
        {"CreateShipment": [Failure("OrderClosed")]}, (*FORWARD[:5], *BACK_FROM_SHIPMENT), "OrderClosed"
    ),
    "no answer about the shipment: it may have been booked": Story(
        {"CreateShipment": [Silence()]}, (*FORWARD[:5], *BACK_FROM_SHIPMENT), "States.Timeout"
    ),
    "a transient error of a forward step": Story(
        {"ReserveStock": [REFUSED_SEND]}, ("ReserveStock", *FORWARD)
    ),
    "the queue refuses a task before the charge for seven minutes": Story(
        {"CheckOrder": [REFUSED_SEND] * 12}, ("ReserveStock", *("CheckOrder",) * 12, *FORWARD[1:])
    ),
    "the queue refuses a task before the charge for longer": Story(
        {"CheckOrder": [REFUSED_SEND] * 13},
        ("ReserveStock", *("CheckOrder",) * 13, "ReleaseStock", "CancelOrder"),
        REFUSED_SEND.error,
        NOTHING,
    ),
    "the queue refuses a task after the charge for a quarter of an hour": Story(
        {"CreateShipment": [REFUSED_SEND] * 20}, (*FORWARD[:4], *("CreateShipment",) * 20, *FORWARD[4:])
    ),
    "stock is committed late": Story(
        {"CommitStock": [Silence(), Failure("Oops")]},
        (*FORWARD[:5], "CommitStock", "CommitStock", *FORWARD[5:]),
    ),
    "the order is completed late": Story({"CompleteOrder": [Silence()]}, (*FORWARD, "CompleteOrder")),
    "every undo is slow": Story(
        {
            "CreateShipment": [Failure("OrderClosed")],
            "CancelShipment": [Failure("Oops")],
            "RefundPayment": [Silence()],
            "ReleaseStock": [Failure("Oops"), Failure("Oops")],
            "CancelOrder": [Failure("Oops")],
        },
        (
            *FORWARD[:5],
            "StartCancelling",
            *("CancelShipment",) * 2,
            *("RefundPayment",) * 2,
            *("ReleaseStock",) * 3,
            *("CancelOrder",) * 2,
        ),
        "OrderClosed",
    ),
}


class ScriptedServices:
    """Reports results for the tasks of all stories, and records them.

    Args:
        emulator: where the queues are.
        queues: service -> the URL of its tasks queue.
        stories: order id -> its story.
    """

    def __init__(self, emulator: Emulator, queues: Mapping[str, str], stories: Mapping[str, Story]) -> None:
        self.messages: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._clients = emulator.clients
        self._answers = {
            order_id: {task: list(answers) for task, answers in story.answers.items()}
            for order_id, story in stories.items()
        }
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._serve, args=(service, url), daemon=True)
            for service, url in queues.items()
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _serve(self, service: str, url: str) -> None:
        while not self._over.is_set():
            received = self._clients.sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1
            )
            for message in received.get("Messages", []):
                body = json.loads(message["Body"])
                assert OWNER[body["task"]] == service
                self.messages[body["order_id"]].append(body)
                self._answer(body)
                self._clients.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def _answer(self, body: Mapping[str, Any]) -> None:
        scripted = self._answers[body["order_id"]].get(body["task"])
        match scripted.pop(0) if scripted else None:
            case Silence():
                return
            case Late():
                timer = threading.Timer(LATE_SECONDS, self._succeed, (body,))
                timer.daemon = True
                timer.start()
            case Failure(error, cause):
                self._clients.stepfunctions.send_task_failure(
                    taskToken=body["task_token"], error=error, cause=cause
                )
            case None:
                self._succeed(body)

    def _succeed(self, body: Mapping[str, Any]) -> None:
        workflows = self._clients.stepfunctions
        # AWS answers the former of a task that has timed out, and the emulator the latter.
        with contextlib.suppress(workflows.exceptions.TaskTimedOut, workflows.exceptions.TaskDoesNotExist):
            workflows.send_task_success(
                taskToken=body["task_token"], output=json.dumps(SUCCESS[body["task"]])
            )


@dataclass(frozen=True)
class Ending:
    """How an execution ended, the messages that it sent, and the states that it came to."""

    status: str
    output: Mapping[str, Any]
    messages: Sequence[Mapping[str, Any]]
    states: frozenset[str]


@pytest.fixture(scope="module")
def endings(emulator: Emulator) -> Iterator[Mapping[str, Ending]]:
    """Story -> its ending."""
    timeouts = {
        "TaskTimeoutSeconds": TASK_TIMEOUT_SECONDS,
        "PaidTaskTimeoutSeconds": PAID_TASK_TIMEOUT_SECONDS,
        "FinalTaskTimeoutSeconds": TASK_TIMEOUT_SECONDS,
    }
    outputs = emulator.deploy("workflow", {name: str(seconds) for name, seconds in timeouts.items()})
    queues = {service: outputs[service]["TasksQueueUrl"] for service in SERVICES}
    ids = {name: f"order-{number}" for number, name in enumerate(STORIES)}
    with ScriptedServices(
        emulator, queues, {ids[name]: story for name, story in STORIES.items()}
    ) as services:
        executions = {
            name: emulator.clients.stepfunctions.start_execution(
                stateMachineArn=outputs["saga"]["StateMachineArn"],
                name=order_id,
                input=json.dumps(
                    order_input(order_id)
                    | STORIES[name].data
                    | ({"resumed": True} if STORIES[name].resumed else {})
                ),
            )["executionArn"]
            for name, order_id in ids.items()
        }
        yield {name: ending(emulator, arn, services.messages[ids[name]]) for name, arn in executions.items()}


def order_input(order_id: str) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "customer_id": "customer-1",
        "items": [{"sku": "MUG-1", "quantity": 2}],
        "total": TOTAL,
        "shipping_address": {"postal_code": "10115"},
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }


def ending(emulator: Emulator, execution: str, messages: Sequence[Mapping[str, Any]]) -> Ending:
    end = time.monotonic() + DEADLINE_SECONDS
    while (found := emulator.clients.stepfunctions.describe_execution(executionArn=execution))[
        "status"
    ] == "RUNNING":
        assert time.monotonic() < end, f"{execution} still runs after {[m['task'] for m in messages]}"
        time.sleep(0.05)
    return Ending(found["status"], json.loads(found["output"]), messages, visited(emulator, execution))


def visited(emulator: Emulator, execution: str) -> frozenset[str]:
    """The states that an execution has entered."""
    pages = emulator.clients.stepfunctions.get_paginator("get_execution_history").paginate(
        executionArn=execution
    )
    return frozenset(
        event["stateEnteredEventDetails"]["name"]
        for page in pages
        for event in page["events"]
        if "stateEnteredEventDetails" in event
    )


@pytest.mark.parametrize("name", STORIES)
def test_given_scripted_task_results_when_an_order_is_placed_then_exactly_the_expected_tasks_follow(
    name: str, endings: Mapping[str, Ending]
) -> None:
    ending = endings[name]
    assert [message["task"] for message in ending.messages] == list(STORIES[name].path)
    assert ending.status == "SUCCEEDED"


@pytest.mark.parametrize("name", [name for name, story in STORIES.items() if story.error])
def test_given_a_failed_task_when_the_order_is_cancelled_then_the_task_contains_the_error_and_the_refund(
    name: str, endings: Mapping[str, Ending]
) -> None:
    story, message = STORIES[name], endings[name].messages[-1]
    assert message["task"] == "CancelOrder"
    assert message["error"] == story.error
    assert isinstance(message["cause"], str)
    assert message["refunded"] == story.refunded
    assert endings[name].output["outcome"] == SUCCESS["CancelOrder"]


def test_given_successful_tasks_when_the_order_is_completed_then_it_gets_all_times_and_the_tracking_number(
    endings: Mapping[str, Ending],
) -> None:
    message = dict(endings["all goes well"].messages[-1])
    message.pop("task_token")
    given = order_input(message["order_id"])
    assert message == {
        "task": "CompleteOrder",
        "order_id": given["order_id"],
        "traceparent": given["traceparent"],
        "reserved_at": "2026-01-01T00:00:01Z",
        "charged_at": "2026-01-01T00:00:02Z",
        "booked_at": "2026-01-01T00:00:04Z",
        "tracking_number": "T-1",
    }


def test_given_every_scripted_order_when_tasks_are_sent_then_each_contains_its_order_and_trace(
    endings: Mapping[str, Ending],
) -> None:
    for ending in endings.values():
        for message in ending.messages:
            given = order_input(message["order_id"])
            assert message["traceparent"] == given["traceparent"]
            assert message.get("items", given["items"]) == given["items"]
            assert message.get("amount", TOTAL) == TOTAL
            assert "payment" not in message, "what pays is handed over apart from the workflow"
            assert message.get("shipping_address", given["shipping_address"]) == given["shipping_address"]


def test_given_all_scripted_orders_when_their_workflows_end_then_every_state_of_the_workflow_is_visited(
    endings: Mapping[str, Ending],
) -> None:
    assert {state for ending in endings.values() for state in ending.states} == states_of_workflow().keys()


@pytest.mark.parametrize("task", ["ReserveStock", "CheckOrder", "ChargePayment"])
def test_given_a_task_before_the_charge_when_it_is_compared_with_its_repetition_then_their_requests_are_equal(
    task: str,
) -> None:
    first, again = (states_of_workflow()[name] for name in (task, f"{task}Again"))
    for part in ("Resource", "Parameters", "ResultPath"):
        assert again[part] == first[part]
    for part in ("Retry", "Catch"):
        assert [each["ErrorEquals"] for each in again[part]] == [each["ErrorEquals"] for each in first[part]]


def states_of_workflow() -> Mapping[str, Any]:
    """Name -> state, without the values of its parameters."""
    definition = stacks.document("saga")["Resources"]["OrderSaga"]["Properties"]["DefinitionString"]
    states: Mapping[str, Any] = json.loads(re.sub(r"\$\{\w+Seconds\}", "1", definition))["States"]
    return states
