"""The smoke test after a deployment: the cluster runs exactly this image, and an order is shipped."""

import os
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from kubernetes import client, config

from shopdev.console import say
from shopdev.delivery.delivery import Delivery, DeliveryError
from shopdev.demo.customer import FirstCustomer

SCOPES = "shop/orders:read shop/orders:write"
POLL_SECONDS = 0.5


def rolled_out(delivery: Delivery, namespace: str, seconds: float) -> None:
    """Wait until the ShopService runs the image of this delivery and is ready.

    Raises:
        DeliveryError: when it does not become ready; includes the messages of its conditions.
    """
    find = _shopservices(namespace)
    end = time.monotonic() + seconds
    state = "the operator has not reported a status yet"
    while time.monotonic() < end:
        found = find(delivery.service)
        if not found["spec"]["image"].endswith(f"@{delivery.fact('digest')}"):
            raise DeliveryError(
                f"ShopService {namespace}/{delivery.service} has image {found['spec']['image']}, not that of this delivery"
            )
        conditions = _conditions(found)
        if conditions.get("Ready", {}).get("status") == "True":
            say(f"ShopService {namespace}/{delivery.service} is ready with {delivery.fact('digest')}")
            return
        if conditions:
            state = "; ".join(
                f"{kind}={each['status']} {each.get('message', '')}" for kind, each in conditions.items()
            )
        if conditions.get("Stalled", {}).get("status") == "True":
            raise DeliveryError(f"ShopService {namespace}/{delivery.service} is stalled: {state}")
        time.sleep(POLL_SECONDS)
    raise DeliveryError(
        f"ShopService {namespace}/{delivery.service} is not ready after {seconds:.0f} s: {state}"
    )


def order(url: str, seconds: float, env: Mapping[str, str] = os.environ) -> None:
    """Place one order and follow it until it is shipped.

    Raises:
        DeliveryError: when it reaches another final state, or none in time.
    """
    customer = FirstCustomer(url, token(env))
    product = env.get("SMOKE_SKU") or customer.wait_for_catalogue(deadline=60)[0]["sku"]
    placed = customer.place(product)
    states = [entry["state"] for entry in customer.timeline(placed["id"], deadline=seconds)]
    if states[-1:] != ["SHIPPED"]:
        raise DeliveryError(f"order {placed['id']} did not reach SHIPPED at {url}: {' → '.join(states)}")
    say(f"order {placed['id']}: {' → '.join(states)}")


def token(env: Mapping[str, str]) -> str:
    """An access token: SHOP_TOKEN, or one for the client of the smoke test; empty if neither is set.

    The client uses client credentials (RFC 6749, section 4.4): TOKEN_URL, SMOKE_CLIENT_ID and SMOKE_CLIENT_SECRET.

    Raises:
        DeliveryError: when the client gets no token.
    """
    if given := env.get("SHOP_TOKEN"):
        return given
    if not env.get("SMOKE_CLIENT_ID"):
        return ""
    try:
        answer = httpx.post(
            env["TOKEN_URL"],
            content=urllib.parse.urlencode({"grant_type": "client_credentials", "scope": SCOPES}),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            auth=(env["SMOKE_CLIENT_ID"], env["SMOKE_CLIENT_SECRET"]),
        )
    except httpx.HTTPError as error:
        raise DeliveryError(f"no token: {env['TOKEN_URL']}: {error}") from error
    if not answer.is_success:
        raise DeliveryError(f"no token: {env['TOKEN_URL']} returned {answer.status_code} {answer.text[:200]}")
    return str(answer.json()["access_token"])


def _shopservices(namespace: str) -> Callable[[str], dict[str, Any]]:
    config.load_kube_config()
    api: Any = client.CustomObjectsApi()

    def find(name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = api.get_namespaced_custom_object(
                "shopservice.dev", "v1alpha1", namespace, "shopservices", name
            )
        except client.ApiException as error:
            raise DeliveryError(f"ShopService {namespace}/{name}: {error.status} {error.reason}") from error
        return found

    return find


def _conditions(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The conditions, if the operator has observed the current generation of the ShopService; otherwise none."""
    status = found.get("status", {})
    if status.get("observedGeneration") != found["metadata"]["generation"]:
        return {}
    return {each["type"]: each for each in status.get("conditions", [])}
