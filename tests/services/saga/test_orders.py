"""Orders through all processes of the shop, with every business failure."""

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from shopdev.customer import Customer, Unexpected, until, wish
from shopdev.processes.shop import Shop
from tests.services.saga.workflow import impatient, visited

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(400)]

CONCURRENT_ORDERS = 30
KILLS = 8
CONSUMERS = ("product-consumer", "order-consumer", "payment-consumer", "shipping-consumer", "order-relay")


def states(order: dict[str, Any]) -> list[str]:
    return [step["state"] for step in order["timeline"]]


def moved(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in before if after[name] != before[name]}


def kept(payment: dict[str, Any]) -> int:
    """The customer's money that the shop holds, in minor units."""
    charged, refunded = payment["charged"]["amount"], payment["refunded"]["amount"]
    assert isinstance(charged, int)
    assert isinstance(refunded, int)
    return charged - refunded


def book(shop: Shop) -> int:
    """The charged amounts in the ledger of the sandbox provider minus the refunded ones, in minor units."""
    return booked(shop, {"CHARGED": 1, "REFUNDED": -1})


def taken(shop: Shop) -> int:
    """The charged amounts in the same ledger, including refunded ones, in minor units."""
    return booked(shop, {"CHARGED": 1})


def booked(shop: Shop, sign: Mapping[str, int]) -> int:
    pages = shop.clients.dynamodb.get_paginator("scan").paginate(
        TableName=shop.outputs["payment"]["Table"],
        FilterExpression="begins_with(pk, :sandbox)",
        ExpressionAttributeValues={":sandbox": {"S": "SANDBOX#"}},
    )
    entries = [item["entry"]["M"] for page in pages for item in page["Items"]]
    return sum(
        sign[entry["what"]["S"]] * int(entry["amount"]["M"]["amount"]["N"])
        for entry in entries
        if entry["what"]["S"] in sign
    )


def test_given_available_stock_when_an_order_is_placed_then_it_is_shipped_and_charged_once(
    customer: Customer, sku: str
) -> None:
    before = customer.stock(sku)
    order = customer.follow(customer.place(sku, quantity=2))
    assert order["id"] == uuid.UUID(order["id"]).urn.removeprefix("urn:uuid:")
    assert states(order) == ["PENDING", "RESERVED", "PAID", "SHIPPED"]
    times = [step["at"] for step in order["timeline"]]
    assert times == sorted(times)
    payment = customer.get(f"/payments/{order['id']}")
    assert payment["charged"] == order["total"]
    assert kept(payment) == order["total"]["amount"]
    assert customer.get(f"/shipments/{order['id']}")["tracking_number"]
    assert moved(before, customer.stock(sku)) == {"available": -2, "sold": 2}


def test_given_a_declined_card_when_an_order_is_placed_then_it_is_rejected_and_its_stock_is_released(
    customer: Customer, sku: str
) -> None:
    before = customer.stock(sku)
    order = customer.follow(customer.place(sku, token="tok_decline"))
    assert order["state"] == "REJECTED"
    assert "PaymentDeclined" in order["timeline"][-1]["cause"]
    assert kept(customer.get(f"/payments/{order['id']}")) == 0
    assert moved(before, customer.stock(sku)) == {}


def test_given_an_address_that_the_carrier_refuses_when_an_order_is_placed_then_it_is_cancelled_and_refunded(
    customer: Customer, sku: str
) -> None:
    before = customer.stock(sku)
    order = customer.follow(customer.place(sku, postal_code="00000"))
    assert order["state"] == "CANCELLED"
    payment = customer.get(f"/payments/{order['id']}")
    assert payment["charged"] == payment["refunded"] == order["total"]
    assert moved(before, customer.stock(sku)) == {}


def test_given_a_carrier_that_responds_at_the_third_attempt_when_an_order_is_placed_then_it_is_shipped(
    customer: Customer, sku: str
) -> None:
    order = customer.follow(customer.place(sku, postal_code="99999"))
    assert order["state"] == "SHIPPED"


