"""The HTTP API of the order service: schemas of requests and responses, and the handler of each operation."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from flask import Flask, Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from services.common.http import auth, cursor, web
from services.common.http.auth import Verifier
from services.common.http.errors import InvalidRequest
from services.common.http.idempotency import Answer, IdempotencyStore, KeyedRequest, fingerprint
from services.common.telemetry import logs
from services.common.values import clock
from services.common.values.countries import CODES
from services.common.values.money import Money
from services.order import handlers
from services.order.domain import LARGEST_QUANTITY, Address, Item, Order, State
from services.order.handlers import PlaceOrder
from services.order.ports import Findings, Orders, Products, RelatedResources
from services.order.reconciliation import Finding, FindingKind

VERSION = "1.0.0"
MOST_ITEMS = 50
MOST_LISTED, USUALLY_LISTED = 100, 20

TAG = Tag(name="orders", description="Place, track and cancel orders")


def _known_country(code: str) -> str:
    if code not in CODES:
        raise ValueError("not an ISO 3166-1 alpha-2 code such as DE")
    return code


class _Closed(BaseModel):
    """Base of request schemas. Unknown members are rejected, so that a misspelled member is not ignored."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, frozen=True)


class OrderedItem(_Closed):
    """A product and its quantity."""

    sku: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="SKU of the product",
        examples=["TEA-EARL-100"],
    )
    quantity: int = Field(ge=1, le=LARGEST_QUANTITY, strict=True, description="Number of pieces")


class Payment(_Closed):
    """The means of payment: a token of the payment provider, never card data."""

    token: SecretStr = Field(
        min_length=1, max_length=256, description="Token of the payment provider", examples=["tok_approve"]
    )


class ShippingAddress(_Closed):
    """The address that the order is shipped to."""

    name: str = Field(min_length=1, max_length=100, description="Name of the recipient")
    line1: str = Field(min_length=1, max_length=200, description="Street and house number")
    city: str = Field(min_length=1, max_length=100, description="City")
    postal_code: str = Field(min_length=1, max_length=20, description="Postal code")
    country: Annotated[str, AfterValidator(_known_country)] = Field(
        min_length=2, max_length=2, description="ISO 3166-1 alpha-2 country code", examples=["DE"]
    )


class ExpectedTotal(_Closed):
    """The total that the customer was shown."""

    amount: int = Field(
        ge=0, strict=True, description="Amount in minor units, such as cents", examples=[2598]
    )
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 currency code", examples=["EUR"])


class NewOrder(_Closed):
    """An order to place. The quantities of items with the same SKU are added."""

    items: list[OrderedItem] = Field(
        min_length=1, max_length=MOST_ITEMS, description="Products to order, with their quantities"
    )
    payment: Payment
    shipping_address: ShippingAddress
    expected_total: ExpectedTotal | None = Field(
        None,
        description="Total that the customer was shown. If the current total differs, no order is placed, "
        "and the response is 409 with the current `total`",
    )


class Price(BaseModel):
    """An amount of money."""

    amount: int = Field(ge=0, description="Amount in minor units, such as cents", examples=[1299])
    currency: str = Field(description="ISO 4217 currency code", examples=["EUR"])


class OrderLine(BaseModel):
    """An ordered item."""

    sku: str = Field(description="SKU of the product")
    name: str = Field(description="Name of the product at the time of the order")
    quantity: int = Field(description="Number of pieces")
    price: Price = Field(description="Price of one piece at the time of the order")


class TimelineStep(BaseModel):
    """A state that the order reached."""

    state: State = Field(description="The state")
    at: datetime = Field(description="Time at which the order reached the state")
    cause: str = Field(description="Human-readable reason for the state")


class OrderSummary(BaseModel):
    """An order."""

    id: UUID = Field(description="ID of the order")
    state: State = Field(
        description="One of PENDING, RESERVED (stock is reserved), PAID, SHIPPED, CANCELLING (the order is being "
        "undone), CANCELLED (the order was undone) and REJECTED (nothing was charged or shipped). SHIPPED, CANCELLED "
        "and REJECTED are final"
    )
    items: list[OrderLine] = Field(description="Ordered products")
    total: Price = Field(description="Sum of all items")
    created_at: datetime = Field(description="Time at which the order was accepted")


class AcceptedOrder(OrderSummary):
    """An accepted order. Its state shows later whether it is shipped."""

    model_config = web.answered_with(Location="Path of the order")


class OrderDetails(OrderSummary):
    """An order and its timeline."""

    timeline: list[TimelineStep] = Field(
        description="States that the order reached, from PENDING to the current one"
    )
    shipping_address: ShippingAddress
    confirmed_at: datetime | None = Field(
        description="Time from which the customer can no longer cancel the order; null until it is confirmed"
    )
    cancel_requested_at: datetime | None = Field(
        description="Time at which the customer cancelled the order; null if the customer did not cancel it"
    )
    tracking_number: str | None = Field(
        description="Tracking number of the carrier; null until the order is shipped"
    )


