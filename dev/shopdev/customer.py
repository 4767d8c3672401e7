"""A customer of the shop, who places orders and waits for their progress."""

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Self

import httpx

from shopdev.console import CommandError

ENDS = frozenset({"SHIPPED", "REJECTED", "CANCELLED"})
ADDRESS = {"name": "N", "line1": "Main Street 1", "city": "Berlin", "postal_code": "10115", "country": "DE"}
FACTS_TRAVEL_SECONDS = 15

APPROVED = "tok_approve"

Order = dict[str, Any]


class Unexpected(CommandError):
    """The shop returned an unexpected response, or none in time."""


class Customer:
    """A customer with an access token.

    Args:
        url: URL of the shop.
        token: access token of the customer.
    """

    not_yet: frozenset[int] = frozenset({httpx.codes.UNPROCESSABLE_ENTITY})
    """Responses to an order that may change soon, because the order service does not know the product yet."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(base_url=self.url, timeout=20, headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def get(self, path: str) -> Any:
        """The document at a path.

        Raises:
            Unexpected: when the response is an error.
        """
        answer = self.http.get(path)
        if answer.status_code != httpx.codes.OK:
            raise Unexpected(f"GET {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def post(self, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> httpx.Response:
        """The response to a request; `idempotency_key` becomes the header Idempotency-Key."""
        return self.http.post(
            path, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    def place(self, sku: str, quantity: int = 1, token: str = APPROVED, postal_code: str = "10115") -> Order:
        """Place an order.

        The order service learns of products from events, shortly after the catalogue was written. Until then it returns 422, and
        the order is tried again.

        Raises:
            Unexpected: when it is not accepted.
        """
        body = wish(sku, quantity, token, postal_code)
        key = str(uuid.uuid4())
        end = time.monotonic() + FACTS_TRAVEL_SECONDS
        # One key for all attempts creates at most one order.
        while (
            answer := self.post("/orders", body, idempotency_key=key)
        ).status_code in self.not_yet and time.monotonic() < end:
            time.sleep(0.1)
        if answer.status_code != httpx.codes.ACCEPTED:
            raise Unexpected(f"POST /orders: {answer.status_code} {answer.text}")
        order: Order = answer.json()
        return order

    def order(self, order: Order) -> Order:
        """The current order."""
        found: Order = self.get(f"/orders/{order['id']}")
        return found

    def follow(self, order: Order, deadline: float = 60) -> Order:
        """Wait for a final state and return the order.

        Raises:
            Unexpected: when it reaches none within `deadline` seconds.
        """
        found: Order = until(
            lambda: ended if (ended := self.order(order))["state"] in ENDS else None, deadline
        )
        return found

    def stock(self, sku: str) -> dict[str, int]:
        """The stock of a product: {"available", "reserved", "sold"}."""
        found = self.get(f"/inventory/{sku}")
        return {name: found[name] for name in ("available", "reserved", "sold")}

    def catalogue(self) -> list[dict[str, Any]]:
        """Every product, page by page."""
        products: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.get(f"/products?limit=20{cursor}")
            products += page["items"]
            if page["next"] is None:
                return products
            cursor = f"&cursor={page['next']}"


def wish(sku: str, quantity: int = 1, token: str = APPROVED, postal_code: str = "10115") -> Order:
    """The body of POST /orders."""
    return {
        "items": [{"sku": sku, "quantity": quantity}],
        "payment": {"token": token},
        "shipping_address": {**ADDRESS, "postal_code": postal_code},
    }


def until(condition: Callable[[], Any], deadline: float = 30) -> Any:
    """Wait until the result of the condition is true, and return it.

    Raises:
        Unexpected: when it is not true within `deadline` seconds.
    """
    end = time.monotonic() + deadline
    while not (answer := condition()):
        if time.monotonic() > end:
            raise Unexpected(f"not within {deadline:.0f} s")
        time.sleep(0.05)
    return answer