def test_given_a_lost_response_of_a_charge_when_an_order_is_placed_then_it_is_shipped_and_charged_once(
    shop: Shop, customer: Customer, sku: str
) -> None:
    before = book(shop)
    order = customer.follow(customer.place(sku, token="tok_charge_then_timeout"))
    assert order["state"] == "SHIPPED"
    assert kept(customer.get(f"/payments/{order['id']}")) == order["total"]["amount"]
    assert book(shop) - before == order["total"]["amount"]


def test_given_an_unresponsive_payment_provider_when_an_order_is_placed_then_no_money_or_stock_is_kept(
    customer: Customer, sku: str
) -> None:
    before = customer.stock(sku)
    order = customer.follow(customer.place(sku, token="tok_timeout"), deadline=90)
    assert order["state"] in {"REJECTED", "CANCELLED"}
    assert kept(customer.get(f"/payments/{order['id']}")) == 0
    assert moved(before, customer.stock(sku)) == {}


def test_given_too_little_stock_when_an_order_is_placed_then_it_is_rejected_and_not_charged(
    customer: Customer,
) -> None:
    scarce = min(customer.catalogue(), key=lambda product: product["available"])
    assert scarce["available"] < 99, "the catalogue has nothing scarce"
    before = customer.stock(scarce["sku"])
    order = customer.follow(customer.place(scarce["sku"], quantity=scarce["available"] + 1))
    assert order["state"] == "REJECTED"
    assert "OutOfStock" in order["timeline"][-1]["cause"]
    assert moved(before, customer.stock(scarce["sku"])) == {}


def test_given_one_idempotency_key_when_it_is_used_concurrently_then_one_order_is_placed(
    customer: Customer, sku: str
) -> None:
    customer.follow(customer.place(sku))  # the order service knows the product
    before = customer.stock(sku)
    key = str(uuid.uuid4())
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: customer.post("/orders", wish(sku), idempotency_key=key), range(4)))
    accepted = [answer for answer in answers if answer.status_code == httpx.codes.ACCEPTED]
    assert len({answer.json()["id"] for answer in accepted}) == 1
    assert {answer.status_code for answer in answers} <= {httpx.codes.ACCEPTED, httpx.codes.CONFLICT}

    again = customer.post("/orders", wish(sku), idempotency_key=key)
    assert again.status_code == httpx.codes.ACCEPTED
    assert again.content == accepted[0].content
    assert (
        customer.post("/orders", wish(sku, 2), idempotency_key=key).status_code
        == httpx.codes.UNPROCESSABLE_ENTITY
    )
    assert customer.post("/orders", wish(sku)).status_code == httpx.codes.BAD_REQUEST

    assert customer.follow(again.json())["state"] == "SHIPPED"
    assert moved(before, customer.stock(sku)) == {"available": -1, "sold": 1}


def test_given_a_killed_payment_consumer_when_it_restarts_then_the_order_is_completed(
    shop: Shop, customer: Customer, sku: str
) -> None:
    shop.kill("payment-consumer")
    order = customer.place(sku)
    until(lambda: customer.order(order)["state"] == "RESERVED")
    shop.process("payment-consumer").start()
    finished = customer.follow(order)
    assert finished["state"] == "SHIPPED"
    assert kept(customer.get(f"/payments/{order['id']}")) == order["total"]["amount"]


def test_given_an_unconfirmed_order_when_it_is_cancelled_then_it_is_undone(
    shop: Shop, customer: Customer, sku: str
) -> None:
    before = customer.stock(sku)
    shop.process("payment-consumer").stop()
    order = customer.place(sku)
    until(lambda: customer.order(order)["state"] == "RESERVED")
    assert customer.post(f"/orders/{order['id']}/cancel").status_code == httpx.codes.ACCEPTED
    shop.process("payment-consumer").start()
    undone = customer.follow(order)
    assert undone["state"] == "CANCELLED"
    assert kept(customer.get(f"/payments/{order['id']}")) == 0
    assert moved(before, customer.stock(sku)) == {}


