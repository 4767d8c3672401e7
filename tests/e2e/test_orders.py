"""One order on a real cluster, through the gateway, on its good way and on every bad one."""

import json
import uuid

from tests.e2e.actors import Cluster, Shop
from tests.waiting import wait_for


def test_given_an_approved_card_when_an_order_is_placed_then_it_is_paid_once_and_shipped(shop: Shop) -> None:
    product = shop.products()[1]
    before = shop.inventory(product["sku"])

    order = shop.finished(shop.place(product["sku"], 2))

    assert order["state"] == "SHIPPED"
    assert [entry["state"] for entry in order["timeline"]] == ["PENDING", "RESERVED", "PAID", "SHIPPED"]
    payment = shop.http.get(f"/payments/{order['id']}").json()
    assert payment["charged"] == order["total"]
    assert order["total"]["amount"] == 2 * product["price"]["amount"]
    assert shop.http.get(f"/shipments/{order['id']}").json()["tracking_number"]
    after = shop.inventory(product["sku"])
    assert (after["available"], after["sold"]) == (before["available"] - 2, before["sold"] + 2)


def test_given_a_declined_card_when_an_order_is_placed_then_it_is_rejected_and_the_stock_is_released(
    shop: Shop,
) -> None:
    sku = shop.products()[2]["sku"]
    before = shop.inventory(sku)

    order = shop.finished(shop.place(sku, 3, token="tok_decline"))

    assert order["state"] == "REJECTED"
    assert shop.inventory(sku) == before


def test_given_a_refused_shipment_when_an_order_is_placed_then_it_is_cancelled_and_refunded(
    shop: Shop,
) -> None:
    sku = shop.products()[3]["sku"]
    before = shop.inventory(sku)

    order = shop.finished(shop.place(sku, 1, postal_code="00000"))

    assert order["state"] == "CANCELLED"
    payment = shop.http.get(f"/payments/{order['id']}").json()
    assert payment["charged"] == payment["refunded"] == order["total"]
    assert shop.inventory(sku) == before


def test_given_an_idempotency_key_when_an_order_is_sent_twice_then_only_one_order_is_placed(
    shop: Shop,
) -> None:
    sku, key = shop.products()[4]["sku"], str(uuid.uuid4())

    first = shop.post_order(sku, key=key)
    again = shop.post_order(sku, key=key)
    other = shop.post_order(sku, 2, key=key)

    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 422)
    assert first.json()["id"] == again.json()["id"]


def test_given_placed_orders_when_the_payment_consumer_is_killed_then_every_order_is_charged_exactly_once(
    cluster: Cluster, shop: Shop
) -> None:
    sku = shop.products()[5]["sku"]
    before = shop.inventory(sku)

    orders = [shop.place(sku) for _ in range(3)]
    for pod in cluster.pods("payment", "worker-consumer"):
        cluster.kubectl("delete", "pod", "-n", "shop", pod["metadata"]["name"], "--grace-period=0", "--force")
    orders += [shop.place(sku) for _ in range(3)]

    finished = [shop.finished(order, deadline=180) for order in orders]
    assert {order["state"] for order in finished} == {"SHIPPED"}
    for order in finished:
        payment = shop.http.get(f"/payments/{order['id']}").json()
        assert payment["charged"] == order["total"], "charged exactly once"
    assert shop.inventory(sku)["sold"] == before["sold"] + len(orders)


def test_given_the_product_service_is_down_when_an_order_is_placed_then_it_is_accepted_and_shipped_later(
    cluster: Cluster, shop: Shop
) -> None:
    sku = shop.products()[6]["sku"]
    spec = cluster.get("shopservice", "product", "-n", "shop")["spec"]
    stopped = {"spec": {"replicas": 0, "autoscaling": None, "workers": None}}
    as_before = {"spec": {"replicas": None, **spec}}

    cluster.kubectl(
        "patch", "shopservice", "product", "-n", "shop", "--type=merge", "-p", json.dumps(stopped)
    )
    try:
        wait_for(lambda: shop.http.get("/products").status_code != 200, 60, what="product down")
        order = shop.place(sku)
    finally:
        cluster.kubectl(
            "patch", "shopservice", "product", "-n", "shop", "--type=merge", "-p", json.dumps(as_before)
        )

    assert shop.finished(order, deadline=180)["state"] == "SHIPPED"
    wait_for(lambda: shop.http.get("/products").status_code == 200, 60, what="product back")
