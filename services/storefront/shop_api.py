"""The products and orders of the shop, from its public API over HTTP."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import httpx
import orjson

from services.common.faults.switches import Fault
from services.common.http import outgoing
from services.common.telemetry import logs
from services.common.values.errors import NotFound, RuleBroken, Unavailable
from services.common.values.money import Money
from services.storefront.domain import (
    Address,
    AttentionItem,
    AttentionPage,
    DeadLetter,
    DeadLetters,
    Finding,
    Inventory,
    NewOrder,
    Order,
    OrderDetails,
    OrderLine,
    OrderPage,
    Product,
    ProductPage,
    Redriven,
    State,
    Step,
)
from services.storefront.ports import NotPermitted, Refused, SignedOut, TooLateToCancel, TotalChanged

log = logs.logger(__name__)

Parsed = TypeVar("Parsed")
Document = Mapping[str, Any]
ORDERS_LISTED = 20
# After a double click, the second request may arrive before the first one is answered. The next attempt gets its answer.
_PAUSES_IN_FLIGHT = (0.1, 0.3, 1.0)
_REFUSALS = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)


class _Api:
    """Requests to the API, with one error for each way in which it can fail.

    Args:
        url: base URL.
        timeout: seconds within which a response must be complete.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._http = outgoing.client(timeout)

    def get(self, path: str, token: str = "") -> tuple[int, Document]:
        """The status and the document of a resource."""
        return self.send("GET", path, token)

    def send(self, method: str, path: str, token: str) -> tuple[int, Document]:
        """The status and the document of the response to a request without content."""
        return self._send(method, path, _authorization(token))

    def post(
        self, path: str, token: str, body: Document | None = None, key: str | None = None
    ) -> tuple[int, Document]:
        """The status and the document of the response to a request."""
        headers = _authorization(token)
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        return self._send("POST", path, headers, None if body is None else orjson.dumps(body))

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> tuple[int, Document]:
        try:
            received = outgoing.exchange(
                self._http,
                method,
                f"{self._url}{path}",
                timeout=self._timeout,
                headers=headers,
                content=content,
            )
        except (httpx.TransportError, httpx.DecodingError) as error:
            log.warning("api_not_reached", method=method, error=repr(error))
            raise Unavailable("the shop does not respond") from error
        if received.status == HTTPStatus.UNAUTHORIZED:
            raise SignedOut
        if received.status == HTTPStatus.FORBIDDEN:
            raise NotPermitted
        if (
            received.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            or received.status == HTTPStatus.TOO_MANY_REQUESTS
        ):
            log.warning("api_failed", method=method, status=received.status)
            raise Unavailable("the shop does not respond")
        return received.status, _document(received.body)


