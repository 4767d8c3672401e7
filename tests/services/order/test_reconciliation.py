"""The verdict on an order that is inconsistent with its workflow or with another service."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from services.common.aws import dynamo
from services.common.aws.outbox import DynamoOutbox
from services.common.aws.vault import DynamoVault
from services.common.messaging.outbox import OutboxRecord
from services.common.values import clock, ids
from services.order import reconciler
from services.order.domain import Order
from services.order.reconciler import Found, Reconciler
from services.order.reconciliation import (
    MOST_EXECUTIONS,
    PATIENCE,
    Execution,
    Finding,
    FindingKind,
    Verdict,
    judge,
)
from services.order.related_states import RelatedStates
from services.order.watchlist import Watchlist
from services.order.workflow import Executions
from services.payment import domain as payments
from services.payment.dynamo import DynamoPayments
from services.product import domain as products
from services.product.dynamo import DynamoStock
from services.shipping import domain as shipments
from services.shipping.dynamo import DynamoShipments
from shopdev.processes.emulator import AwsServer, Emulator
from tests.services.order.fakes import MemoryFindings
from tests.services.order.test_domain import NOON, NOTHING, an_order
from tests.waiting import wait_for

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

ROOT = Path(__file__).resolve().parents[3]
ROLE = "arn:aws:iam::000000000000:role/any"
NONE: dict[str, str | None] = {"payment": None, "stock": None, "shipment": None}
SHIPPED: dict[str, str | None] = {"payment": "CHARGED", "stock": "COMMITTED", "shipment": "BOOKED"}
RUNNING, ABORTED = Execution(1, True, "RUNNING"), Execution(1, False, "ABORTED")  # noqa: FBT003 - as its fields say


A_FINDING = Finding("order-0", FindingKind.STANDING_STILL, "PENDING since noon", NOON)


def shipped() -> Order:
    return an_order().ship("T1", reserved_at=NOON, charged_at=NOON, booked_at=NOON)


def rejected() -> Order:
    return an_order().undo("OutOfStock", "", NOTHING, NOON)


@pytest.mark.parametrize(
    ("order", "execution", "states", "minutes", "verdict"),
    [
        (shipped(), None, SHIPPED, 60, Verdict.AGREED),
        (shipped(), RUNNING, SHIPPED, 60, Verdict.AGREED),
        (shipped(), ABORTED, SHIPPED | {"payment": "REFUNDED"}, 60, Verdict.REPORT),
        (shipped(), ABORTED, SHIPPED | {"stock": "RESERVED"}, 60, Verdict.REPORT),
        (shipped(), ABORTED, SHIPPED | {"shipment": None}, 60, Verdict.REPORT),
        (rejected(), ABORTED, NONE, 60, Verdict.AGREED),
        (
            rejected(),
            ABORTED,
            {"payment": "REFUNDED", "stock": "RELEASED", "shipment": "CANCELLED"},
            60,
            Verdict.AGREED,
        ),
        (rejected(), ABORTED, NONE | {"payment": "CHARGED"}, 60, Verdict.RESUME),
        (rejected(), ABORTED, NONE | {"stock": "RESERVED"}, 60, Verdict.RESUME),
        (rejected(), ABORTED, NONE | {"shipment": "BOOKED"}, 60, Verdict.RESUME),
        (rejected(), RUNNING, NONE | {"payment": "REFUNDING"}, 60, Verdict.UNDER_WAY),
        (rejected(), None, NONE | {"payment": "CHARGED"}, 60, Verdict.REPORT),
        (an_order(), RUNNING, NONE, 10, Verdict.UNDER_WAY),
        (an_order(), RUNNING, NONE, 16, Verdict.STANDING_STILL),
        (an_order(), None, NONE, 10, Verdict.UNDER_WAY),
        (an_order(), None, NONE, 16, Verdict.STANDING_STILL),
        (an_order(), ABORTED, NONE, 10, Verdict.RESUME),
        (an_order().cancel(NOON), Execution(1, False, "SUCCEEDED"), NONE, 10, Verdict.RESUME),  # noqa: FBT003 - as above
        (an_order(), Execution(MOST_EXECUTIONS, False, "ABORTED"), NONE, 10, Verdict.REPORT),  # noqa: FBT003 - as above
    ],
)
def test_given_an_order_its_workflow_and_related_states_when_it_is_judged_then_the_verdict_follows_from_them(
    order: Order, execution: Execution | None, states: dict[str, str | None], minutes: int, verdict: Verdict
) -> None:
    judgment = judge(order, execution, states, NOON + timedelta(minutes=minutes))

    assert judgment.verdict is verdict
    assert bool(judgment.reason) == (verdict is not Verdict.AGREED)


def test_given_an_order_that_stands_still_when_it_is_judged_then_the_reason_has_the_time_and_the_next_step() -> (
    None
):
    order = an_order().cancel(NOON)

    reason = judge(order, RUNNING, NONE, NOON + PATIENCE).reason

    assert reason.startswith("CANCELLING since ")
    assert "dead letters" in reason


def test_given_rows_written_by_the_other_services_when_related_states_are_read_then_they_match(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, tables = account.clients.dynamodb, {part: create_table() for part in NONE}
    related_states = RelatedStates(client, tables)
    assert related_states.states("order-1") == NONE

    DynamoPayments(
        client,
        tables["payment"],
        DynamoOutbox(client, tables["payment"]),
        DynamoVault(client, tables["payment"]),
    ).save(payments.begun("order-1", "alice", None), None)
    DynamoStock(client, tables["stock"], DynamoOutbox(client, tables["stock"])).save(
        products.closed("order-1", NOON), None, None, None
    )
    DynamoShipments(client, tables["shipment"], DynamoOutbox(client, tables["shipment"])).save(
        shipments.begun("order-1", "alice", NOON), None
    )

    assert related_states.states("order-1") == {
        "payment": "PENDING",
        "stock": "RELEASED",
        "shipment": "PENDING",
    }


def test_given_watched_orders_when_they_reach_the_age_then_they_are_listed_until_they_are_removed(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table = account.clients.dynamodb, create_table()
    watchlist = Watchlist(client, table)
    placed = [ids.uuid7() for _ in range(10)]
    client.transact_write_items(TransactItems=[watchlist.addition(each) for each in placed])
    later = clock.now() + timedelta(seconds=1)

    assert sorted(watchlist.placed_before(later)) == placed
    assert list(watchlist.placed_before(later - timedelta(minutes=5))) == []
    for each in placed[1:]:
        watchlist.remove(each)
    assert list(watchlist.placed_before(later)) == placed[:1]


def test_given_an_unreadable_outbox_record_when_the_oldest_age_is_read_then_that_record_is_included(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table = account.clients.dynamodb, create_table()
    outbox = DynamoOutbox(client, table)
    assert outbox.oldest() == 0.0
    old = ids.first_of(clock.now() - timedelta(hours=1))
    client.put_item(TableName=table, Item=dynamo.pack({"pk": "OUTBOX#2", "sk": old, "claimed_until": "9999"}))
    client.transact_write_items(TransactItems=[outbox.addition(OutboxRecord(()))])

    assert 3599 < outbox.oldest() < 3700


class Broken:
    """Ports that fail for one order and work for the other."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    def placed_before(self, _at: object) -> list[str]:
        return ["bad", "good"]

    def get(self, order_id: str) -> Order:
        if order_id == "bad":
            raise KeyError("timeline")
        return shipped()

    def latest(self, _order_id: str) -> None:
        return None

    def states(self, _order_id: str) -> dict[str, str | None]:
        return SHIPPED

    def remove(self, order_id: str) -> None:
        self.removed.append(order_id)


