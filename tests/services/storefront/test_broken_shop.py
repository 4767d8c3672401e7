"""The faults of the switchboard in the processes of `make dev`: an order ends as the page promises, and the shop heals."""

import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from playwright.sync_api import expect

from services.common.aws.faults import DynamoSwitchboard
from services.common.faults.switches import Fault
from services.payment.faults import SLOW_SECONDS
from shopdev import identity
from shopdev.customer import ENDS, Customer, Order
from shopdev.processes.shop import Shop, with_pages
from tests.pages import WIDE, Visitor, chromium
from tests.services.storefront.visitor import ADDRESS
from tests.waiting import wait_for

pytestmark = pytest.mark.emulator

SKU = "TE-001"
HEALS_WITHIN = 90.0


@pytest.fixture(scope="module")
def log() -> list[str]:
    """Lines printed by the shop's processes."""
    return []


@pytest.fixture(scope="module")
def shop(log: list[str]) -> Iterator[Shop]:
    try:
        with with_pages(lambda name, line: log.append(f"{name}: {line}"), faults=True) as shop:
            yield shop
    finally:
        sys.stderr.write("\n".join(log))  # shown with a test that failed


@pytest.fixture
def customer(shop: Shop) -> Iterator[Customer]:
    with Customer(shop.url, shop.token()) as customer:
        yield customer


@pytest.fixture
def switchboard(shop: Shop) -> Iterator[DynamoSwitchboard]:
    switchboard = DynamoSwitchboard(shop.clients.dynamodb, shop.outputs["faults"]["Table"])
    yield switchboard
    switchboard.turn_off(*Fault)


def one_that(customer: Customer, shows: Callable[[Order], bool]) -> Order:
    """An order that shows a fault. A switch takes effect within a second, so the first orders may not."""
    seen: list[Order] = []

    def shown() -> bool:
        seen.append(customer.place(SKU))
        return shows(seen[-1])

    wait_for(shown, what="an order that shows the fault")
    return seen[-1]


def ends_as(customer: Customer, state: str) -> Callable[[Order], bool]:
    return lambda order: bool(customer.follow(order)["state"] == state)


def seconds(order: Order, before: str, after: str) -> float:
    at = {step["state"]: datetime.fromisoformat(step["at"]) for step in order["timeline"]}
    return (at[after] - at[before]).total_seconds()


def test_given_a_slow_payment_when_ordered_then_the_order_is_paid_seconds_later_and_shipped(
    customer: Customer, switchboard: DynamoSwitchboard
) -> None:
    switchboard.turn_on(Fault.PAYMENT_SLOW)

    def is_slow(order: Order) -> bool:
        ended = customer.follow(order)
        assert ended["state"] == "SHIPPED"
        return seconds(ended, "RESERVED", "PAID") >= SLOW_SECONDS

    one_that(customer, is_slow)
    switchboard.turn_off(*Fault)

    one_that(customer, lambda order: seconds(customer.follow(order), "RESERVED", "PAID") < SLOW_SECONDS)


def test_given_declined_payments_when_ordered_then_the_order_is_rejected_and_nothing_is_kept(
    customer: Customer, switchboard: DynamoSwitchboard
) -> None:
    before = customer.stock(SKU)
    switchboard.turn_on(Fault.PAYMENT_DECLINED)

    order = one_that(customer, ends_as(customer, "REJECTED"))

    assert "payment-declined" in customer.order(order)["timeline"][-1]["cause"]
    assert customer.get(f"/payments/{order['id']}")["charged"]["amount"] == 0
    switchboard.turn_off(*Fault)
    one_that(customer, ends_as(customer, "SHIPPED"))
    assert customer.order(order)["state"] == "REJECTED"
    after = customer.stock(SKU)
    assert after["reserved"] == 0
    assert before["available"] - after["available"] == after["sold"] - before["sold"]


