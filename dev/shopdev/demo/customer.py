"""A customer of a shop that has just been installed: waits for the catalog, places an order and follows it."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from shopdev.console import CommandError
from shopdev.customer import ENDS, Customer


class FirstCustomer(Customer):
    """The first customer, at a time when some services may not be ready yet."""

    not_yet = frozenset({*Customer.not_yet, httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE})
    """Also the responses of a gateway without a ready pod behind the route."""

    def wait_for_catalogue(self, deadline: float) -> list[dict[str, Any]]:
        """Wait for the first page of products.

        Args:
            deadline: most seconds to wait. The order service must know the prices too, so the first order may have to be
                tried again (see `place`).

        Raises:
            CommandError: when the gateway returns no products in time.
        """
        end = time.monotonic() + deadline
        reason = "no response"
        while time.monotonic() < end:
            answer = self._answer("/products?limit=20")
            if items := _document(answer).get("items"):
                return list(items)
            reason = f"status {answer.status_code}: {answer.text[:200]}"
            time.sleep(0.2)
        raise CommandError(
            f"{self.url}/products returned no products within {deadline:.0f} s ({reason}); "
            "check `kubectl -n shop get shopservices,pods`"
        )

    def timeline(self, order_id: str, deadline: float) -> Iterator[dict[str, Any]]:
        """Yield the order's timeline entries as they appear, until a final state.

        Raises:
            CommandError: when no final state is reached within `deadline` seconds.
        """
        end = time.monotonic() + deadline
        seen = 0
        while time.monotonic() < end:
            order = _document(self._answer(f"/orders/{order_id}"))
            entries = order.get("timeline", [])
            yield from entries[seen:]
            seen = max(seen, len(entries))
            if order.get("state") in ENDS:
                return
            time.sleep(0.1)
        raise CommandError(
            f"order {order_id} did not reach a final state within {deadline:.0f} s; "
            "check `kubectl -n shop logs -l shopservice.dev/name --all-containers --prefix`"
        )

    def post(self, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> httpx.Response:
        """The response to a request; 503 if there is none."""
        try:
            return super().post(path, body, **headers)
        except httpx.TransportError as error:
            return _unavailable(error)

    def _answer(self, path: str) -> httpx.Response:
        """The response to a GET; 503 if there is none."""
        try:
            return self.http.get(path)
        except httpx.TransportError as error:
            return _unavailable(error)


def _document(answer: httpx.Response) -> dict[str, Any]:
    """The document of a successful response; empty for others, such as the page of a load balancer without targets."""
    if answer.status_code != httpx.codes.OK:
        return {}
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _unavailable(error: httpx.TransportError) -> httpx.Response:
    return httpx.Response(httpx.codes.SERVICE_UNAVAILABLE, text=str(error))