class ApiCatalog:
    """The products of the shop, as `ports.Catalog`.

    Args:
        url: base URL of the API.
        timeout: seconds within which a response must be complete.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._api = _Api(url, timeout)

    def search(self, words: str, category: str | None, cursor: str | None, limit: int) -> ProductPage:
        """As `ports.Catalog.search`."""
        given = {"q": words, "category": category, "cursor": cursor, "limit": str(limit)}
        query = urlencode({name: value for name, value in given.items() if value})
        status, found = self._api.get(f"/products?{query}")
        if status == HTTPStatus.BAD_REQUEST:
            raise RuleBroken("this page of the catalog does not exist")
        return _read(
            found, status, lambda: ProductPage(tuple(map(_product, found["items"])), _cursor(found["next"]))
        )

    def product(self, sku: str) -> Product | None:
        """As `ports.Catalog.product`."""
        status, found = self._api.get(f"/products/{quote(sku, safe='')}")
        return None if _is_absent(status) else _read(found, status, lambda: _product(found))

    def inventory(self, sku: str) -> Inventory | None:
        """As `ports.Catalog.inventory`."""
        status, found = self._api.get(f"/inventory/{quote(sku, safe='')}")
        if _is_absent(status):
            return None
        return _read(
            found,
            status,
            lambda: Inventory(
                str(found["sku"]), int(found["available"]), int(found["reserved"]), int(found["sold"])
            ),
        )


class ApiOrders:
    """The orders of the shop, as `ports.Orders`.

    Args:
        url: base URL of the API.
        timeout: seconds within which a response must be complete.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._api = _Api(url, timeout)

    def place(self, token: str, order: NewOrder) -> str:
        """As `ports.Orders.place`."""
        body = {
            "items": [{"sku": sku, "quantity": quantity} for sku, quantity in order.quantities.items()],
            "payment": {"token": order.payment_token},
            "expected_total": order.total.to_dict(),
            "shipping_address": {
                "name": order.address.name,
                "line1": order.address.line1,
                "city": order.address.city,
                "postal_code": order.address.postal_code,
                "country": order.address.country,
            },
        }
        status, answer = self._api.post("/orders", token, body, order.key)
        for pause in _PAUSES_IN_FLIGHT:
            if not _is_in_flight(status, answer):
                break
            time.sleep(pause)
            status, answer = self._api.post("/orders", token, body, order.key)
        if _is_in_flight(status, answer):
            raise Unavailable("the order is being placed")
        if status == HTTPStatus.CONFLICT:
            raise TotalChanged(_read(answer, HTTPStatus.OK, lambda: Money.from_dict(answer["total"])))
        if status in _REFUSALS:
            raise Refused(str(answer.get("detail", "")))
        return _read(answer, status, lambda: str(answer["id"]), HTTPStatus.ACCEPTED)

    def page(self, token: str, cursor: str | None) -> OrderPage:
        """As `ports.Orders.page`."""
        query = urlencode({"limit": ORDERS_LISTED, **({"cursor": cursor} if cursor else {})})
        status, found = self._api.get(f"/orders?{query}", token)
        if status == HTTPStatus.BAD_REQUEST:
            raise RuleBroken("this page of orders does not exist")
        return _read(
            found, status, lambda: OrderPage(tuple(map(_order, found["items"])), _cursor(found["next"]))
        )

    def find(self, token: str, order_id: str) -> Order | None:
        """As `ports.Orders.find`."""
        status, found = self._api.get(f"/orders/{quote(order_id, safe='')}", token)
        return None if _is_absent(status) else _read(found, status, lambda: _order(found))

    def details(self, token: str, order_id: str) -> OrderDetails | None:
        """As `ports.Orders.details`."""
        status, found = self._api.get(f"/orders/{quote(order_id, safe='')}/details", token)
        if _is_absent(status):
            return None
        return _read(
            found,
            status,
            lambda: OrderDetails(
                _order(found["order"]),
                Money.from_dict(found["payment"]["charged"]) if found["payment"] else None,
                Money.from_dict(found["payment"]["refunded"]) if found["payment"] else None,
                frozenset(str(each["part"]) for each in found["missing"]),
            ),
        )

    def cancel(self, token: str, order_id: str) -> None:
        """As `ports.Orders.cancel`."""
        status, answer = self._api.post(f"/orders/{quote(order_id, safe='')}/cancel", token)
        if _is_absent(status):
            raise NotFound("the order does not exist")
        if status == HTTPStatus.CONFLICT:
            raise TooLateToCancel("the order can no longer be cancelled")
        _read(answer, status, lambda: None, HTTPStatus.ACCEPTED)


