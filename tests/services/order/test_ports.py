"""The contract of the order service's ports: each test runs against the real adapters and the fakes."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from services.common.aws import dynamo
from services.common.aws.idempotency import DynamoIdempotency
from services.common.aws.outbox import DynamoOutbox
from services.common.aws.vault import DynamoVault
from services.common.http.idempotency import Answer, KeyedRequest, KeyTaken
from services.common.messaging.outbox import OutboxMessage, OutboxRecord
from services.common.messaging.relay import Relay
from services.common.values import ids
from services.common.values.errors import Stale
from services.common.values.money import Money
from services.order import api, domain, messages
from services.order.app import Storage
from services.order.domain import Item, Order, OrderCancelled, Product, State, Step, TooLateToCancel
from services.order.dynamo import DynamoOrders, DynamoProducts
from services.order.findings import DynamoFindings
from services.order.ports import FindingPage
from services.order.reconciliation import Finding, FindingKind
from services.order.workflow import StepFunctionsWorkflow
from shopdev.processes.emulator import AwsServer
from tests.services.accounts import EITHER, new_table
from tests.services.callers import ALICE, As
from tests.services.memory import MemoryIdempotency, MemoryOutbox
from tests.services.order.fakes import MemoryFindings, MemoryOrders, MemoryProducts, MemoryRelatedResources
from tests.services.order.world import CUP, TEA, Clock, wish

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ADDRESS = domain.Address(**wish()["shipping_address"])
OK = Answer(202, {"id": "1"}, {"Location": "/orders/1"})


@pytest.fixture(params=["memory", *EITHER])
def stored(request: pytest.FixtureRequest) -> Storage:
    now = Clock()
    if request.param == "memory":
        idempotency, outbox = MemoryIdempotency(now), MemoryOutbox(now)
        return Storage(
            MemoryOrders(idempotency, outbox), MemoryProducts(), idempotency, outbox, MemoryFindings()
        )
    account: AwsServer = request.getfixturevalue(request.param)
    client = account.clients.dynamodb
    table = new_table(account.clients)
    kept, told = DynamoIdempotency(client, table, now), DynamoOutbox(client, table, now)
    return Storage(
        DynamoOrders(client, table, kept, told, DynamoVault(client, table)),
        DynamoProducts(client, table),
        kept,
        told,
        DynamoFindings(client, table),
    )


def test_given_an_accepted_order_when_its_token_is_stored_then_only_the_tokens_table_contains_it(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table, apart = account.clients.dynamodb, create_table(), create_table()
    vault = DynamoVault(client, apart)
    orders = DynamoOrders(client, table, DynamoIdempotency(client, table), DynamoOutbox(client, table), vault)
    order = an_order()

    orders.accept(order, "tok_approve", messages.acceptance(order), a_request(), OK)

    assert vault.find(order.id) == "tok_approve"
    assert "tok_approve" not in repr(client.scan(TableName=table)["Items"])


def test_given_an_accepted_order_when_it_is_withdrawn_then_its_payment_token_is_deleted_with_the_write(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table, apart = account.clients.dynamodb, create_table(), create_table()
    vault = DynamoVault(client, apart)
    orders = DynamoOrders(client, table, DynamoIdempotency(client, table), DynamoOutbox(client, table), vault)
    order = an_order()
    orders.accept(order, "tok_approve", messages.acceptance(order), a_request(), OK)

    reserved = orders.save(order.reached(Step(State.RESERVED, NOW, "stock reserved")), None)
    assert vault.find(order.id) == "tok_approve"
    with pytest.raises(Stale):
        orders.withdraw(order.cancel(NOW), None)
    assert vault.find(order.id) == "tok_approve", "a change that is not written deletes nothing"

    cancelled = orders.withdraw(reserved.cancel(NOW), None)

    assert orders.get(order.id) == cancelled
    assert vault.find(order.id) is None
    assert orders.withdraw(cancelled, None).version == cancelled.version + 1, "there was nothing to delete"


def an_order(customer_id: str = "guest") -> Order:
    items = (Item("TEA", 2), Item("CUP", 1))
    return domain.place(ids.uuid7(), customer_id, items, {"TEA": TEA, "CUP": CUP}, ADDRESS, NOW)


def a_request() -> KeyedRequest:
    return KeyedRequest("guest POST /orders", ids.uuid7(), "fingerprint")


def accepted(stored: Storage, customer_id: str = "guest") -> Order:
    order = an_order(customer_id)
    stored.orders.accept(order, "tok_approve", messages.acceptance(order), a_request(), OK)
    return order


def test_given_an_accepted_order_when_it_is_read_then_it_is_the_same(stored: Storage) -> None:
    order = accepted(stored)

    assert stored.orders.get(order.id) == order


def test_given_a_new_order_when_it_is_accepted_then_its_outbox_record_and_response_are_written(
    stored: Storage,
) -> None:
    order, request = an_order(), a_request()
    told = messages.acceptance(order)

    stored.orders.accept(order, "tok_approve", told, request, OK)

    assert stored.outbox.pending(10) == [told]
    assert stored.idempotency.find(request) == OK


def test_given_a_key_with_a_recorded_response_when_an_order_is_accepted_then_nothing_is_written(
    stored: Storage,
) -> None:
    order, other, request = an_order(), an_order(), a_request()
    stored.orders.accept(other, "tok_approve", messages.acceptance(other), request, OK)

    with pytest.raises(KeyTaken):
        stored.orders.accept(order, "tok_approve", messages.acceptance(order), request, OK)

    assert stored.orders.get(order.id) is None
    assert len(stored.outbox.pending(10)) == 1


def test_given_an_unknown_order_when_it_is_read_then_none_is_returned(stored: Storage) -> None:
    assert stored.orders.get("none") is None


def test_given_a_saved_order_when_it_is_read_then_it_has_every_field(stored: Storage) -> None:
    order = accepted(stored)
    shipped = order.confirm(NOW).ship("T1", reserved_at=NOW, charged_at=NOW, booked_at=NOW)
    undone = accepted(stored).cancel(NOW).undo("OrderCancelled", "", Money(3098, "EUR"), NOW)

    for changed in (shipped, undone):
        written = stored.orders.save(changed, messages.end(changed))

        assert written == replace(changed, version=1)
        assert stored.orders.get(changed.id) == written
    assert len(stored.outbox.pending(10)) == 4


@pytest.mark.parametrize("telling", [False, True])
def test_given_a_stale_order_when_it_is_saved_then_neither_the_order_nor_an_event_is_written(
    stored: Storage, telling: bool
) -> None:
    order = accepted(stored)
    stored.orders.save(order.confirm(NOW), None)
    waiting = len(stored.outbox.pending(10))
    undone = order.undo("OutOfStock", "", Money(0, "EUR"), NOW)

    with pytest.raises(Stale):
        stored.orders.save(undone, messages.end(undone) if telling else None)

    kept = stored.orders.get(order.id)
    assert kept is not None
    assert kept.state is domain.State.PENDING
    assert len(stored.outbox.pending(10)) == waiting


def test_given_many_concurrent_decisions_when_they_are_saved_then_exactly_one_succeeds(
    stored: Storage,
) -> None:
    order = accepted(stored)
    start = threading.Barrier(8)

    def decide(change: Callable[[Order], Order]) -> bool:
        start.wait()
        read = stored.orders.get(order.id)
        assert read is not None
        try:
            stored.orders.save(change(read), None)
        except (Stale, TooLateToCancel, OrderCancelled):
            return False
        return True

    changes = [lambda read: read.cancel(NOW), lambda read: read.confirm(NOW)] * 4
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decide, changes))

    kept = stored.orders.get(order.id)
    assert kept is not None
    assert (kept.confirmed_at is None) != (kept.cancel_requested_at is None)


def test_given_orders_of_two_customers_when_one_lists_them_then_its_own_are_paged_newest_first(
    stored: Storage,
) -> None:
    placed = [accepted(stored).id for _ in range(5)]
    accepted(stored, "another")

    first = stored.orders.page("guest", None, 3)
    second = stored.orders.page("guest", first.next_after, 3)

    assert [order.id for order in (*first.orders, *second.orders)] == placed[::-1]
    assert second.next_after is None


def test_given_large_orders_when_they_are_listed_then_the_page_is_full(stored: Storage) -> None:
    """DynamoDB limits a page to 1 MB."""
    tea = replace(TEA, name="x" * 100_000)
    placed = []
    for _ in range(24):
        order = domain.place(ids.uuid7(), "guest", [Item("TEA", 1)], {"TEA": tea}, ADDRESS, NOW)
        stored.orders.accept(order, "tok_approve", messages.acceptance(order), a_request(), OK)
        placed.append(order.id)

    first = stored.orders.page("guest", None, 20)
    second = stored.orders.page("guest", first.next_after, 20)

    assert [len(first.orders), len(second.orders)] == [20, 4]
    assert [order.id for order in (*first.orders, *second.orders)] == placed[::-1]
    assert second.next_after is None


def test_given_an_unreadable_order_when_orders_are_listed_then_the_others_are_returned(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table = account.clients.dynamodb, create_table()
    kept, told = DynamoIdempotency(client, table), DynamoOutbox(client, table)
    orders = DynamoOrders(client, table, kept, told, DynamoVault(client, table))
    stored = Storage(orders, DynamoProducts(client, table), kept, told, DynamoFindings(client, table))
    placed = [accepted(stored).id for _ in range(4)]
    _update(account, table, placed[1], "SET address.floor = :value", "3")
    _update(account, table, placed[2], "SET timeline[0].#state = :value", "LATER")

    first = orders.page("guest", None, 2)
    second = orders.page("guest", first.next_after, 2)

    assert [order.id for order in first.orders] == [placed[3]]
    assert [order.id for order in second.orders] == [placed[1], placed[0]]
    assert orders.get(placed[1]) is not None


def _update(account: AwsServer, table: str, order_id: str, expression: str, value: str) -> None:
    names: Any = {"ExpressionAttributeNames": {"#state": "state"}} if "#state" in expression else {}
    account.clients.dynamodb.update_item(
        TableName=table,
        Key=dynamo.pack({"pk": f"ORDER#{order_id}", "sk": "ORDER"}),
        UpdateExpression=expression,
        ExpressionAttributeValues=dynamo.pack({":value": value}),
        **names,
    )


def test_given_a_page_that_ends_with_the_last_order_when_orders_are_listed_then_there_is_no_next_page(
    stored: Storage,
) -> None:
    accepted(stored)

    assert stored.orders.page("guest", None, 1).next_after is None


def a_product(amount: int, version: int) -> Product:
    return Product("POT", "A pot", Money(amount, "EUR"), version)


def test_given_a_known_and_an_unknown_sku_when_products_are_looked_up_then_only_the_known_one_is_returned(
    stored: Storage,
) -> None:
    stored.products.put(a_product(1, 1))

    assert stored.products.find(["POT", "PAN"]) == {"POT": a_product(1, 1)}


def test_given_a_stored_product_when_an_older_version_arrives_then_it_does_not_replace_the_newer_one(
    stored: Storage,
) -> None:
    assert stored.products.put(a_product(2, 2))

    assert not stored.products.put(a_product(1, 1))
    assert stored.products.put(a_product(2, 2)), "the same again"
    assert stored.products.find(["POT"])["POT"].price.amount == 2
    assert stored.products.put(a_product(3, 3))


def test_given_a_product_without_a_version_when_one_with_a_version_arrives_then_it_is_replaced(
    stored: Storage,
) -> None:
    assert stored.products.put(a_product(1, 0))

    assert not stored.products.put(a_product(2, 0))
    assert stored.products.put(a_product(3, 1))
    assert not stored.products.put(a_product(4, 0))
    assert stored.products.find(["POT"])["POT"].price.amount == 3


def test_given_a_row_of_an_earlier_service_version_when_a_versioned_product_arrives_then_it_is_replaced(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table = account.clients.dynamodb, create_table()
    products = DynamoProducts(client, table)
    row = {"pk": "PRODUCT#POT", "sk": "PRODUCT", "name": "A pot", "price": Money(7777, "EUR").to_dict()}
    client.put_item(TableName=table, Item=dynamo.pack({**row, "as_of": "2999-01-01T00:00:00.000000Z x"}))

    assert not products.put(a_product(1, 0))
    assert products.put(a_product(1200, 1))

    assert products.find(["POT"])["POT"].price.amount == 1200


def test_given_the_storage_when_it_is_pinged_then_it_responds(stored: Storage) -> None:
    stored.orders.ping()
    stored.outbox.ping()


@dataclass
class Counted:
    """A DynamoDB client that counts its calls."""

    client: object
    calls: list[str]

    def __getattr__(self, operation: str) -> object:
        self.calls.append(operation)
        return getattr(self.client, operation)


def test_when_an_order_is_placed_twice_then_the_first_takes_two_calls_and_the_second_one_more(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    calls: list[str] = []
    client, table = Counted(account.clients.dynamodb, calls), create_table()
    counted: Any = client
    kept, told = DynamoIdempotency(counted, table), DynamoOutbox(counted, table)
    orders = DynamoOrders(counted, table, kept, told, DynamoVault(counted, table))
    products = DynamoProducts(counted, table)
    products.put(TEA)
    calls.clear()
    shop = api.create(
        orders, products, kept, MemoryRelatedResources(), MemoryFindings(), As(ALICE)
    ).test_client()

    placed = [
        shop.post("/orders", json=wish(), headers={"Idempotency-Key": "k"}).status_code for _ in range(2)
    ]

    assert placed == [202, 202]
    assert calls == [*["batch_get_item", "transact_write_items"] * 2, "get_item"]


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("SET #damaged = :value name", None),
        ("SET #damaged = :value price", 5),
        ("SET #damaged = :value version", "9"),
        ("SET #damaged = :value version", None),
        ("SET #damaged = :value version", 10**30),
        ("REMOVE #damaged version", ""),
    ],
)
def test_given_a_damaged_product_when_the_same_event_arrives_again_then_the_product_is_repaired(
    account: AwsServer, create_table: Callable[[], str], change: str, value: Any
) -> None:
    client, table = account.clients.dynamodb, create_table()
    products = DynamoProducts(client, table)
    products.put(a_product(1, 7))
    expression, name = change.rsplit(" ", 1)
    values: Any = {"ExpressionAttributeValues": dynamo.pack({":value": value})} if value != "" else {}
    client.update_item(
        TableName=table,
        Key=dynamo.pack({"pk": "PRODUCT#POT", "sk": "PRODUCT"}),
        UpdateExpression=expression,
        ExpressionAttributeNames={"#damaged": name},
        **values,
    )

    assert products.put(a_product(1, 7))
    assert products.find(["POT"]) == {"POT": a_product(1, 7)}


def test_given_an_unreadable_product_when_orders_are_placed_then_only_those_with_it_are_unavailable(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table = account.clients.dynamodb, create_table()
    kept, told = DynamoIdempotency(client, table), DynamoOutbox(client, table)
    orders = DynamoOrders(client, table, kept, told, DynamoVault(client, table))
    products = DynamoProducts(client, table)
    products.put(TEA)
    products.put(CUP)
    client.update_item(
        TableName=table,
        Key=dynamo.pack({"pk": "PRODUCT#TEA", "sk": "PRODUCT"}),
        UpdateExpression="REMOVE price",
    )
    shop = api.create(
        orders, products, kept, MemoryRelatedResources(), MemoryFindings(), As(ALICE)
    ).test_client()

    refused = shop.post("/orders", json=wish(("TEA", 1), ("CUP", 1)), headers={"Idempotency-Key": "k"})
    accepted = shop.post("/orders", json=wish(("CUP", 1)), headers={"Idempotency-Key": "l"})

    missing = shop.post("/orders", json=wish(("none", 1)), headers={"Idempotency-Key": "m"})

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
    assert accepted.status_code == 202
    assert (missing.status_code, missing.get_json()["skus"]) == (422, ["none"])


def test_given_one_key_when_many_requests_use_it_concurrently_then_one_order_is_placed(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table = account.clients.dynamodb, create_table()
    kept, told = DynamoIdempotency(client, table), DynamoOutbox(client, table)
    orders, products = (
        DynamoOrders(client, table, kept, told, DynamoVault(client, table)),
        DynamoProducts(client, table),
    )
    products.put(TEA)
    app = api.create(orders, products, kept, MemoryRelatedResources(), MemoryFindings(), As(ALICE))
    start = threading.Barrier(8)

    def place(_: int) -> tuple[int, bytes]:
        start.wait()
        answer = app.test_client().post("/orders", json=wish(), headers={"Idempotency-Key": "k"})
        return answer.status_code, answer.data

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(place, range(8)))

    assert len([status for status, _ in answers if status == 202]) == 1
    assert {status for status, _ in answers} <= {202, 409}
    assert len(orders.page("alice", None, 10).orders) == 1


MACHINE = '{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": true}}}'


@pytest.fixture
def machine(account: AwsServer) -> Iterator[str]:
    arn = account.clients.stepfunctions.create_state_machine(
        name=f"machine-{ids.uuid7()}", definition=MACHINE, roleArn="arn:aws:iam::000000000000:role/any"
    )["stateMachineArn"]
    yield arn
    account.clients.stepfunctions.delete_state_machine(stateMachineArn=arn)


def test_given_a_started_workflow_when_it_is_started_again_with_another_input_then_it_runs_once(
    account: AwsServer, machine: str
) -> None:
    workflow = StepFunctionsWorkflow(account.clients.stepfunctions, machine)

    workflow.start("order-1", {"order_id": "order-1"})
    workflow.start("order-1", {"order_id": "order-1"})
    workflow.start("order-1", {"order_id": "order-1", "other": True})

    started = account.clients.stepfunctions.list_executions(stateMachineArn=machine)["executions"]
    assert [execution["name"] for execution in started] == ["order-1"]


def test_given_two_concurrent_relays_when_they_run_then_each_record_is_sent_once(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table = account.clients.dynamodb, create_table()
    outbox = DynamoOutbox(client, table)
    records = [OutboxRecord((OutboxMessage("fact", {"n": n}),)) for n in range(20)]
    for record in records:
        client.transact_write_items(TransactItems=[outbox.addition(record)])
    told: list[int] = []
    stop = threading.Event()

    def tell(payloads: Sequence[Mapping[str, int]]) -> None:
        told.extend(payload["n"] for payload in payloads)
        if len(told) == len(records):
            stop.set()

    relays = [threading.Thread(target=Relay(outbox, {"fact": tell}).run, args=(stop,)) for _ in range(2)]
    for relay in relays:
        relay.start()
    for relay in relays:
        relay.join(timeout=30)

    assert sorted(told) == list(range(20))
    assert outbox.pending(100) == []


@pytest.fixture(params=["memory", *EITHER])
def findings(request: pytest.FixtureRequest) -> MemoryFindings | DynamoFindings:
    if request.param == "memory":
        return MemoryFindings()
    account: AwsServer = request.getfixturevalue(request.param)
    return DynamoFindings(account.clients.dynamodb, new_table(account.clients))


def finding(order_id: str, reason: str = "its workflow waits") -> Finding:
    return Finding(order_id, FindingKind.STANDING_STILL, reason, NOW)


def test_given_no_findings_when_they_are_listed_then_the_page_is_empty_and_has_no_time(
    findings: MemoryFindings | DynamoFindings,
) -> None:
    assert findings.page(None, 10) == FindingPage((), None, None)
    assert findings.all() == {}


def test_given_findings_when_they_are_listed_in_pages_then_each_is_on_one_page_and_the_oldest_order_is_first(
    findings: MemoryFindings | DynamoFindings,
) -> None:
    placed = [ids.uuid7() for _ in range(5)]
    for each in reversed(placed):
        findings.put(finding(each))
    findings.note_run(NOW)

    pages = list[list[str]]()
    after: str | None = None
    while not pages or after:
        page = findings.page(after, 2)
        assert page.checked_at == NOW
        pages.append([each.order_id for each in page.findings])
        after = page.next_after

    assert pages == [placed[:2], placed[2:4], placed[4:]]


def test_given_a_finding_when_it_is_written_again_and_removed_then_the_latest_is_listed_and_then_none(
    findings: MemoryFindings | DynamoFindings,
) -> None:
    findings.put(finding("order-1", "first"))
    findings.put(finding("order-1", "second"))

    assert findings.all() == {"order-1": finding("order-1", "second")}
    findings.remove("order-1")
    findings.remove("order-1")
    assert findings.page(None, 10).findings == ()


def test_given_orders_when_some_are_found_by_their_ids_then_the_result_leaves_out_the_missing_ones(
    stored: Storage,
) -> None:
    first, second = accepted(stored), accepted(stored)

    assert stored.orders.find_all([second.id, "none", first.id]) == {first.id: first, second.id: second}
    assert stored.orders.find_all([]) == {}