def test_given_a_payment_provider_that_is_away_when_ordered_then_the_order_waits_and_is_shipped_afterwards(
    customer: Customer, switchboard: DynamoSwitchboard, log: list[str]
) -> None:
    switchboard.turn_on(Fault.PAYMENT_AWAY)

    def has_failed(order: Order) -> bool:
        return any(order["id"] in line and "payment-away is on" in line for line in log)

    def waits(order: Order) -> bool:
        wait_for(lambda: has_failed(order) or customer.order(order)["state"] in ENDS)
        return has_failed(order)

    order = one_that(customer, waits)
    assert customer.order(order)["state"] == "RESERVED"
    switchboard.turn_off(*Fault)

    assert customer.follow(order, HEALS_WITHIN)["state"] == "SHIPPED"


def test_given_a_carrier_that_refuses_when_ordered_then_the_payment_is_refunded_and_the_order_cancelled(
    customer: Customer, switchboard: DynamoSwitchboard
) -> None:
    switchboard.turn_on(Fault.CARRIER_REFUSES)

    order = one_that(customer, ends_as(customer, "CANCELLED"))

    paid = customer.get(f"/payments/{order['id']}")
    assert paid["charged"] == paid["refunded"] == order["total"]
    switchboard.turn_off(*Fault)
    one_that(customer, ends_as(customer, "SHIPPED"))
    assert customer.order(order)["state"] == "CANCELLED"


def test_given_late_events_when_ordered_then_the_order_is_shipped_while_its_events_wait_and_none_is_lost(
    customer: Customer, switchboard: DynamoSwitchboard, shop: Shop
) -> None:
    switchboard.turn_on(Fault.EVENTS_LATE)

    def is_late(order: Order) -> bool:
        assert customer.follow(order)["state"] == "SHIPPED"
        return bool(_waiting(shop, order))

    order = one_that(customer, is_late)
    switchboard.turn_off(*Fault)

    wait_for(lambda: not _waiting(shop, order), HEALS_WITHIN, what="published events")


def test_given_a_browser_without_scripts_when_a_visitor_breaks_the_shop_then_the_pages_show_it_and_heal(
    shop: Shop, switchboard: DynamoSwitchboard
) -> None:
    with chromium() as browser:
        context = browser.new_context(viewport=WIDE, java_script_enabled=False)
        visitor = Visitor(context, shop.pages_url, sign_in=shop.emulator.endpoint)
        page = visitor.page
        page.get_by_role("link", name="Break the shop").click()
        page.get_by_role("main").get_by_role("link", name="Sign in").click()
        page.get_by_label("Username").fill("alice")
        page.get_by_label("Password").fill(identity.PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Switch on: Payment declined").click()
        expect(page.get_by_role("button", name="Switch off: Payment declined")).to_be_visible()

        def buys() -> None:
            visitor.opens(f"/catalog/{SKU}")
            page.get_by_role("button", name="Add to the basket").click()
            page.get_by_role("link", name="Check out").click()
            for field, value in ADDRESS.items():
                if field == "country":
                    page.locator("#country").select_option(value)
                else:
                    page.locator(f"#{field}").fill(value)
            page.locator("#tok_approve").check()
            page.get_by_role("button", name="Order and pay").click()

        def ends(text: str) -> None:
            path = page.url

            def has_ended() -> bool:
                page.goto(path)
                return page.get_by_text(text).is_visible()

            wait_for(has_ended)

        wait_for(lambda: visitor.opens("/basket").get_by_text("Faults that are on").is_visible())
        buys()
        ends("The payment was declined.")
        page.get_by_role("button", name="Undo all faults").click()
        assert switchboard.on() == frozenset()
        wait_for(lambda: not visitor.opens("/basket").get_by_text("Faults that are on").is_visible())
        buys()
        ends("Your parcel is on its way.")
        assert visitor.problems == []


def _waiting(shop: Shop, order: Order) -> list[Any]:
    """The records in the outbox of the order service about an order."""
    rows = shop.clients.dynamodb.scan(TableName=shop.outputs["order"]["Table"], ConsistentRead=True)["Items"]
    return [
        row for row in rows if row["pk"]["S"].startswith("OUTBOX#") and order["id"] in row["messages"]["S"]
    ]
