"""A customer at the gateway: waits for the shop, places one order and watches it. Standard library only."""

import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from shopdev.demo.console import DemoError

FINAL_STATES = frozenset({"SHIPPED", "REJECTED", "CANCELLED"})
NOT_YET = frozenset(
    {0, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE}
)
"""What a shop answers that is still coming up: nobody there, product not heard of, no pod behind the route."""
ADDRESS = {
    "name": "A new user",
    "line1": "1 Main Street",
    "city": "Berlin",
    "postal_code": "10115",
    "country": "DE",
}


class Customer:
    """One customer of one shop.

    Args:
        shop_url: where the gateway answers, e.g. `http://127.0.0.1:8000`.
        token: the access token that says who it is.
        timeout: seconds for one request.
    """

    def __init__(self, shop_url: str, token: str = "", timeout: float = 10.0) -> None:
        self.shop_url = shop_url.rstrip("/")
        self.authorization = {"Authorization": f"Bearer {token}"} if token else {}
        self.timeout = timeout

    def wait_for_catalogue(self, deadline: float) -> list[dict[str, Any]]:
        """Answer the first page of products, once there is one.

        Args:
            deadline: seconds to wait at most; the order service must know the prices too, so the first order may
                still have to be tried again (see `place`).

        Raises:
            DemoError: when the gateway does not answer with products in time.
        """
        end = time.monotonic() + deadline
        reason = "no response"
        while time.monotonic() < end:
            status, page = self._ask("GET", "/products?limit=20")
            if status == HTTPStatus.OK and page.get("items"):
                return list(page["items"])
            reason = f"status {status}: {json.dumps(page)[:200]}"
            time.sleep(0.2)
        raise DemoError(
            f"{self.shop_url}/products returned no products within {deadline:.0f} s ({reason}); "
            "check `kubectl -n shop get shopservices,pods`"
        )

    def place(
        self, sku: str, quantity: int = 1, paying_with: str = "tok_approve", postal_code: str = "10115"
    ) -> dict[str, Any]:
        """Place one order and answer its document.

        An order service that has not heard of the product yet answers 422; the facts travel in well under a second,
        so it is asked again for ten seconds. One Idempotency-Key for all tries: at most one order comes of it.

        Raises:
            DemoError: when the order is refused.
        """
        body = {
            "items": [{"sku": sku, "quantity": quantity}],
            "payment": {"token": paying_with},
            "shipping_address": {**ADDRESS, "postal_code": postal_code},
        }
        key = str(uuid.uuid4())
        end = time.monotonic() + 10
        while True:
            status, order = self._ask("POST", "/orders", body, {"Idempotency-Key": key})
            if status == HTTPStatus.ACCEPTED:
                return order
            if status not in NOT_YET or time.monotonic() > end:
                raise DemoError(f"POST {self.shop_url}/orders returned {status}: {json.dumps(order)}")
            time.sleep(0.3)

    def follow(self, order_id: str, deadline: float) -> Iterator[dict[str, Any]]:
        """Yield the order's timeline entries as they appear, until a final state.

        Raises:
            DemoError: when no final state is reached within `deadline` seconds.
        """
        end = time.monotonic() + deadline
        seen = 0
        while time.monotonic() < end:
            status, order = self._ask("GET", f"/orders/{order_id}")
            timeline = order.get("timeline", []) if status == HTTPStatus.OK else []
            yield from timeline[seen:]
            seen = max(seen, len(timeline))
            if order.get("state") in FINAL_STATES:
                return
            time.sleep(0.1)
        raise DemoError(
            f"order {order_id} did not reach a final state within {deadline:.0f} s; "
            "check `kubectl -n shop logs -l shopservice.dev/name --all-containers --prefix`"
        )

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """One request; status 0 when nobody answered."""
        request = urllib.request.Request(  # noqa: S310  the URL is the demo's own gateway
            self.shop_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **self.authorization, **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:  # noqa: S310  see above
                return answer.status, _document(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _document(error.read())
        except OSError as error:
            return 0, {"detail": str(error)}


def _document(raw: bytes) -> dict[str, Any]:
    try:
        document = json.loads(raw)
    except ValueError:
        return {"detail": raw[:200].decode(errors="replace")}
    return document if isinstance(document, dict) else {"detail": document}
