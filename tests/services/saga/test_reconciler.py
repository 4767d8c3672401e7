"""The reconciler finds orders that their workflow abandoned, and completes them."""

import os
import subprocess
import sys
import time
from typing import Any

import httpx
import orjson
import pytest

from shopdev import identity
from shopdev.checkout import ROOT
from shopdev.customer import Customer, until
from shopdev.processes.shop import Shop
from tests.services.saga.workflow import AFTER_THE_CHARGE, arn, impatient, visited

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(400)]


def reconcile(shop: Shop) -> dict[str, Any]:
    """Runs the command as the CronJob of the chart does, for orders of any age. Returns its metric."""
    tables = {
        f"{name.upper()}_TABLE": shop.outputs[name]["Table"] for name in ("payment", "product", "shipping")
    }
    done = subprocess.run(
        [sys.executable, "-m", "services.order.reconciler"],
        env={**shop.env("order"), **tables, "YOUNGEST_SECONDS": "0", "PORT": "0", "PATH": os.environ["PATH"]},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    metric: dict[str, Any] = orjson.loads(done.stdout.splitlines()[-1])
    assert metric["event"] == "reconciled", done.stdout + done.stderr
    assert done.returncode == (1 if metric["OrdersDisagreeing"] or metric["OrdersStandingStill"] else 0)
    return metric


def abort(shop: Shop, order: dict[str, Any]) -> None:
    """Aborts the workflow of the order, as an operator could."""
    shop.clients.stepfunctions.stop_execution(executionArn=arn(shop, order["id"]), cause="by hand")


def kept(customer: Customer, order: dict[str, Any]) -> int:
    payment = customer.get(f"/payments/{order['id']}")
    return int(payment["charged"]["amount"] - payment["refunded"]["amount"])


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_given_an_aborted_workflow_when_the_reconciler_runs_then_the_order_is_completed(
    shop: Shop, customer: Customer, sku: str, is_cancelled: bool
) -> None:
    before = customer.stock(sku)
    shop.process("payment-consumer").stop()
    order = customer.place(sku)
    until(lambda: customer.order(order)["state"] == "RESERVED")
    abort(shop, order)
    if is_cancelled:
        assert customer.post(f"/orders/{order['id']}/cancel").status_code == httpx.codes.ACCEPTED
        assert customer.order(order)["state"] == "CANCELLING"
    shop.process("payment-consumer").start()

    assert reconcile(shop)["OrdersResumed"] >= 1

    ended = customer.follow(order)
    assert ended["state"] == ("CANCELLED" if is_cancelled else "SHIPPED")
    assert kept(customer, order) == (0 if is_cancelled else order["total"]["amount"])
    changed = {name: value - before[name] for name, value in customer.stock(sku).items()}
    sold = 0 if is_cancelled else 1
    assert changed == {"available": -sold, "reserved": 0, "sold": sold}
    until(lambda: reconcile(shop)["OrdersWatched"] == 0)


@pytest.mark.parametrize(
    ("away", "repeated"),
    [("product-consumer", "ReserveStockAgain"), ("payment-consumer", "ChargePaymentAgain")],
)
def test_given_a_resumed_paid_order_when_an_outage_exceeds_the_timeout_of_unpaid_orders_then_it_is_shipped(
    shop: Shop, customer: Customer, sku: str, away: str, repeated: str
) -> None:
    before = customer.stock(sku)
    shop.process("shipping-consumer").stop()
    order = customer.place(sku)
    until(lambda: customer.order(order)["state"] == "PAID")
    shop.process(away).stop()
    abort(shop, order)
    shop.process("shipping-consumer").start()

    with impatient(shop) as seconds:
        assert reconcile(shop)["OrdersResumed"] == 1
        until(lambda: repeated in visited(shop, f"{order['id']}-2"))
        asked = time.monotonic()
        until(lambda: time.monotonic() - asked > 2 * seconds)
    assert customer.order(order)["state"] == "PAID"

    shop.process(away).start()
    assert [step["state"] for step in customer.follow(order)["timeline"]] == [
        "PENDING",
        "RESERVED",
        "PAID",
        "SHIPPED",
    ]
    assert kept(customer, order) == order["total"]["amount"]
    assert customer.stock(sku) == {
        **before,
        "available": before["available"] - 1,
        "sold": before["sold"] + 1,
    }
    until(lambda: reconcile(shop)["OrdersWatched"] == 0)


def test_given_a_charged_order_that_its_customer_cancelled_when_it_is_resumed_then_it_is_undone_and_refunded(
    shop: Shop, customer: Customer, sku: str
) -> None:
    before = customer.stock(sku)
    shop.process("payment-consumer").stop()
    order = customer.place(sku)
    until(lambda: "ChargePayment" in visited(shop, order["id"]))
    shop.process("order-consumer").stop()
    shop.process("payment-consumer").start()
    until(lambda: "ConfirmOrder" in visited(shop, order["id"]))
    assert kept(customer, order) == order["total"]["amount"]
    abort(shop, order)
    assert customer.post(f"/orders/{order['id']}/cancel").status_code == httpx.codes.ACCEPTED
    shop.process("order-consumer").start()

    assert reconcile(shop)["OrdersResumed"] == 1

    assert customer.follow(order)["state"] == "CANCELLED"
    assert kept(customer, order) == 0
    assert customer.stock(sku) == before
    until(lambda: reconcile(shop)["OrdersWatched"] == 0)


def test_given_an_order_whose_stock_is_being_sold_when_it_is_resumed_in_an_outage_then_it_is_not_undone(
    shop: Shop, customer: Customer, sku: str
) -> None:
    """The first execution sent CommitStock, so no later execution undoes the order, however long it waits."""
    before = customer.stock(sku)
    shop.process("shipping-consumer").stop()
    order = customer.place(sku)
    until(lambda: "CreateShipment" in visited(shop, order["id"]))
    shop.process("product-consumer").stop()
    shop.process("shipping-consumer").start()
    until(lambda: "CommitStock" in visited(shop, order["id"]))
    shop.process("payment-consumer").stop()
    abort(shop, order)

    with impatient(shop, AFTER_THE_CHARGE) as seconds:
        assert reconcile(shop)["OrdersResumed"] == 1
        resumed = time.monotonic()
        until(lambda: time.monotonic() - resumed > 3 * seconds)
    shop.process("product-consumer").start()
    until(lambda: customer.stock(sku)["sold"] == before["sold"] + 1)
    shop.process("payment-consumer").start()

    assert customer.follow(order)["state"] == "SHIPPED"
    assert kept(customer, order) == order["total"]["amount"]
    assert customer.stock(sku) == {
        **before,
        "available": before["available"] - 1,
        "sold": before["sold"] + 1,
    }
    until(lambda: reconcile(shop)["OrdersWatched"] == 0)


def test_given_an_execution_aborted_while_it_undid_an_order_when_the_order_is_resumed_then_it_is_undone(
    shop: Shop, customer: Customer, sku: str
) -> None:
    """StartCancelling of the aborted execution is delivered after the resumed execution has begun."""
    before = customer.stock(sku)
    with impatient(shop, AFTER_THE_CHARGE):
        shop.process("shipping-consumer").stop()
        shop.process("payment-consumer").stop()
        order = customer.place(sku)
        until(lambda: "ChargePayment" in visited(shop, order["id"]))
        shop.process("order-consumer").stop()
        shop.process("payment-consumer").start()
        until(lambda: "StartCancelling" in visited(shop, order["id"]))
    abort(shop, order)
    late = hold(shop, "order", "StartCancelling")
    shop.process("order-consumer").start()

    assert reconcile(shop)["OrdersResumed"] == 1
    until(lambda: {"CreateShipment", "CancelShipment"} & visited(shop, f"{order['id']}-2"))
    shop.clients.sqs.change_message_visibility(**late, VisibilityTimeout=0)
    until(lambda: customer.order(order)["state"] == "CANCELLING")
    shop.process("shipping-consumer").start()

    assert customer.follow(order)["state"] == "CANCELLED"
    assert kept(customer, order) == 0
    assert customer.stock(sku) == before
    until(lambda: reconcile(shop)["OrdersWatched"] == 0)


def hold(shop: Shop, service: str, task: str) -> dict[str, str]:
    """Receives the message of a task while no consumer runs, so that it is delivered only when it is made visible."""
    url = shop.outputs[service]["TasksQueueUrl"]

    def receive() -> dict[str, str] | None:
        received = shop.clients.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=300
        )
        for message in received.get("Messages", []):
            if orjson.loads(message["Body"])["task"] == task:
                return {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
        return None

    held: dict[str, str] = until(receive)
    return held


def test_given_an_undone_order_with_a_charged_payment_when_the_reconciler_runs_then_it_is_refunded(
    shop: Shop, customer: Customer, sku: str
) -> None:
    order = customer.follow(customer.place(sku))
    assert order["state"] == "SHIPPED"
    rejected = customer.follow(customer.place(sku, token="tok_decline"))
    payment = shop.clients.dynamodb.get_item(
        TableName=shop.outputs["payment"]["Table"],
        Key={"pk": {"S": f"PAYMENT#{rejected['id']}"}, "sk": {"S": "PAYMENT"}},
    )["Item"]
    shop.clients.dynamodb.put_item(
        TableName=shop.outputs["payment"]["Table"], Item={**payment, "state": {"S": "CHARGED"}}
    )

    assert reconcile(shop)["OrdersResumed"] == 1

    until(lambda: customer.get(f"/payments/{rejected['id']}")["state"] == "REFUNDED")
    until(lambda: reconcile(shop)["OrdersWatched"] == 0)


def test_given_a_shipped_order_with_a_refunded_payment_when_the_reconciler_runs_then_staff_sees_it_until_repaired(
    shop: Shop, customer: Customer, sku: str
) -> None:
    order = customer.follow(customer.place(sku))
    table, dynamodb = shop.outputs["payment"]["Table"], shop.clients.dynamodb
    key = {"pk": {"S": f"PAYMENT#{order['id']}"}, "sk": {"S": "PAYMENT"}}
    payment = dynamodb.get_item(TableName=table, Key=key)["Item"]
    dynamodb.put_item(TableName=table, Item={**payment, "state": {"S": "REFUNDED"}})

    with Customer(shop.api_url, shop.token("ops", identity.OPERATOR_SCOPES)) as staff:
        assert reconcile(shop)["OrdersDisagreeing"] == 1
        listed = staff.get("/orders/attention")
        dynamodb.put_item(TableName=table, Item=payment)
        assert reconcile(shop)["OrdersWatched"] == 1
        repaired = staff.get("/orders/attention")

    (item,) = listed["items"]
    assert (item["order_id"], item["finding"]) == (order["id"], "DISAGREEING")
    assert (item["order"]["state"], item["reason"]) == (
        "SHIPPED",
        "the order is SHIPPED, but its payment is REFUNDED",
    )
    assert repaired["items"] == []
    assert listed["checked_at"] < repaired["checked_at"]