class MissingResource(BaseModel):
    """A resource that could not be loaded from its service."""

    part: Literal["payment", "shipment"] = Field(description="Name of the resource")
    reason: str = Field(description="Human-readable reason")


class WholeOrder(BaseModel):
    """An order, its payment and its shipment."""

    order: OrderDetails
    payment: dict[str, Any] | None = Field(description="Response of GET /payments/{order_id}")
    shipment: dict[str, Any] | None = Field(description="Response of GET /shipments/{order_id}")
    missing: list[MissingResource] = Field(description="Resources that could not be loaded, with the reason")


class OrderList(BaseModel):
    """A page of orders, newest first."""

    items: list[OrderSummary] = Field(description="Orders of this page")
    next: str | None = Field(description="`cursor` of the next page; null on the last page")


class AttentionItem(BaseModel):
    """An order that needs attention."""

    order_id: UUID = Field(description="ID of the order")
    finding: FindingKind = Field(
        description="STANDING_STILL (the order has not changed for 15 minutes) or DISAGREEING (its payment, stock or shipment "
        "contradict it, or its workflow failed repeatedly)"
    )
    reason: str = Field(description="Human-readable reason, with the next step if there is one")
    since: datetime = Field(description="Time at which the reconciler first found the order")
    order: OrderSummary | None = Field(
        description="The current order; null if its row is missing or cannot be read"
    )


class AttentionList(BaseModel):
    """A page of the orders that need attention, oldest order first."""

    items: list[AttentionItem] = Field(description="Orders of this page")
    next: str | None = Field(description="`cursor` of the next page; null on the last page")
    checked_at: datetime | None = Field(
        description="Time of the latest run in which the reconciler checked all orders; null if there was none"
    )


class IdempotencyHeader(web.Parameters):
    """The key that makes a retried request idempotent."""

    key: str = Field(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Key that the client chooses: a new one for each order, and the same one for each retry of a "
        "request. Kept for 24 hours",
    )


class OrderPath(web.Parameters):
    """The order of an operation."""

    order_id: str = Field(max_length=64, description="`id` of an order")


class ListQuery(web.Parameters):
    """The page of a list."""

    limit: int = Field(
        USUALLY_LISTED, ge=1, le=MOST_LISTED, description="Maximum number of orders in the response"
    )
    cursor: str | None = Field(
        None, max_length=512, description="`next` of the previous page; omit for the first page"
    )