class ApiFaults:
    """The fault switchboard, as `ports.Switches`, from the API of the order service.

    Args:
        url: base URL of the order service.
        timeout: seconds within which a response must be complete.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._api = _Api(url, timeout)

    def on(self) -> frozenset[Fault]:
        """As `ports.Switches.on`. Faults of another version are ignored."""
        return self._read(*self._api.get("/faults"))

    def turn_on(self, token: str, fault: Fault) -> None:
        """As `ports.Switches.turn_on`."""
        self._read(*self._api.send("PUT", f"/faults/{fault}", token))

    def turn_off(self, token: str, fault: Fault) -> None:
        """As `ports.Switches.turn_off`."""
        self._read(*self._api.send("DELETE", f"/faults/{fault}", token))

    def undo_all(self, token: str) -> None:
        """As `ports.Switches.undo_all`."""
        self._read(*self._api.send("DELETE", "/faults", token))

    @staticmethod
    def _read(status: int, found: Document) -> frozenset[Fault]:
        on = _read(found, status, lambda: {str(each["key"]) for each in found["items"] if each["on"]})
        return frozenset(fault for fault in Fault if fault.value in on)


class ApiStaff:
    """The view of staff on the shop, as `ports.Staff`.

    Args:
        url: base URL of the API.
        timeout: seconds within which a response must be complete.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._api = _Api(url, timeout)

    def attention(self, token: str, cursor: str | None) -> AttentionPage:
        """As `ports.Staff.attention`."""
        query = urlencode({"limit": ORDERS_LISTED, **({"cursor": cursor} if cursor else {})})
        status, found = self._api.get(f"/orders/attention?{query}", token)
        if status == HTTPStatus.BAD_REQUEST:
            raise RuleBroken("this page of orders does not exist")
        return _read(
            found,
            status,
            lambda: AttentionPage(
                tuple(map(_attention, found["items"])), _cursor(found["next"]), _time(found["checked_at"])
            ),
        )

    def dead_letters(self, token: str, service: str) -> DeadLetters:
        """As `ports.Staff.dead_letters`."""
        status, found = self._api.get(f"/dead-letters/{service}", token)
        return _read(
            found, status, lambda: DeadLetters(tuple(map(_letter, found["items"])), int(found["total"]))
        )

    def redrive(self, token: str, service: str, letter_id: str | None) -> Redriven:
        """As `ports.Staff.redrive`."""
        body = {"all": True} if letter_id is None else {"ids": [letter_id]}
        status, answer = self._api.post(f"/dead-letters/{service}/redrive", token, body)
        if status == HTTPStatus.BAD_REQUEST:
            raise RuleBroken("this dead letter does not exist")
        return _read(answer, status, lambda: Redriven(len(answer["redriven"]), len(answer["missing"])))


def _authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _is_in_flight(status: int, answer: Document) -> bool:
    """Whether another request with the same Idempotency-Key is still being processed."""
    return status == HTTPStatus.CONFLICT and "total" not in answer


def _is_absent(status: int) -> bool:
    return status in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}


def _document(body: bytes) -> Document:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _read(
    document: Document, status: int, parse: Callable[[], Parsed], expected: HTTPStatus = HTTPStatus.OK
) -> Parsed:
    """The content of a document.

    Raises:
        Unavailable: it is not such a document: something other than the shop has answered, or another version of it.
    """
    if status != expected:
        log.warning("api_answer_unexpected", status=status)
        raise Unavailable("the shop does not respond as expected")
    try:
        return parse()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        log.warning(
            "api_answer_unreadable", error=type(error).__name__, members=sorted(map(str, document))[:20]
        )
        raise Unavailable("the shop does not respond as expected") from error


def _cursor(given: Any) -> str | None:
    return None if given is None else str(given)


def _product(found: Document) -> Product:
    return Product(
        str(found["sku"]),
        str(found["name"]),
        str(found["category"]),
        Money.from_dict(found["price"]),
        int(found["available"]),
    )


def _order(found: Document) -> Order:
    address = found.get("shipping_address")
    tracking_number = found.get("tracking_number")
    return Order(
        id=str(found["id"]),
        state=State(found["state"]),
        lines=tuple(
            OrderLine(
                str(line["sku"]), str(line["name"]), int(line["quantity"]), Money.from_dict(line["price"])
            )
            for line in found["items"]
        ),
        total=Money.from_dict(found["total"]),
        created_at=datetime.fromisoformat(found["created_at"]),
        timeline=tuple(
            Step(State(step["state"]), datetime.fromisoformat(step["at"]), str(step["cause"]))
            for step in found.get("timeline", ())
        ),
        address=Address(**{name: str(address[name]) for name in Address.__dataclass_fields__})
        if address
        else None,
        tracking_number=None if tracking_number is None else str(tracking_number),
    )


def _time(given: Any) -> datetime | None:
    return None if given is None else datetime.fromisoformat(given)


def _attention(found: Document) -> AttentionItem:
    order = found["order"]
    return AttentionItem(
        str(found["order_id"]),
        Finding(found["finding"]),
        str(found["reason"]),
        datetime.fromisoformat(found["since"]),
        None if order is None else State(order["state"]),
    )


def _letter(found: Document) -> DeadLetter:
    order_id = found["order_id"]
    return DeadLetter(
        str(found["id"]),
        str(found["queue"]),
        str(found["kind"]),
        None if order_id is None else str(order_id),
        datetime.fromisoformat(found["sent_at"]),
        int(found["deliveries"]),
        str(found["cause"]),
        str(found["body"]),
    )