def test_given_a_charge_that_waits_in_its_queue_when_the_order_is_cancelled_then_no_money_is_ever_charged(
    shop: Shop, customer: Customer, sku: str
) -> None:
    before, money_before = customer.stock(sku), taken(shop)
    shop.process("payment-consumer").stop()
    order = customer.place(sku)
    until(lambda: "ChargePayment" in visited(shop, order["id"]))
    assert customer.post(f"/orders/{order['id']}/cancel").status_code == httpx.codes.ACCEPTED
    shop.process("payment-consumer").start()
    undone = customer.follow(order)
    assert states(undone) == ["PENDING", "RESERVED", "CANCELLING", "CANCELLED"]
    assert {step["cause"] for step in undone["timeline"][2:]} == {"cancelled by the customer"}
    assert customer.get(f"/payments/{order['id']}")["charged"]["amount"] == 0
    assert taken(shop) == money_before
    assert moved(before, customer.stock(sku)) == {}


def test_given_a_shipped_order_when_it_is_cancelled_then_the_request_conflicts(
    customer: Customer, sku: str
) -> None:
    order = customer.follow(customer.place(sku))
    assert customer.post(f"/orders/{order['id']}/cancel").status_code == httpx.codes.CONFLICT
    assert customer.order(order)["state"] == "SHIPPED"


def test_given_an_unavailable_product_service_when_an_order_is_placed_then_it_is_accepted_and_shipped_later(
    shop: Shop, customer: Customer, sku: str
) -> None:
    customer.follow(customer.place(sku))  # the order service knows the product
    shop.kill("product")
    shop.kill("product-consumer")
    order = customer.place(sku)
    assert order["state"] == "PENDING"
    shop.process("product-consumer").start()
    assert customer.follow(order)["state"] == "SHIPPED"


@pytest.fixture
def impatience(shop: Shop) -> Iterator[int]:
    """The timeout of the workflow for a task before the charge, in seconds."""
    with impatient(shop) as seconds:
        yield seconds


@pytest.mark.usefixtures("impatience")
def test_given_a_payment_outage_beyond_the_workflow_timeout_when_it_ends_then_no_money_or_stock_is_kept(
    shop: Shop, customer: Customer, sku: str
) -> None:
    """The charge is delivered late, before or after the refund that the workflow requested in the meantime."""
    before, money_before = customer.stock(sku), book(shop)
    shop.process("payment-consumer").stop()
    order = customer.place(sku)
    until(lambda: "RefundPayment" in visited(shop, order["id"]))
    shop.process("payment-consumer").start()
    undone = customer.follow(order)
    assert undone["state"] in {"REJECTED", "CANCELLED"}
    assert kept(customer.get(f"/payments/{order['id']}")) == 0
    assert book(shop) == money_before
    assert moved(before, customer.stock(sku)) == {}


def test_given_a_shipping_outage_beyond_the_timeout_of_unpaid_orders_when_it_ends_then_a_paid_order_ships(
    shop: Shop, customer: Customer, sku: str, impatience: int
) -> None:
    shop.process("shipping-consumer").stop()
    order = customer.place(sku)
    until(lambda: "CreateShipment" in visited(shop, order["id"]))
    asked = time.monotonic()
    until(lambda: time.monotonic() - asked > 2 * impatience)
    assert customer.order(order)["state"] == "PAID"
    shop.process("shipping-consumer").start()
    finished = customer.follow(order)
    assert states(finished) == ["PENDING", "RESERVED", "PAID", "SHIPPED"]
    assert kept(customer.get(f"/payments/{order['id']}")) == order["total"]["amount"]


