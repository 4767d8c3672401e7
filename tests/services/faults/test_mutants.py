"""The audit detects defects: a shop with a defect violates exactly the invariants that the defect is about."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.common.aws import dynamo
from services.common.aws.idempotency import DynamoIdempotency
from services.common.aws.outbox import DynamoOutbox
from services.common.aws.vault import DynamoVault
from services.common.values import clock
from services.common.values.ids import uuid7
from services.common.values.money import Money
from services.order.domain import Address, Item, Product, place
from services.order.dynamo import DynamoOrders
from services.order.watchlist import Watchlist
from shopdev.aws_environment import REGION
from shopdev.checkout import ROOT, SERVICES
from shopdev.customer import ADDRESS
from shopdev.processes.emulator import Emulator
from shopdev.processes.process import Process
from tests.services.accounts import new_table, new_topic
from tests.services.faults.audit import Books, audit
from tests.services.faults.changes import Changes
from tests.services.faults.fleet import loaded
from tests.services.faults.functions import RECONCILER, WATCH_STOCK
from tests.services.faults.mutants import MUTANTS
from tests.services.faults.proxy import Break, Fault, carrier_fault
from tests.services.faults.shop import LOW_STOCK, Listener, world
from tests.waiting import wait_for

ORDERS = 24
SETTLED_WITHIN = 12.0
FAST = 50.0
ANSWERED_WITHIN = 60.0

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.timeout(200),
    pytest.mark.skipif(sys.platform == "win32", reason="processes are stopped by POSIX signals"),
]


@dataclass(frozen=True)
class Expected:
    """Evidence of a defect.

    Args:
        rules: the promises of which at least one is broken.
        orders: payment token and postal code -> how often.
        faults: that happen meanwhile.
    """

    rules: frozenset[str]
    orders: Mapping[tuple[str, str], int]
    faults: tuple[Fault, ...] = ()


GOOD = ("tok_approve", "10115")
EXPECTED = {
    "charge-twice": Expected(frozenset({"charged twice"}), {("tok_charge_then_timeout", "10115"): 1}),
    "forget-the-refund": Expected(frozenset({"money kept"}), {("tok_approve", "00000"): 1}),
    "acknowledge-before-commit": Expected(
        frozenset({"not ended"}), {GOOD: 1}, (Fault(Break(), 0.75, ("dynamodb:TransactWriteItems",)),)
    ),
    "release-stock-twice": Expected(frozenset({"stock not conserved"}), {("tok_decline", "10115"): 1}),
    "lose-an-outbox-record": Expected(frozenset({"not ended", "fact not told"}), {GOOD: 1}),
    "give-up-at-once": Expected(frozenset({"undone too soon"}), {GOOD: 1}, (carrier_fault(Break()),)),
}
# What shows at once, and would not pass.
LASTING = frozenset({"charged twice", "stock not conserved", "undone too soon"})
NEVER_AGREE = "never-agree"
# Of the projection of stock, which takes no order to be seen: the promise that is broken.
OF_STOCK = {
    "count-a-change-again": "false low stock",
    "keep-low-stock-quiet": "low stock not told",
    "drop-the-last-change": "level disagrees",
    "retell-low-stock-differently": "wrong low stock",
}
SKU = "CUP"
# The pieces that can be ordered: low, nearly rearmed, rearmed, low again, and many.
STOCK = (LOW_STOCK + 3, LOW_STOCK, LOW_STOCK * 2 - 1, LOW_STOCK * 2, LOW_STOCK - 1, 50)


def test_given_the_mutants_then_each_has_an_expected_violation() -> None:
    assert EXPECTED.keys() | OF_STOCK.keys() | {NEVER_AGREE} == MUTANTS.keys()


@pytest.mark.parametrize("mutant", EXPECTED)
def test_given_a_defect_when_orders_are_placed_then_the_audit_detects_it(mutant: str) -> None:
    expected = EXPECTED[mutant]
    with world(seed=1, pieces=300, mutant=mutant, kinds=expected.orders) as shop:

        def is_told() -> bool:
            return expected.rules <= {violation.rule for violation in shop.audit()}

        with shop.proxy.failing(*expected.faults):
            shop.customers.order(ORDERS, FAST, deadline=60)
            if expected.rules <= LASTING:
                wait_for(is_told, SETTLED_WITHIN, what=f"{expected.rules} in the audit")
            else:
                shop.settle(SETTLED_WITHIN)
        assert is_told(), shop.audit()


@pytest.mark.parametrize("mutant", [None, *OF_STOCK])
def test_given_a_defect_when_stock_runs_low_then_the_audit_detects_it(
    emulator: Emulator, tmp_path: Path, mutant: str | None
) -> None:
    clients = emulator.clients
    table, topic, checkpoint = new_table(clients), new_topic(clients), tmp_path / "checkpoint"
    stream = clients.dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    changes, listener = Changes.of(clients, stream, table), Listener(clients, [topic], f"listener-of-{table}")
    for available in STOCK:
        item = {"pk": f"PRODUCT#{SKU}", "sk": "PRODUCT", "available": available}
        clients.dynamodb.put_item(TableName=table, Item=dynamo.pack(item))

    with function(
        mutant,
        WATCH_STOCK,
        {
            **emulator.env,
            **changes.environment,
            "EVENTS_TOPIC_ARN": topic,
            "LOW_STOCK": str(LOW_STOCK),
            "CHECKPOINT": str(checkpoint),
        },
    ) as process:
        # The first batch is brought twice; only the second time it counts as answered.
        process.wait_until(checkpoint.exists, ANSWERED_WITHIN)
    listener.catch_up()

    books = Books(changes=changes.read(), low_stock=listener.low_stock, threshold=LOW_STOCK)
    books.read(clients.dynamodb, {"levels": changes.levels})
    assert {violation.rule for violation in audit(books)} == ({OF_STOCK[mutant]} if mutant else set())


@pytest.mark.parametrize(("mutant", "broken"), [(None, set()), (NEVER_AGREE, {"not reconciled"})])
def test_given_a_defect_when_an_ended_order_is_still_watched_then_the_audit_detects_it(
    emulator: Emulator, mutant: str | None, broken: set[str]
) -> None:
    clients = emulator.clients
    tables = {name: new_table(clients) for name in SERVICES}
    items = [Item(SKU, 1)]
    products = {SKU: Product(SKU, "A cup", Money(500, "EUR"), 1)}
    order = place(uuid7(), "alice", items, products, Address(**ADDRESS), clock.now())
    ended = order.undo("OutOfStock", "", Money(0, "EUR"), clock.now())
    where = clients.dynamodb, tables["order"]
    orders = DynamoOrders(*where, DynamoIdempotency(*where), DynamoOutbox(*where), DynamoVault(*where))
    clients.dynamodb.put_item(TableName=tables["order"], Item=dynamo.pack(orders.to_item(ended, 0)))
    watched = Watchlist(clients.dynamodb, tables["order"]).addition(order.id)
    clients.dynamodb.transact_write_items(TransactItems=[watched])

    with function(
        mutant,
        RECONCILER,
        {
            **emulator.env,
            **{f"{name.upper()}_TABLE": table for name, table in tables.items()},
            "TABLE": tables["order"],
            "STATE_MACHINE_ARN": f"arn:aws:states:{REGION}:000000000000:stateMachine:none",
            "YOUNGEST_SECONDS": "0",
            "EVERY_SECONDS": "0.1",
            "TASKS_QUEUE_URL": "unused",
            "EVENTS_TOPIC_ARN": "unused",
        },
    ) as process:
        process.wait_until(lambda: process.tail.count('"event":"reconciled"') > 1, ANSWERED_WITHIN)

    books = Books()
    books.read(clients.dynamodb, {"order": tables["order"]})
    assert {violation.rule for violation in audit(books)} & {"not reconciled"} == broken


@contextmanager
def function(mutant: str | None, name: str, environment: Mapping[str, str]) -> Iterator[Process]:
    """A function that is not called by a request."""
    everywhere = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "LISTEN_HOST": "127.0.0.1",
        "PORT": "0",
    }
    process = Process(
        name,
        loaded(mutant, "tests.services.faults.functions", name),
        {**everywhere, **environment},
        lambda _, line: sys.stderr.write(f"{line}\n"),
        ROOT,
    )
    process.start()
    try:
        yield process
    finally:
        process.kill()
