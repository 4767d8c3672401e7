"""The product service's adapters and their fakes keep the same promises: each test runs on both."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest

from services.common.errors import TaskFailed
from services.common.events import MemoryPublisher
from services.common.money import Money
from services.product import domain, handlers
from services.product.app import Storage
from services.product.domain import Inventory, Item, Move, OrderClosed, Reservation, Shelf, State
from services.product.dynamo import DynamoCatalogue, DynamoStock
from services.product.ports import Search, Stale
from tests.services.product.fakes import MemoryShop
from tests.services.product.world import NOW, inventory, product

CUPS, TEAS = Item("CUP", 2), Item("TEA", 1)


@pytest.fixture(params=["memory", pytest.param("dynamodb", marks=pytest.mark.emulator)])
def stored(request: pytest.FixtureRequest) -> Storage:
    if request.param == "memory":
        shop = MemoryShop()
        return Storage(shop, shop)
    client = request.getfixturevalue("emulator").clients.dynamodb
    table = request.getfixturevalue("create_table")()
    return Storage(DynamoCatalogue(client, table), DynamoStock(client, table))


@pytest.fixture
def stocked(stored: Storage) -> Storage:
    stored.catalogue.put(product("CUP", "Espresso Cup"), 5)
    stored.catalogue.put(product("TEA", "Earl Grey", "tea"), 3)
    return stored


def reserved(order_id: str, *items: Item) -> tuple[Reservation, Move]:
    return Reservation(order_id, State.RESERVED, items, NOW), Move(items, Shelf.AVAILABLE, Shelf.RESERVED)


def skus(stored: Storage, search: Search) -> list[str]:
    return [found.product.sku for found in stored.catalogue.page(search, None, 10).products]


def test_a_product_is_read_as_it_was_written(stocked: Storage) -> None:
    found = stocked.catalogue.find("CUP")

    assert found is not None
    assert found.product == product("CUP", "Espresso Cup")
    assert found.inventory == Inventory("CUP", 5)
    assert stocked.catalogue.find("none") is None


def test_a_product_that_is_written_again_is_priced_anew_and_keeps_its_stock(stocked: Storage) -> None:
    stocked.stock.save(*_with_state(None, *reserved("order-1", CUPS)))
    dearer = replace(product("CUP", "Espresso Cup"), price=Money(990, "EUR"))

    stocked.catalogue.put(dearer, 100)

    found = stocked.catalogue.find("CUP")
    assert found is not None
    assert found.product == dearer
    assert found.inventory == Inventory("CUP", 3, 2)


def test_a_search_finds_all_words_in_name_or_sku_whatever_their_case(stocked: Storage) -> None:
    assert skus(stocked, Search()) == ["CUP", "TEA"]
    assert skus(stocked, Search(("cup", "ESPRESSO"))) == ["CUP"]
    assert skus(stocked, Search(("tea",))) == ["TEA"]
    assert skus(stocked, Search(("cup", "grey"))) == []
    assert skus(stocked, Search(category="tea")) == skus(stocked, Search(category="Tea")) == ["TEA"]
    assert skus(stocked, Search(("cup",), "tea")) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_have_every_product_once_in_the_order_of_skus(stored: Storage, limit: int) -> None:
    expected = [f"SKU-{number}" for number in range(7)]
    for sku in reversed(expected):
        stored.catalogue.put(product(sku), 1)

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


def test_levels_are_of_the_products_that_there_are(stocked: Storage) -> None:
    assert stocked.stock.levels(["CUP", "none"]) == {"CUP": Inventory("CUP", 5)}


def test_a_product_that_is_restocked_keeps_what_is_reserved(stocked: Storage) -> None:
    stocked.stock.save(*_with_state(None, *reserved("order-1", CUPS)))

    stocked.catalogue.restock("CUP", 9)

    assert inventory(stocked.catalogue, "CUP") == Inventory("CUP", 9, 2)


def test_a_page_tells_of_the_stock_as_it_is(stocked: Storage) -> None:
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
def test_a_reservation_is_read_as_it_was_written(stored: Storage, reservation: Reservation) -> None:
    assert stored.stock.reservation("order-1") is None

    stored.stock.save(reservation, None, None)

    assert stored.stock.reservation("order-1") == reservation


def test_a_reservation_moves_its_stock(stocked: Storage) -> None:
    stocked.stock.save(*_with_state(None, *reserved("order-1", CUPS, TEAS)))

    assert inventory(stocked.catalogue, "CUP") == Inventory("CUP", 3, 2)
    assert inventory(stocked.catalogue, "TEA") == Inventory("TEA", 2, 1)


def test_too_few_of_one_product_leaves_everything_as_it_was(stocked: Storage) -> None:
    with pytest.raises(Stale):
        stocked.stock.save(*_with_state(None, *reserved("order-1", CUPS, Item("TEA", 4))))

    assert stocked.stock.reservation("order-1") is None
    assert inventory(stocked.catalogue, "CUP") == Inventory("CUP", 5)


def test_a_decision_on_another_state_leaves_everything_as_it_was(stocked: Storage) -> None:
    stocked.stock.save(*_with_state(None, *reserved("order-1", CUPS)))

    for was in (None, State.RELEASED):
        with pytest.raises(Stale):
            stocked.stock.save(*_with_state(was, *reserved("order-1", TEAS)))

    assert inventory(stocked.catalogue, "TEA") == Inventory("TEA", 3)


def test_of_many_concurrent_orders_for_the_last_pieces_exactly_as_many_get_them_as_there_are(
    stocked: Storage,
) -> None:
    start = threading.Barrier(6)

    def order(number: int) -> bool:
        start.wait()
        try:
            handlers.reserve_stock(
                f"order-{number}", [TEAS], stock=stocked.stock, publisher=MemoryPublisher()
            )
        except TaskFailed:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        served = list(pool.map(order, range(6)))

    assert sum(served) == 3
    assert inventory(stocked.catalogue, "TEA") == Inventory("TEA", 0, 3)


def test_a_reservation_and_its_release_at_the_same_time_keep_nothing(stocked: Storage) -> None:
    start = threading.Barrier(2)

    def reserve() -> None:
        start.wait()
        with suppress(OrderClosed):
            handlers.reserve_stock("order-1", [CUPS], stock=stocked.stock, publisher=MemoryPublisher())

    def release() -> None:
        start.wait()
        handlers.release_stock("order-1", stock=stocked.stock, publisher=MemoryPublisher())

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(reserve), pool.submit(release)]:
            done.result()

    assert inventory(stocked.catalogue, "CUP") == Inventory("CUP", 5)


def _with_state(
    was: State | None, reservation: Reservation, move: Move
) -> tuple[Reservation, State | None, Move]:
    return reservation, was, move