def test_given_an_unreadable_order_when_the_reconciler_runs_then_it_is_counted_and_the_others_are_checked() -> (
    None
):
    broken: Any = Broken()
    findings: Any = MemoryFindings()

    found = Found()

    Reconciler(broken, broken, broken, broken, findings).run(found)

    assert broken.removed == ["good"]
    assert (found.OrdersWatched, found.OrdersDisagreeing, found.is_well) == (2, 1, False)
    assert Found().is_well
    assert {name: each.kind for name, each in findings.found.items()} == {"bad": FindingKind.DISAGREEING}


class Stuck(Broken):
    """One order, as its test sets it."""

    def __init__(self, order: Order) -> None:
        super().__init__()
        self.order = order

    def placed_before(self, _at: object) -> list[str]:
        return [] if "order-1" in self.removed else ["order-1"]

    def get(self, _order_id: str) -> Order:
        return self.order


def test_given_an_order_that_stands_still_when_runs_find_it_and_find_it_well_then_it_is_listed_in_between() -> (
    None
):
    stuck: Any = Stuck(an_order())
    findings: Any = MemoryFindings()

    def run(minutes: int) -> list[Finding]:
        at = NOON + timedelta(minutes=minutes)
        Reconciler(stuck, stuck, stuck, stuck, findings, now=lambda: at).run(Found())
        assert findings.checked_at == at
        return list(findings.page(None, 10).findings)

    assert run(10) == []
    (first,) = run(16)
    (later,) = run(30)
    assert (first.kind, first.since) == (FindingKind.STANDING_STILL, NOON + timedelta(minutes=16))
    assert first.reason.startswith("PENDING since ")
    assert later == first
    stuck.order = shipped()
    assert run(35) == []


