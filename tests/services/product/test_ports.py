"""The contract of the product service's ports: each test runs against the real adapters and the fakes."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from services.common.aws import dynamo
from services.common.aws.outbox import DynamoOutbox
from services.common.messaging.outbox import of_fact
from services.common.values import clock, ids
from services.common.values.errors import Stale, TaskFailed
from services.common.values.money import Money
from services.product import domain, handlers, messages
from services.product.app import Storage
from services.product.domain import (
    Inventory,
    Item,
    Move,
    OrderClosed,
    Reservation,
    Shelf,
    State,
    StockMissing,
)
from services.product.dynamo import DynamoCatalogue, DynamoStock
from services.product.ports import Search
from shopdev.processes.emulator import AwsServer
from tests.services.accounts import EITHER, new_table
from tests.services.product.fakes import MemoryShop
from tests.services.product.world import FIRST, NOW, inventory, product, told
from tests.waiting import wait_for

LATER = NOW + timedelta(minutes=1)
CUPS, TEAS = Item("CUP", 2), Item("TEA", 1)


@pytest.fixture(params=["memory", *EITHER])
def stored(request: pytest.FixtureRequest) -> Storage:
    if request.param == "memory":
        shop = MemoryShop()
        return Storage(shop, shop, shop.outbox)
    account: AwsServer = request.getfixturevalue(request.param)
    client = account.clients.dynamodb
    table = new_table(account.clients)
    outbox = DynamoOutbox(client, table)
    return Storage(DynamoCatalogue(client, table, outbox), DynamoStock(client, table, outbox), outbox)


@pytest.fixture
def stocked(stored: Storage) -> Storage:
    stored.catalogue.put(product("CUP", "Espresso Cup"), 5, None)
    stored.catalogue.put(product("TEA", "Earl Grey", "tea"), 3, None)
    return stored


def remove(stored: Storage, sku: str) -> None:
    """Removes a product, as only an operator can."""
    if isinstance(stored.catalogue, MemoryShop):
        stored.catalogue.remove(sku)
    else:
        assert isinstance(stored.outbox, DynamoOutbox)
        stored.outbox._client.delete_item(
            TableName=stored.outbox._table,
            Key=dynamo.pack({"pk": f"PRODUCT#{sku}", "sk": "PRODUCT"}),
        )


def reserved(order_id: str, *items: Item) -> tuple[Reservation, Move]:
    return Reservation(order_id, State.RESERVED, items, NOW), Move(items, Shelf.AVAILABLE, Shelf.RESERVED)


def skus(stored: Storage, search: Search) -> list[str]:
    return [found.product.sku for found in stored.catalogue.page(search, None, 10).products]


def test_given_a_product_when_it_is_written_and_read_then_it_is_the_same(stocked: Storage) -> None:
    found = stocked.catalogue.find("CUP")

    assert found is not None
    assert found.product == product("CUP", "Espresso Cup")
    assert found.inventory == Inventory("CUP", 5)
    assert stocked.catalogue.find("none") is None


def test_given_a_stored_product_when_it_is_written_again_then_it_has_the_new_price_and_its_stock_stays(
    stocked: Storage,
) -> None:
    stocked.stock.save(*_with_state(None, *reserved("order-1", CUPS)))
    dearer = replace(product("CUP", "Espresso Cup"), price=Money(990, "EUR")).after(
        product("CUP", "Espresso Cup"), NOW
    )

    stocked.catalogue.put(dearer, 100, None)

    found = stocked.catalogue.find("CUP")
    assert found is not None
    assert found.product == dearer
    assert found.inventory == Inventory("CUP", 3, 2)


def test_given_a_catalog_when_words_are_searched_then_all_must_match_the_name_or_sku_in_any_case(
    stocked: Storage,
) -> None:
    assert skus(stocked, Search()) == ["CUP", "TEA"]
    assert skus(stocked, Search(("cup", "ESPRESSO"))) == ["CUP"]
    assert skus(stocked, Search(("tea",))) == ["TEA"]
    assert skus(stocked, Search(("cup", "grey"))) == []
    assert skus(stocked, Search(category="tea")) == skus(stocked, Search(category="Tea")) == ["TEA"]
    assert skus(stocked, Search(("cup",), "tea")) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_given_seven_products_when_they_are_listed_in_pages_then_each_appears_once_in_order_of_sku(
    stored: Storage, limit: int
) -> None:
    expected = [f"SKU-{number}" for number in range(7)]
    for sku in reversed(expected):
        stored.catalogue.put(product(sku), 1, None)

    listed: list[str] = []
    after = None
    while True:
        page = stored.catalogue.page(Search(("sku",)), after, limit)
        assert 0 < len(page.products) <= limit
        listed += [found.product.sku for found in page.products]
        after = page.next_after
        if after is None:
            break

    assert listed == expected


def test_given_an_unreadable_product_when_products_are_listed_then_the_others_are_returned(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table = account.clients.dynamodb, create_table()
    outbox = DynamoOutbox(client, table)
    stored = Storage(DynamoCatalogue(client, table, outbox), DynamoStock(client, table, outbox), outbox)
    for sku in ("CUP", "POT", "TEA"):
        stored.catalogue.put(product(sku), 1, None)
    assert skus(stored, Search()) == ["CUP", "POT", "TEA"]
    client.update_item(
        TableName=table,
        Key=dynamo.pack({"pk": "PRODUCT#POT", "sk": "PRODUCT"}),
        UpdateExpression="REMOVE category",
    )

    assert skus(stored, Search()) == ["CUP", "TEA"]
    afresh = DynamoCatalogue(client, table, outbox)
    assert [found.product.sku for found in afresh.page(Search(), None, 10).products] == ["CUP", "TEA"]


def test_given_a_process_that_has_read_the_catalog_when_others_change_it_then_it_finds_the_changes_without_reading_it_again(
    account: AwsServer, create_table: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, table = account.clients.dynamodb, create_table()
    outbox = DynamoOutbox(client, table)
    reading, writing = DynamoCatalogue(client, table, outbox), DynamoCatalogue(client, table, outbox)
    cup = product("CUP", "Espresso Cup")
    writing.put(cup, 1, None)
    stored = Storage(reading, DynamoStock(client, table, outbox), outbox)
    assert skus(stored, Search()) == ["CUP"]
    monkeypatch.setattr(reading, "entries", pytest.fail)

    assert writing.put_all([({product("POT"): 1, product("TEA"): 1}, None)]) == [True]
    writing.put(replace(cup, name="Mug").after(cup, NOW), 1, None)

    wait_for(lambda: skus(stored, Search()) == ["CUP", "POT", "TEA"])
    assert skus(stored, Search(("mug",))) == ["CUP"]
    assert skus(stored, Search(("espresso",))) == []


def test_given_a_removed_product_when_it_is_searched_then_the_next_page_takes_its_place(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table = account.clients.dynamodb, create_table()
    outbox = DynamoOutbox(client, table)
    stored = Storage(DynamoCatalogue(client, table, outbox), DynamoStock(client, table, outbox), outbox)
    for sku in ("CUP", "POT", "TEA"):
        stored.catalogue.put(product(sku), 1, None)
    assert skus(stored, Search()) == ["CUP", "POT", "TEA"]

    remove(stored, "POT")

    assert [found.product.sku for found in stored.catalogue.page(Search(), None, 2).products] == ["CUP"]
    assert [found.product.sku for found in stored.catalogue.page(Search(), None, 2).products] == [
        "CUP",
        "TEA",
    ]


def test_given_a_change_that_cannot_be_read_when_products_are_searched_then_the_others_are_found(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table = account.clients.dynamodb, create_table()
    outbox = DynamoOutbox(client, table)
    stored = Storage(DynamoCatalogue(client, table, outbox), DynamoStock(client, table, outbox), outbox)
    assert skus(stored, Search()) == []
    client.put_item(
        TableName=table,
        Item=dynamo.pack({"pk": "CATALOGUE", "sk": f"CHANGE#{ids.uuid7()}", "products": "[[1]]"}),
    )

    stored.catalogue.put(product("CUP"), 1, None)

    wait_for(lambda: skus(stored, Search()) == ["CUP"])


def test_given_a_reservation_that_only_rejects_late_tasks_when_it_is_saved_then_it_expires_unlike_a_sale(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table = account.clients.dynamodb, create_table()
    outbox = DynamoOutbox(client, table)
    stock = DynamoStock(client, table, outbox)
    stock.save(domain.closed("closed", NOW), None, None, None)
    refused = Reservation("refused", State.REFUSED, (), NOW, error="OutOfStock", cause="none")
    stock.save(refused, None, None, None)
    stock.save(Reservation("sold", State.COMMITTED, (CUPS,), NOW, ended_at=NOW), None, None, None)

    ends = {
        order_id: client.get_item(
            TableName=table, Key=dynamo.pack({"pk": f"ORDER#{order_id}", "sk": "RESERVATION"})
        )["Item"].get("expires_at")
        for order_id in ("closed", "refused", "sold")
    }

    in_ninety_days = {"N": str(int((NOW + timedelta(days=90)).timestamp()))}
    assert ends == {"closed": in_ninety_days, "refused": in_ninety_days, "sold": None}


def test_given_a_known_and_an_unknown_sku_when_stock_is_read_then_only_the_known_one_is_returned(
    stocked: Storage,
) -> None:
    assert stocked.stock.before_reserving("order-1", ["CUP", "none"]) == (None, {"CUP": Inventory("CUP", 5)})


def test_given_a_reservation_when_it_is_read_before_reserving_then_it_is_returned_with_the_stock(
    stocked: Storage,
) -> None:
    reservation, was, move, record = _with_state(None, *reserved("order-1", CUPS))
    stocked.stock.save(reservation, was, move, record)

    assert stocked.stock.before_reserving("order-1", ["CUP"]) == (
        reservation,
        {"CUP": Inventory("CUP", 3, 2)},
    )


def test_given_reserved_stock_when_its_product_is_restocked_then_the_reserved_stock_stays(
    stocked: Storage,
) -> None:
    stocked.stock.save(*_with_state(None, *reserved("order-1", CUPS)))

    stocked.catalogue.restock("CUP", 9)

    assert inventory(stocked.catalogue, "CUP") == Inventory("CUP", 9, 2)


def test_given_a_listed_product_when_its_stock_changes_then_the_next_page_has_the_current_stock(
    stocked: Storage,
) -> None:
    stocked.catalogue.page(Search(), None, 10)

    stocked.stock.save(*_with_state(None, *reserved("order-1", CUPS)))

    (cup,) = stocked.catalogue.page(Search(("cup",)), None, 10).products
    assert cup.inventory == Inventory("CUP", 3, 2)


@pytest.mark.parametrize(
    "reservation",
    [
        Reservation("order-1", State.RESERVED, (CUPS, TEAS), NOW),
        Reservation("order-1", State.COMMITTED, (CUPS,), NOW, ended_at=NOW),
        Reservation("order-1", State.REFUSED, (), NOW, error="OutOfStock", cause="not enough of CUP"),
        domain.closed("order-1", NOW),
    ],
    ids=lambda reservation: reservation.state,
)
def test_given_a_reservation_when_it_is_saved_and_read_then_it_is_the_same(
    stored: Storage, reservation: Reservation
) -> None:
    assert stored.stock.reservation("order-1") is None

    stored.stock.save(reservation, None, None, None)

    assert stored.stock.reservation("order-1") == reservation


def test_given_available_stock_when_a_reservation_is_saved_then_the_stock_moves_to_reserved(
    stocked: Storage,
) -> None:
    stocked.stock.save(*_with_state(None, *reserved("order-1", CUPS, TEAS)))

    assert inventory(stocked.catalogue, "CUP") == Inventory("CUP", 3, 2)
    assert inventory(stocked.catalogue, "TEA") == Inventory("TEA", 2, 1)


def test_given_too_little_stock_of_one_product_when_a_reservation_is_saved_then_nothing_changes(
    stocked: Storage,
) -> None:
    with pytest.raises(Stale):
        stocked.stock.save(*_with_state(None, *reserved("order-1", CUPS, Item("TEA", 4))))

    assert stocked.stock.reservation("order-1") is None
    assert inventory(stocked.catalogue, "CUP") == Inventory("CUP", 5)


def test_given_a_stored_reservation_when_a_decision_expects_another_state_then_nothing_changes(
    stocked: Storage,
) -> None:
    stocked.stock.save(*_with_state(None, *reserved("order-1", CUPS)))

    for was in (None, State.RELEASED):
        with pytest.raises(Stale):
            stocked.stock.save(*_with_state(was, *reserved("order-1", TEAS)))

    assert inventory(stocked.catalogue, "TEA") == Inventory("TEA", 3)


@pytest.mark.parametrize("is_gone", [True, False])
def test_given_missing_reserved_stock_when_it_is_released_then_the_error_names_the_quantity_and_the_sku(
    stocked: Storage, is_gone: bool
) -> None:
    """Only an operator can remove a product or its reserved stock, manually."""
    stocked.stock.save(*_with_state(None, *reserved("order-1", CUPS)))
    kept = Reservation("order-1", State.RELEASED, (CUPS,), NOW, NOW)
    more = Item("none", 1) if is_gone else Item("CUP", 3)

    with pytest.raises(StockMissing, match=f"{more.quantity} of {more.sku}"):
        stocked.stock.save(kept, State.RESERVED, Move((more,), Shelf.RESERVED, Shelf.AVAILABLE), None)

    assert inventory(stocked.catalogue, "CUP") == Inventory("CUP", 3, 2)


def test_given_a_product_version_when_a_write_expects_another_version_then_it_is_stale(
    stocked: Storage,
) -> None:
    second = replace(product("CUP"), version=FIRST + 9, replaces=FIRST)
    told_of_it = of_fact(messages.upserted(second))
    stocked.catalogue.put(second, 0, told_of_it)

    for replaced in (0, FIRST, FIRST + 8, FIRST + 10):
        other = replace(product("CUP", "Other"), version=FIRST + 20, replaces=replaced)
        with pytest.raises(Stale):
            stocked.catalogue.put(other, 0, told_of_it)

    found = stocked.catalogue.find("CUP")
    assert found is not None
    assert found.product == second
    assert stocked.outbox.pending(10) == [told_of_it]


def test_given_an_unchanged_product_when_it_is_put_again_then_its_event_is_published_in_the_same_version(
    stocked: Storage,
) -> None:
    same = replace(product("CUP", "Espresso Cup"), version=0)
    dearer = replace(same, price=Money(990, "EUR"))

    for wanted in (same, dearer, dearer):
        handlers.put_product(wanted, 0, catalogue=stocked.catalogue, now=lambda: LATER)

    versions = [event.data["version"] for event in told(stocked.outbox)]
    assert versions == [FIRST, FIRST + 60_000, FIRST + 60_000]
    assert [event.data["price"]["amount"] for event in told(stocked.outbox)] == [790, 990, 990]


def test_given_an_unchanged_product_when_it_is_put_with_a_later_time_then_earlier_updates_are_ignored(
    stocked: Storage,
) -> None:
    same = replace(product("CUP", "Espresso Cup"), version=0, updated_at=LATER)
    between = replace(same, price=Money(990, "EUR"), updated_at=LATER - timedelta(seconds=1))
    early = between.after(product("CUP", "Espresso Cup"), NOW)

    handlers.put_product(same, 0, catalogue=stocked.catalogue)
    with pytest.raises(Stale):
        stocked.catalogue.put(early, 0, None)
    handlers.put_product(between, 0, catalogue=stocked.catalogue)

    found = stocked.catalogue.find("CUP")
    assert found is not None
    assert found.product == replace(same, version=FIRST)
    assert [event.data["version"] for event in told(stocked.outbox)] == [FIRST, FIRST]


def test_given_concurrent_price_changes_when_they_are_written_then_each_has_its_own_version(
    stocked: Storage,
) -> None:
    start = threading.Barrier(4)

    def price(amount: int) -> None:
        start.wait()
        wanted = replace(product("CUP"), price=Money(amount, "EUR"))
        handlers.put_product(wanted, 0, catalogue=stocked.catalogue)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(price, range(1, 5)))

    versions = {event.data["version"]: event.data["price"]["amount"] for event in told(stocked.outbox)}
    assert len(versions) == 4
    assert min(versions) > FIRST
    found = stocked.catalogue.find("CUP")
    assert found is not None
    assert found.product.price.amount == versions[max(versions)]


def test_given_a_slow_clock_when_a_price_is_changed_then_the_version_still_increases(
    stocked: Storage,
) -> None:
    dearer = replace(product("CUP"), price=Money(990, "EUR"))

    handlers.put_product(dearer, 0, catalogue=stocked.catalogue, now=lambda: NOW - timedelta(hours=1))

    assert [event.data["version"] for event in told(stocked.outbox)] == [FIRST + 1]


def test_given_a_deleted_product_when_it_is_put_again_then_its_version_is_higher_than_before(
    stocked: Storage,
) -> None:
    for amount in range(1, 4):
        dearer = replace(product("CUP"), price=Money(amount, "EUR"))
        handlers.put_product(dearer, 0, catalogue=stocked.catalogue, now=lambda: NOW)
    remove(stocked, "CUP")

    handlers.put_product(product("CUP"), 0, catalogue=stocked.catalogue, now=lambda: LATER)

    *before, last = [event.data["version"] for event in told(stocked.outbox)]
    assert before == [FIRST + 1, FIRST + 2, FIRST + 3]
    assert last == FIRST + 60_000


def test_given_a_product_whose_version_is_a_counter_when_it_is_put_then_its_version_becomes_a_time(
    stored: Storage,
) -> None:
    """A subscriber may have stored a higher counter from before the row of the product was deleted."""
    stored.catalogue.put(replace(product("CUP"), version=3, replaces=0), 5, None)

    handlers.put_product(product("CUP"), 0, catalogue=stored.catalogue, now=lambda: NOW)

    assert [event.data["version"] for event in told(stored.outbox)] == [FIRST]


def test_given_the_storage_when_its_time_is_read_then_it_is_the_current_time(stored: Storage) -> None:
    before = clock.now().replace(microsecond=0)

    assert before <= stored.catalogue.now() <= clock.now()


def test_given_a_stock_move_when_it_is_saved_then_its_outbox_record_is_in_the_same_transaction(
    stocked: Storage,
) -> None:
    handlers.reserve_stock("order-1", [CUPS], stock=stocked.stock)
    with pytest.raises(TaskFailed):
        handlers.reserve_stock("order-2", [Item("CUP", 4)], stock=stocked.stock)
    handlers.reserve_stock("order-1", [CUPS], stock=stocked.stock)

    assert [event.type for event in told(stocked.outbox)] == ["shop.stock.reserved.v1"]


def test_given_the_last_three_pieces_when_six_orders_reserve_them_concurrently_then_exactly_three_succeed(
    stocked: Storage,
) -> None:
    start = threading.Barrier(6)

    def order(number: int) -> bool:
        start.wait()
        try:
            handlers.reserve_stock(f"order-{number}", [TEAS], stock=stocked.stock)
        except TaskFailed:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        served = list(pool.map(order, range(6)))

    assert sum(served) == 3
    assert inventory(stocked.catalogue, "TEA") == Inventory("TEA", 0, 3)


def test_given_a_reservation_and_a_release_when_they_run_concurrently_then_no_stock_stays_reserved(
    stocked: Storage,
) -> None:
    start = threading.Barrier(2)

    def reserve() -> None:
        start.wait()
        with suppress(OrderClosed):
            handlers.reserve_stock("order-1", [CUPS], stock=stocked.stock)

    def release() -> None:
        start.wait()
        handlers.release_stock("order-1", stock=stocked.stock)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(reserve), pool.submit(release)]:
            done.result()

    assert inventory(stocked.catalogue, "CUP") == Inventory("CUP", 5)


def _with_state(
    was: State | None, reservation: Reservation, move: Move
) -> tuple[Reservation, State | None, Move, None]:
    return reservation, was, move, None
