"""A customer of the shop: orders at the front door, and waits for what must happen."""

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
    """The shop answered otherwise than it must, or not in time."""


class Customer:
    """Orders at the front door.

    Args:
        url: the front door.
        token: the access token that says who it is.
    """

    not_yet: frozenset[int] = frozenset({httpx.codes.UNPROCESSABLE_ENTITY})
    """Answers to an order that are another one a moment later: the order service has not heard of the product yet."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(base_url=self.url, timeout=20, headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends its connections."""
        self.http.close()

    def get(self, path: str) -> Any:
        """The document at a path.

        Raises:
            Unexpected: when it is not there.
        """
        answer = self.http.get(path)
        if answer.status_code != httpx.codes.OK:
            raise Unexpected(f"GET {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def post(self, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> httpx.Response:
        """The answer to a request; `idempotency_key` becomes the header Idempotency-Key."""
        return self.http.post(
            path, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    def place(self, sku: str, quantity: int = 1, token: str = APPROVED, postal_code: str = "10115") -> Order:
        """A new order.

        The order service learns of products by facts, a moment after the catalogue was written: until then, 422.

        Raises:
            Unexpected: when it is not accepted.
        """
        body = wish(sku, quantity, token, postal_code)
        key = str(uuid.uuid4())
        end = time.monotonic() + FACTS_TRAVEL_SECONDS
        # One key for all tries: at most one order comes of it.
        while (
            answer := self.post("/orders", body, idempotency_key=key)
        ).status_code in self.not_yet and time.monotonic() < end:
            time.sleep(0.1)
        if answer.status_code != httpx.codes.ACCEPTED:
            raise Unexpected(f"POST /orders: {answer.status_code} {answer.text}")
        order: Order = answer.json()
        return order

    def order(self, order: Order) -> Order:
        """The order as it is now."""
        found: Order = self.get(f"/orders/{order['id']}")
        return found

    def follow(self, order: Order, deadline: float = 60) -> Order:
        """The order once it has ended.

        Raises:
            Unexpected: when it has not within `deadline` seconds.
        """
        found: Order = until(
            lambda: ended if (ended := self.order(order))["state"] in ENDS else None, deadline
        )
        return found

    def stock(self, sku: str) -> dict[str, int]:
        """{"available", "reserved", "sold"} of a product."""
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
    """What the condition answers, once that is true.

    Raises:
        Unexpected: when it is not within `deadline` seconds.
    """
    end = time.monotonic() + deadline
    while not (answer := condition()):
        if time.monotonic() > end:
            raise Unexpected(f"not within {deadline:.0f} s")
        time.sleep(0.05)
    return answer