def test_given_a_finding_about_an_order_that_is_no_longer_watched_when_a_run_completes_then_it_is_removed() -> (
    None
):
    stuck: Any = Stuck(shipped())
    stuck.remove("order-1")
    findings: Any = MemoryFindings()
    findings.put(A_FINDING)

    Reconciler(stuck, stuck, stuck, stuck, findings).run(Found())

    assert findings.all() == {}


AWAY = EndpointConnectionError(endpoint_url="https://states.example")
THROTTLED = ClientError(
    {"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "DescribeExecution"
)


class Away(Broken):
    """Every order is consistent, and Step Functions does not answer."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def get(self, _order_id: str) -> Order:
        return shipped()

    def latest(self, _order_id: str) -> None:
        raise self.error


@pytest.mark.parametrize("error", [AWAY, THROTTLED], ids=["away", "throttled"])
def test_given_aws_is_unavailable_when_the_reconciler_runs_then_the_run_fails_and_no_order_is_counted(
    error: Exception,
) -> None:
    away: Any = Away(error)
    findings: Any = MemoryFindings()
    findings.put(A_FINDING)
    found = Found()

    with pytest.raises(type(error)):
        Reconciler(away, away, away, away, findings).run(found)

    assert (found.OrdersDisagreeing, found.OrdersWatched, away.removed) == (0, 1, [])
    assert (findings.all(), findings.checked_at) == ({"order-0": A_FINDING}, None)


class Many(Broken):
    """More orders than a run has time for: each takes ten seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def placed_before(self, _at: object) -> list[str]:
        return [f"order-{number}" for number in range(100)]

    def get(self, _order_id: str) -> Order:
        return shipped()

    def latest(self, _order_id: str) -> None:
        self.seconds += 10

    def elapsed(self) -> float:
        return self.seconds


def test_given_more_orders_than_a_run_can_check_when_the_reconciler_runs_twice_then_the_checked_orders_differ() -> (
    None
):
    reached = []
    for _ in range(2):
        many: Any = Many()
        found = Found()
        findings: Any = MemoryFindings()
        Reconciler(many, many, many, many, findings, elapsed=many.elapsed).run(
            found, budget=timedelta(seconds=95)
        )
        assert findings.checked_at is None
        assert (found.OrdersWatched, found.OrdersNotReached) == (10, 90)
        reached.append(many.removed)

    assert reached[0] != reached[1]


SETTINGS = {
    "TABLE": "orders",
    "PAYMENT_TABLE": "payments",
    "PRODUCT_TABLE": "products",
    "SHIPPING_TABLE": "shipments",
    "STATE_MACHINE_ARN": "arn:aws:states:eu-central-1:000000000000:stateMachine:shop-order-saga",
    "AWS_REGION": "eu-central-1",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}


def test_given_aws_is_unavailable_when_the_command_runs_then_it_exits_with_2_and_a_metric_counts_the_failure() -> (
    None
):
    done = subprocess.run(
        [sys.executable, "-m", reconciler.__name__],
        env={"PATH": os.environ["PATH"], **SETTINGS},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == reconciler.FAILED, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    (metric,) = [line for line in lines if line["event"] == "reconciled"]
    assert (metric["RunsFailed"], metric["OrdersDisagreeing"], metric["OrdersStandingStill"]) == (1, 0, 0)
    assert "OutboxAgeSeconds" not in metric
    assert lines[-1]["event"] == "reconciler_failed"


def test_given_aws_is_unavailable_when_lambda_invokes_the_reconciler_then_the_function_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(reconciler, "_settings", reconciler.ReconcilerSettings.load)

    with pytest.raises(EndpointConnectionError):
        reconciler.handler({}, None)


def test_given_a_failed_execution_when_it_is_resumed_twice_then_one_new_execution_starts_with_the_same_input(
    account: AwsServer,
) -> None:
    workflows = account.clients.stepfunctions
    definition = '{"StartAt": "End", "States": {"End": {"Type": "Fail", "Error": "x"}}}'
    arn = workflows.create_state_machine(name=f"machine-{ids.uuid7()}", definition=definition, roleArn=ROLE)[
        "stateMachineArn"
    ]
    executions = Executions(workflows, arn)
    assert executions.latest("order-1") is None
    workflows.start_execution(stateMachineArn=arn, name="order-1", input='{"order_id": "order-1"}')
    wait_for(lambda: ended(executions) == 1)

    first = executions.latest("order-1")
    assert first is not None
    for _ in range(2):
        executions.resume("order-1", first)
    wait_for(lambda: ended(executions) == 2)

    resumed = workflows.describe_execution(
        executionArn=f"{arn.replace(':stateMachine:', ':execution:')}:order-1-2"
    )
    assert json.loads(resumed["input"]) == {"order_id": "order-1", "resumed": True}


def test_given_an_aborted_execution_when_it_is_resumed_then_the_new_one_gets_the_results_of_its_steps(
    emulator: Emulator,
) -> None:
    workflows = emulator.clients.stepfunctions
    definition = {
        "StartAt": "Reserve",
        "States": {
            "Reserve": {"Type": "Pass", "Result": {"at": 1}, "ResultPath": "$.reservation", "Next": "Wait"},
            "Wait": {"Type": "Wait", "Seconds": 1, "Next": "Wait"},
        },
    }
    arn = workflows.create_state_machine(
        name=f"machine-{ids.uuid7()}", definition=json.dumps(definition), roleArn=ROLE
    )["stateMachineArn"]
    executions = Executions(workflows, arn)
    first = workflows.start_execution(stateMachineArn=arn, name="order-1", input='{"order_id": "order-1"}')[
        "executionArn"
    ]
    wait_for(lambda: "WaitStateEntered" in events(workflows, first))
    workflows.stop_execution(executionArn=first)
    aborted = executions.latest("order-1")
    assert aborted is not None

    assert executions.resume("order-1", aborted)

    resumed = f"{first}-2"
    given = workflows.describe_execution(executionArn=resumed)["input"]
    workflows.stop_execution(executionArn=resumed)
    assert json.loads(given) == {"order_id": "order-1", "reservation": {"at": 1}, "resumed": True}


def test_given_an_execution_whose_history_has_no_end_yet_when_it_is_resumed_then_nothing_is_started(
    emulator: Emulator,
) -> None:
    workflows = emulator.clients.stepfunctions
    definition = '{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": true}}}'
    arn = workflows.create_state_machine(name=f"machine-{ids.uuid7()}", definition=definition, roleArn=ROLE)[
        "stateMachineArn"
    ]
    executions = Executions(workflows, arn)
    first = workflows.start_execution(stateMachineArn=arn, name="order-1", input="{}")["executionArn"]
    wait_for(lambda: "WaitStateEntered" in events(workflows, first))

    assert not executions.resume("order-1", ABORTED)

    latest = executions.latest("order-1")
    workflows.stop_execution(executionArn=first)
    assert latest is not None
    assert latest.number == 1


def events(workflows: "SFNClient", execution: str) -> list[str]:
    """The types of the events in the history of an execution."""
    history = workflows.get_execution_history(executionArn=execution)
    return [event["type"] for event in history["events"]]


def ended(executions: Executions) -> int:
    """The number of the latest execution, once it has ended."""
    latest = executions.latest("order-1")
    return latest.number if latest and not latest.is_running else 0
