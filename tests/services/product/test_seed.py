"""The seed command writes the example catalog and publishes its events, and can be repeated."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import orjson
import pytest

import services.product
from services.common.messaging.outbox import OutboxRecord
from services.common.values.errors import UnreadableRow
from services.common.values.money import Money
from services.product import app, handlers, messages, seed
from services.product.domain import Item, Product, Stocked
from services.product.handlers import reserve_stock
from shopdev.processes.emulator import AwsServer
from tests.services.memory import MemoryPublisher
from tests.services.product.fakes import MemoryShop
from tests.services.product.world import NOW, inventory, product

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "eu-central-1",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "TABLE": "no-products",
    "TASKS_QUEUE_URL": "http://127.0.0.1:9/queue",
    "EVENTS_TOPIC_ARN": "arn:aws:sns:eu-central-1:000000000000:topic",
}
CONTRACT = Path(services.product.__file__).parent / "contracts" / "shop.product.upserted.v1.json"


def test_given_the_example_catalog_then_it_has_at_least_40_distinct_products_in_5_categories() -> None:
    entries = list(seed.entries(NOW))

    assert len({product.sku for product, _ in entries}) == len(entries) >= 40
    assert len({product.name for product, _ in entries}) == len(entries)
    assert len({product.category for product, _ in entries}) >= 5
    assert all(stock > 0 and product.price.amount > 0 for product, stock in entries)


def test_given_reserved_stock_when_the_seed_is_repeated_then_the_stock_does_not_change() -> None:
    shop = MemoryShop()
    seed.fill(shop)
    (first, stock), *_ = seed.entries(NOW)
    reserve_stock("order-1", [Item(first.sku, 2)], stock=shop)

    seed.fill(shop)

    assert inventory(shop, first.sku).available == stock - 2
    assert inventory(shop, first.sku).reserved == 2


def test_given_a_changed_product_when_the_seed_is_repeated_then_its_name_and_price_change_only_on_overwrite() -> (
    None
):
    shop = MemoryShop()
    seed.fill(shop)
    (first, _), (missing, stock), *_ = seed.entries(NOW)
    dearer = replace(first, name="Rarer Coffee", price=Money(4242, "EUR"), updated_at=shop.now())
    handlers.put_product(dearer, 0, catalogue=shop)
    shop.remove(missing.sku)
    known = shop.find(first.sku)

    told, _ = seed.fill(shop)

    assert shop.find(first.sku) == known
    assert inventory(shop, missing.sku).available == stock
    assert len(told) == len(list(seed.entries(NOW))), "a consumer that missed a product receives it"

    seed.fill(shop, handlers.put_product)

    found = shop.find(first.sku)
    assert found
    assert (found.product.name, found.product.price) == (first.name, first.price)


def test_given_a_price_written_concurrently_when_the_seed_adds_the_product_then_that_price_is_kept() -> None:
    shop = MemoryShop()
    (first, _), *_ = seed.entries(NOW)
    dearer = replace(first, price=Money(4242, "EUR"))
    put = shop.put

    def overtaken(product: Product, initial_stock: int, outbox_record: OutboxRecord | None) -> None:
        shop.put = put  # type: ignore[method-assign]
        handlers.put_product(dearer, 0, catalogue=shop)
        put(product, initial_stock, outbox_record)

    shop.put = overtaken  # type: ignore[method-assign]

    handlers.add_product(first, 5, catalogue=shop)

    found = shop.find(first.sku)
    assert found
    assert found.product.price == dearer.price


def test_given_reserved_stock_when_the_stock_is_reset_then_the_available_stock_is_restored() -> None:
    shop = MemoryShop()
    seed.fill(shop)
    (first, stock), *_ = seed.entries(NOW)
    reserve_stock("order-1", [Item(first.sku, 2)], stock=shop)

    seed.restock(shop)

    assert inventory(shop, first.sku).available == stock
    assert inventory(shop, first.sku).reserved == 2


def test_given_an_unreadable_product_when_the_seed_runs_then_it_is_reported_and_the_others_are_written() -> (
    None
):
    (broken, _), *others = seed.entries(NOW)

    class Broken(MemoryShop):
        def find(self, sku: str) -> Stocked | None:
            if sku == broken.sku:
                raise UnreadableRow(sku)
            return super().find(sku)

    shop = Broken()

    told, unreadable = seed.fill(shop)

    assert unreadable == [broken.sku]
    assert len(told) == len(others)
    assert all(shop.find(other.sku) for other, _ in others)


def test_given_an_unreadable_product_when_the_command_runs_then_it_publishes_the_others_and_names_its_sku(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop = MemoryShop()
    (broken, _), *others = seed.entries(NOW)
    find = shop.find

    def finding(sku: str) -> Stocked | None:
        if sku == broken.sku:
            raise UnreadableRow(sku)
        return find(sku)

    monkeypatch.setattr(shop, "find", finding)
    monkeypatch.setattr(app, "storage", lambda _: app.Storage(shop, shop, shop.outbox))
    publisher = MemoryPublisher()
    monkeypatch.setattr(seed, "SnsPublisher", lambda *_: publisher)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit, match=rf"cannot be read: {broken.sku}\n.*table no-products"):
        seed.main([])

    assert len(publisher.events) == len(others)


def test_given_no_aws_when_the_command_runs_then_the_error_contains_the_next_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit, match=r"table no-products .* run this command again"):
        seed.main([])


def test_given_a_catalog_when_its_events_are_published_twice_then_each_product_has_the_same_event() -> None:
    shop = MemoryShop()
    for number in range(seed.PAGE + 1):
        shop.put(product(f"SKU-{number}"), 1, None)
    written, _ = seed.fill(shop)

    told, again = ([messages.upserted(each) for each in seed.listed(shop)] for _ in range(2))

    assert [event.id for event in told] == [event.id for event in again]
    assert len({event.subject for event in told}) == len(told) == seed.PAGE + 1 + len(written)
    schema = orjson.loads(CONTRACT.read_bytes())
    for event in told:
        jsonschema.Draft202012Validator(schema).validate(event.to_dict())


@pytest.mark.emulator
@pytest.mark.parametrize("account", ["emulator"], indirect=True)
def test_given_an_empty_table_when_the_command_runs_with_each_option_then_every_event_is_published_each_time(
    account: AwsServer,
    create_table: Callable[[], str],
    create_queue: Callable[[], str],
    create_topic: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue, topic, table = create_queue(), create_topic(), create_table()
    _subscribe(account, queue, topic)
    settings = {"TABLE": table, "TASKS_QUEUE_URL": queue, "EVENTS_TOPIC_ARN": topic}
    for name, value in {**account.env, **settings}.items():
        monkeypatch.setenv(name, value)
    count = len(list(seed.entries(NOW)))

    for arguments in ([], ["--publish-only"], ["--overwrite"], ["--reset"]):
        seed.main(arguments)

        assert len(_received(account, queue, count)) == count


def _subscribe(account: AwsServer, queue: str, topic: str) -> None:
    sqs = account.clients.sqs
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    account.clients.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)


def _received(account: AwsServer, queue: str, count: int) -> set[str]:
    """The IDs of `count` messages, or of those that arrived within the deadline."""
    ids: set[str] = set()
    deadline = time.monotonic() + 20
    while len(ids) < count and time.monotonic() < deadline:
        answer = account.clients.sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1
        )
        for message in answer.get("Messages", []):
            ids.add(message["MessageId"])
            account.clients.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return ids
