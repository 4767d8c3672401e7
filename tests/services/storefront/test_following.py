"""The open pages of orders: how often an order is read, which pages show it, and when their events end."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from services.storefront.domain import Address, NewOrder, Order, OrderDetails, State
from services.storefront.following import MOST_PER_CUSTOMER, RETRY_SECONDS, Following, Page
from services.storefront.ports import Grant
from tests.services.storefront.fakes import TEA, MemoryCatalog, MemoryOrders
from tests.services.storefront.visitor import ADDRESS

START = datetime(2026, 11, 30, 12, tzinfo=UTC)


@dataclass
class Tab:
    """An open page: the events that it received."""

    received: list[str] = field(default_factory=list)
    is_open: bool = True

    def write(self, data: bytes) -> None:
        if self.is_open:
            self.received.append(data.decode())

    def end(self) -> None:
        self.is_open = False


class CountingOrders(MemoryOrders):
    """Orders that count how often one was read, by access token."""

    def __init__(self, catalog: MemoryCatalog) -> None:
        super().__init__(catalog, {"of alice": "alice", "also of alice": "alice", "of bob": "bob"})
        self.reads: list[str] = []

    def find(self, token: str, order_id: str) -> Order | None:
        self.reads.append(token)
        return super().find(token, order_id)


class World:
    """The open pages of a shop in memory, with a clock that the test sets."""

    def __init__(self) -> None:
        self.catalog = MemoryCatalog(TEA)
        self.orders = CountingOrders(self.catalog)
        self.seconds = 0.0
        self.following = Following(
            self.orders, render, now=self.now, monotonic=lambda: self.seconds, threads=0
        )
        self.order_id = self.orders.place(
            "of alice", NewOrder("key", {TEA.sku: 1}, TEA.price, Address(**ADDRESS), "tok_approve")
        )
        _, order = self.orders.orders[self.order_id]
        self.orders.orders[self.order_id] = "alice", started(order)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def opens(self, token: str = "of alice", seen: str = "PENDING.1", language: str = "en") -> Tab:
        tab = Tab()
        page = Page(tab, language, seen)
        assert self.following.follow(granted(token), self.order_id, page, self.read())
        return tab

    def read(self) -> Order:
        return self.orders.orders[self.order_id][1]

    def moves(self, state: State) -> None:
        self.orders.moves(self.order_id, state, "moved", self.now())

    def passes(self, seconds: float) -> int:
        """Time passes. Returns how often the shop was asked for an order."""
        before, end = len(self.orders.reads), self.seconds + seconds
        while self.seconds < end:
            self.seconds = min(self.seconds + 0.25, end)
            while self.following.turn():
                pass
        return len(self.orders.reads) - before


def granted(token: str) -> Grant:
    subject = token.rpartition(" ")[2]
    return Grant(token, subject, subject, 0, frozenset())


def started(order: Order) -> Order:
    (step,) = order.timeline
    return Order(
        order.id, order.state, order.lines, order.total, START, (type(step)(step.state, START, step.cause),)
    )


def render(details: OrderDetails, language: str) -> str:
    return f"{details.order.state} in {language}"


@pytest.fixture
def world() -> World:
    return World()


def test_given_an_open_page_when_its_order_moves_then_it_shows_each_state_within_a_second_and_then_ends(
    world: World,
) -> None:
    tab = world.opens()
    for state in (State.RESERVED, State.PAID, State.SHIPPED):
        world.passes(2)
        world.moves(state)
        world.passes(1.25)

    assert tab.received == [
        'id: RESERVED.2\ndata: "RESERVED in en"\n\n',
        'id: PAID.3\ndata: "PAID in en"\n\n',
        'id: SHIPPED.4\ndata: "SHIPPED in en"\n\n',
    ]
    assert not tab.is_open
    assert world.passes(60) == 0, "an order that has ended is not read any more"


def test_given_a_page_with_an_older_version_when_opened_then_it_shows_the_current_one_at_once(
    world: World,
) -> None:
    world.moves(State.RESERVED)
    tab = world.opens(seen="PENDING.1")

    world.passes(0.25)

    assert len(tab.received) == 1
    assert "RESERVED" in tab.received[0]


def test_given_several_tabs_of_a_customer_then_the_order_is_read_once_for_all_of_them(world: World) -> None:
    english, german = world.opens(), world.opens(language="de")
    world.passes(1)

    assert world.passes(10) == pytest.approx(8, abs=2)
    world.moves(State.RESERVED)
    world.passes(2)
    assert "RESERVED in en" in english.received[0]
    assert "RESERVED in de" in german.received[0]


def test_given_two_sign_ins_then_each_reads_with_its_own_token_and_another_customer_gets_nothing(
    world: World,
) -> None:
    mine, also_mine, foreign = world.opens(), world.opens("also of alice"), world.opens("of bob")

    world.passes(2)
    world.moves(State.RESERVED)
    world.passes(2)

    assert set(world.orders.reads) == {"of alice", "also of alice", "of bob"}
    assert len(mine.received) == len(also_mine.received) == 1
    assert foreign.received == []
    assert not foreign.is_open


def test_given_an_order_that_does_not_move_then_it_is_read_less_and_less_often(world: World) -> None:
    tab = world.opens()

    assert world.passes(50) > 35
    world.passes(30)
    assert world.passes(60) <= 13
    world.passes(600)
    assert world.passes(300) <= 11
    assert "PENDING.1.late" in tab.received[0], "the page says that it takes longer than usual"


def test_given_a_page_that_is_closed_then_its_order_is_not_read_any_more(world: World) -> None:
    first, second = world.opens(), world.opens()
    world.passes(2)
    first.is_open = False
    assert world.passes(4) >= 3
    second.is_open = False

    assert world.passes(60) == 0


def test_given_a_shop_that_does_not_respond_when_it_responds_again_then_its_pages_are_told_once(
    world: World,
) -> None:
    tab = world.opens()
    world.passes(2)
    known = world.now()
    world.catalog.down = True
    world.passes(4 * RETRY_SECONDS)
    world.catalog.down = False
    world.passes(RETRY_SECONDS + 1)

    assert tab.received == [
        f"event: stale\ndata: {known.isoformat()}\n\n",
        "event: current\ndata: \n\n",
    ]
    assert tab.is_open


def test_given_a_sign_in_that_is_revoked_then_its_pages_are_ended(world: World) -> None:
    tab = world.opens()
    del world.orders.tokens["of alice"]

    world.passes(2)

    assert not tab.is_open
    assert world.passes(60) == 0


def test_given_more_pages_than_a_customer_may_open_then_others_are_declined_until_one_is_closed(
    world: World,
) -> None:
    tabs = [world.opens() for _ in range(MOST_PER_CUSTOMER)]
    more = Page(Tab(), "en", "PENDING.1")

    assert not world.following.follow(granted("of alice"), world.order_id, more, world.read())
    assert not world.following.follow(granted("also of alice"), world.order_id, more, world.read())
    world.opens("of bob")
    tabs[0].is_open = False
    assert world.following.follow(granted("of alice"), world.order_id, more, world.read())


def test_given_a_page_that_cannot_be_rendered_then_its_events_end_and_others_go_on(world: World) -> None:
    def fail(details: OrderDetails, language: str) -> str:
        if language == "de":
            raise ValueError(language)
        return render(details, language)

    world.following = Following(world.orders, fail, now=world.now, monotonic=lambda: world.seconds, threads=0)
    german, english = world.opens(language="de"), world.opens("also of alice")
    world.moves(State.RESERVED)

    world.passes(2)

    assert not german.is_open
    assert english.is_open
    assert len(english.received) == 1


def test_given_a_page_whose_events_end_with_a_change_when_its_order_moves_then_they_end(world: World) -> None:
    tab = Tab()
    world.following.follow(
        granted("of alice"), world.order_id, Page(tab, "en", "PENDING.1", once=True), world.read()
    )
    world.passes(3)
    assert tab.is_open

    world.moves(State.RESERVED)
    world.passes(2)

    assert len(tab.received) == 1
    assert not tab.is_open