def test_given_a_refused_parcel_when_its_refund_is_delayed_then_the_order_is_cancelling_with_the_cause(
    shop: Shop, customer: Customer, sku: str
) -> None:
    shop.process("shipping-consumer").stop()
    order = customer.place(sku, postal_code="00000")
    until(lambda: customer.order(order)["state"] == "PAID")
    shop.process("payment-consumer").stop()
    shop.process("shipping-consumer").start()
    turned = until(lambda: found if (found := customer.order(order))["state"] == "CANCELLING" else None)
    assert "ShipmentRefused" in turned["timeline"][-1]["cause"]
    assert turned["cancel_requested_at"] is None
    cancelled = customer.post(f"/orders/{order['id']}/cancel")
    assert cancelled.status_code == httpx.codes.ACCEPTED
    shop.process("payment-consumer").start()
    assert customer.follow(order)["state"] == "CANCELLED"


def test_given_an_order_cancelled_before_its_charge_when_the_workflow_continues_then_nothing_is_charged(
    shop: Shop, customer: Customer, sku: str
) -> None:
    before = customer.stock(sku)
    shop.process("product-consumer").stop()
    order = customer.place(sku)
    assert customer.post(f"/orders/{order['id']}/cancel").status_code == httpx.codes.ACCEPTED
    assert customer.order(order)["state"] == "CANCELLING"
    shop.process("product-consumer").start()
    assert states(customer.follow(order, deadline=120))[-2:] == ["CANCELLING", "CANCELLED"]
    with pytest.raises(Unexpected, match="404"):
        customer.get(f"/payments/{order['id']}")
    assert moved(before, customer.stock(sku)) == {}


class Mischief:
    """Kills consumers and the relay one after the other, and starts them again.

    Args:
        shop: whose.
        kills: how many times.
        seed: of the choice and of the pauses, so that a failure can be tried again.
    """

    def __init__(self, shop: Shop, kills: int, seed: int) -> None:
        self._shop = shop
        self._kills = kills
        self._random = random.Random(seed)  # noqa: S311  mischief, not a secret
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        for _ in range(self._kills):
            name = self._random.choice(CONSUMERS)
            time.sleep(self._random.uniform(0.2, 0.8))
            self._shop.kill(name)
            self._shop.process(name).start()


def test_given_many_orders_of_every_kind_when_processes_are_killed_then_no_money_and_no_stock_is_lost(
    shop: Shop, customer: Customer
) -> None:
    products = customer.catalogue()[:5]
    before = {product["sku"]: customer.stock(product["sku"]) for product in products}
    money_before = book(shop)
    kinds = [
        {"token": "tok_approve"},
        {"token": "tok_approve"},
        {"token": "tok_decline"},
        {"token": "tok_charge_then_timeout"},
        {"postal_code": "00000"},
    ]

    def place(number: int) -> dict[str, Any]:
        kind = kinds[number % len(kinds)]
        return customer.place(products[number % 4]["sku"], quantity=1 + number % 3, **kind)

    with Mischief(shop, KILLS, seed=7), ThreadPoolExecutor(8) as pool:
        placed = list(pool.map(place, range(CONCURRENT_ORDERS)))
    ended = [customer.follow(order, deadline=240) for order in placed]

    shipped = [order for order in ended if order["state"] == "SHIPPED"]
    assert shipped
    for order in ended:
        payment = customer.get(f"/payments/{order['id']}")
        due = order["total"]["amount"] if order["state"] == "SHIPPED" else 0
        assert kept(payment) == due, f"{order['id']} is {order['state']}"
    assert book(shop) - money_before == sum(order["total"]["amount"] for order in shipped)
    sold = Counter[str]()
    for order in shipped:
        for item in order["items"]:
            sold[item["sku"]] += item["quantity"]
    for sku, start in before.items():
        now = customer.stock(sku)
        assert now["reserved"] == start["reserved"], sku
        assert now["sold"] - start["sold"] == sold[sku], sku
        assert sum(now.values()) == sum(start.values()), sku
