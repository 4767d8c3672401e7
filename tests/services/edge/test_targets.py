"""The routes of the API Gateway can point to functions, which find payment and shipping by Cloud Map."""

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from shopdev.cloudformation import stacks
from shopdev.customer import Customer, wish
from shopdev.ports import free_port
from shopdev.processes.shop import Shop
from tests.services.callers import bearer
from tests.shops import own_shop
from tests.waiting import wait_for

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(300)]

PREFIX = "fn"
BY_FUNCTION = ("product", "order")


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """A shop whose product and order APIs run only as functions. It has its own emulator, because each has one Cloud Map namespace."""
    targets = {name: "function" for name in stacks.document("api")["Parameters"] if name.endswith("Target")}
    # Without a port in the name, an instance's own counts: here every process has another one.
    urls = {
        f"{name.capitalize()}Url": f"cloudmap://{name}.{PREFIX}.internal" for name in ("payment", "shipping")
    }
    with own_shop(prefix=PREFIX, parameters={**targets, **urls}) as shop:
        shop.start()
        for service in BY_FUNCTION:
            shop.process(service).stop()
        yield shop


@pytest.fixture(scope="module")
def alice(shop: Shop) -> Iterator[Customer]:
    with Customer(shop.api_url, shop.token("alice")) as customer:
        yield customer


@pytest.fixture(scope="module")
def shipped(alice: Customer) -> str:
    """An order that was placed by the function, and shipped by the containers' workers."""
    sku = max(alice.catalogue(), key=lambda product: int(product["available"]))["sku"]
    order = alice.follow(alice.place(sku))
    assert order["state"] == "SHIPPED"
    return str(order["id"])


def register(shop: Shop, service: str, port: int) -> None:
    """Registers one address of a service in Cloud Map, and no other."""
    cloud_map, namespace = shop.clients.servicediscovery, shop.outputs["discovery"]["NamespaceId"]
    known = {each["Name"]: each["Id"] for each in cloud_map.list_services()["Services"]}
    if service not in known:
        known[service] = cloud_map.create_service(Name=service, NamespaceId=namespace)["Service"]["Id"]
    cloud_map.register_instance(
        ServiceId=known[service],
        InstanceId="the-one",
        CreatorRequestId=str(uuid.uuid4()),
        Attributes={"AWS_INSTANCE_IPV4": "127.0.0.1", "AWS_INSTANCE_PORT": str(port)},
    )


def details(alice: Customer, order: str) -> dict[str, Any]:
    found: dict[str, Any] = alice.get(f"/orders/{order}/details")
    return found


def test_given_no_running_containers_when_operations_are_called_through_the_api_then_the_functions_respond(
    shop: Shop, alice: Customer, shipped: str
) -> None:
    assert not any(shop.process(service).running for service in BY_FUNCTION)
    assert httpx.get(f"{shop.url}/products").status_code >= 500, "no service is behind the gateway"
    sku = alice.catalogue()[0]["sku"]
    assert alice.get(f"/products/{sku}")["sku"] == alice.get(f"/inventory/{sku}")["sku"] == sku
    assert shipped in [each["id"] for each in alice.get("/orders")["items"]]
    assert alice.post(f"/orders/{shipped}/cancel").status_code == 409


def test_given_no_token_or_a_forged_machine_header_when_a_function_is_called_then_it_rejects_the_request(
    shop: Shop, shipped: str
) -> None:
    pretended = {"X-Shop-Caller": "arn:aws:iam::000000000000:role/reports", "X-Shop-Gateway": ""}
    assert httpx.get(f"{shop.api_url}/orders/{shipped}", headers=pretended).status_code == 401
    bob = {**pretended, **bearer(shop.token("bob"))}
    assert httpx.get(f"{shop.api_url}/orders/{shipped}", headers=bob, timeout=20).status_code == 404
    reader = bearer(shop.token("bob", ["orders:read"])) | {"Idempotency-Key": str(uuid.uuid4())}
    placed = httpx.post(f"{shop.api_url}/orders", headers=reader, json=wish("BR-001"), timeout=20)
    assert placed.status_code == 403


def test_given_changing_addresses_in_cloud_map_when_details_are_requested_then_the_current_ones_are_used(
    shop: Shop, alice: Customer, shipped: str
) -> None:
    nowhere = details(alice, shipped)
    assert nowhere["order"]["id"] == shipped
    assert {each["part"] for each in nowhere["missing"]} == {"payment", "shipment"}
    assert all(each["reason"] for each in nowhere["missing"])

    register(shop, "payment", shop.programs["payment"].port)
    register(shop, "shipping", free_port())  # no service listens there
    found = wait_for(
        lambda: whole if (whole := details(alice, shipped))["payment"] else None, 30, what="the payment"
    )
    assert found is not None
    assert found["payment"]["state"] == "CHARGED"
    assert [each["part"] for each in found["missing"]] == ["shipment"]

    register(shop, "shipping", shop.programs["shipping"].port)
    whole = wait_for(
        lambda: whole if (whole := details(alice, shipped))["shipment"] else None, 30, what="the shipment"
    )
    assert whole is not None
    assert (whole["shipment"]["state"], whole["missing"]) == ("BOOKED", [])