def create(
    orders: Orders,
    products: Products,
    idempotency: IdempotencyStore,
    related_resources: RelatedResources,
    findings: Findings,
    verifier: Verifier,
    others: Sequence[APIBlueprint] = (),
) -> Flask:
    """The API as a WSGI application.

    Args:
        orders: storage of orders.
        products: storage of product names and prices.
        idempotency: storage of recorded responses.
        related_resources: loads the payment and the shipment of an order.
        findings: orders that need attention.
        verifier: authenticates callers.
        others: further operations.
    """
    api = web.blueprint("orders", __name__, TAG)

    @api.post(
        "/orders",
        summary="Place an order",
        security=[web.for_customers("orders:write")],
        responses={
            HTTPStatus.ACCEPTED: AcceptedOrder,
            **web.problems(
                *web.CLOSED,
                HTTPStatus.CONFLICT,
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                HTTPStatus.UNPROCESSABLE_ENTITY,
            ),
        },
    )
    def place_order(header: IdempotencyHeader, body: NewOrder) -> Response:
        """Accepts an order at the current prices. The order is paid and shipped asynchronously.

        A retry with the same Idempotency-Key and the same body returns the recorded response and places no second order.
        With a different body, the response is 422. While the first request is being processed, the response is 409 with
        Retry-After. If the total differs from `expected_total`, the response is 409 with the member `total`.
        """
        customer_id = web.caller().subject
        keyed = KeyedRequest(f"{customer_id} POST /orders", header.key, fingerprint(request.get_json()))
        answer = handlers.place_order(
            _command(body, customer_id),
            keyed,
            _accepted,
            orders=orders,
            products=products,
            idempotency=idempotency,
        )
        logs.concerns(order_id=answer.body["id"])
        return web.json_response(answer.body, answer.status, answer.headers)

    @api.get(
        "/orders",
        summary="List orders",
        security=[web.for_customers("orders:read")],
        responses={HTTPStatus.OK: OrderList, **web.problems(*web.CLOSED)},
    )
    def list_orders(query: ListQuery) -> Response:
        """Returns the caller's orders, newest first. Orders of the last second may be missing."""
        page = handlers.list_orders(web.caller().subject, _after(query.cursor), query.limit, orders=orders)
        return web.json_response(
            {
                "items": [_summary(order) for order in page.orders],
                "next": cursor.encode({"after": page.next_after}) if page.next_after else None,
            }
        )

    @api.get(
        "/orders/attention",
        summary="List orders that need attention",
        security=[web.for_customers("ops:read")],
        responses={HTTPStatus.OK: AttentionList, **web.problems(*web.CLOSED)},
    )
    def list_attention(query: ListQuery) -> Response:
        """Returns the orders of all customers that are stalled or inconsistent, as of the latest run of the reconciler.

        The reconciler checks orders every few minutes, once they are five minutes old, and resumes orders that it can resume. An
        order leaves the list when a later run finds no problem.
        """
        page, found = handlers.orders_needing_attention(
            _after(query.cursor), query.limit, orders=orders, findings=findings
        )
        return web.json_response(
            {
                "items": [_attention(finding, found.get(finding.order_id)) for finding in page.findings],
                "next": cursor.encode({"after": page.next_after}) if page.next_after else None,
                "checked_at": _time(page.checked_at),
            }
        )

    @api.get(
        "/orders/<string:order_id>",
        summary="Get an order",
        security=[web.for_customers("orders:read")],
        responses={HTTPStatus.OK: OrderDetails, **web.problems(*web.CLOSED, HTTPStatus.NOT_FOUND)},
    )
    def show_order(path: OrderPath) -> Response:
        """Returns the order with the states that it reached."""
        logs.concerns(order_id=path.order_id)
        return web.json_response(_details(handlers.show_order(path.order_id, web.caller(), orders=orders)))

    @api.get(
        "/orders/<string:order_id>/details",
        summary="Get an order with its payment and its shipment",
        security=[web.for_customers("orders:read")],
        responses={HTTPStatus.OK: WholeOrder, **web.problems(*web.CLOSED, HTTPStatus.NOT_FOUND)},
    )
    def show_details(path: OrderPath) -> Response:
        """Returns the order with its payment and its shipment.

        A resource that could not be loaded is null and listed in `missing`. A resource that is null and not listed does
        not exist yet.
        """
        logs.concerns(order_id=path.order_id)
        order, found = handlers.order_details(
            path.order_id,
            web.caller(),
            auth.proof(request, web.caller()),
            orders=orders,
            related_resources=related_resources,
        )
        return web.json_response(
            {
                "order": _details(order),
                **{name: resource.document for name, resource in found.items()},
                "missing": [
                    {"part": name, "reason": resource.reason}
                    for name, resource in found.items()
                    if resource.reason
                ],
            }
        )

    @api.post(
        "/orders/<string:order_id>/cancel",
        summary="Cancel an order",
        security=[web.for_customers("orders:write")],
        responses={
            HTTPStatus.ACCEPTED: OrderDetails,
            **web.problems(*web.CLOSED, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
        },
    )
    def cancel_order(path: OrderPath) -> Response:
        """Cancels an order. After the response 202, the order is not shipped, and any payment is refunded.

        Cancelling an order that is already being undone has no effect. If the order is being shipped or was rejected, the
        response is 409.
        """
        logs.concerns(order_id=path.order_id)
        order = handlers.cancel_order(path.order_id, web.caller(), orders=orders)
        return web.json_response(_details(order), HTTPStatus.ACCEPTED)

    return web.create_app(
        name="order", version=VERSION, apis=[api, *others], ready={"orders": orders.ping}, verifier=verifier
    )


def _command(body: NewOrder, customer_id: str) -> PlaceOrder:
    return PlaceOrder(
        customer_id=customer_id,
        items=tuple(Item(item.sku, item.quantity) for item in body.items),
        payment_token=body.payment.token.get_secret_value(),
        address=Address(**body.shipping_address.model_dump()),
        expected_total=Money(body.expected_total.amount, body.expected_total.currency)
        if body.expected_total
        else None,
    )


def _after(given: str | None) -> str | None:
    if given is None:
        return None
    after = cursor.decode(given, {"after"})["after"]
    try:
        return str(UUID(after))
    except ValueError:
        raise InvalidRequest("cursor: use the value of `next` of the previous page") from None


def _accepted(order: Order) -> Answer:
    return Answer(HTTPStatus.ACCEPTED, _summary(order), {"Location": f"/orders/{order.id}"})


def _summary(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "state": order.state.value,
        "items": [line.to_dict() for line in order.lines],
        "total": order.total.to_dict(),
        "created_at": clock.rfc3339(order.created_at),
    }


def _attention(finding: Finding, order: Order | None) -> dict[str, Any]:
    return {
        "order_id": finding.order_id,
        "finding": finding.kind.value,
        "reason": finding.reason,
        "since": clock.rfc3339(finding.since),
        "order": None if order is None else _summary(order),
    }


def _details(order: Order) -> dict[str, Any]:
    return {
        **_summary(order),
        "timeline": [step.to_dict() for step in order.timeline],
        "shipping_address": order.address.to_dict(),
        "confirmed_at": _time(order.confirmed_at),
        "cancel_requested_at": _time(order.cancel_requested_at),
        "tracking_number": order.tracking_number,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else clock.rfc3339(at)
