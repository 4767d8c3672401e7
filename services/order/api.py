"""The order service over HTTP: what requests and answers look like, and which handler they go to."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from flask import Flask, Response, request
from flask_openapi3.models.tag import Tag
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from services.common.http import auth, cursor, web
from services.common.http.auth import Verifier
from services.common.http.errors import InvalidRequest
from services.common.http.idempotency import Answer, IdempotencyStore, KeyedRequest, fingerprint
from services.common.values import clock
from services.common.values.countries import CODES
from services.common.values.money import Money
from services.order import handlers
from services.order.domain import LARGEST_QUANTITY, Address, Item, Order, State
from services.order.handlers import PlaceOrder
from services.order.ports import Orders, Parts, Products

VERSION = "1.0.0"
MOST_ITEMS = 50
MOST_LISTED, USUALLY_LISTED = 100, 20

TAG = Tag(name="orders", description="Placing orders, following them, and cancelling them in time")


def _known_country(code: str) -> str:
    if code not in CODES:
        raise ValueError("not an ISO 3166-1 alpha-2 code such as DE")
    return code


class _Closed(BaseModel):
    """A request's part: what it does not name is refused, so that a misspelt member is not ignored."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, frozen=True)


class OrderedItem(_Closed):
    """A product and how many of it."""

    sku: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples=["TEA-EARL-100"])
    quantity: int = Field(ge=1, le=LARGEST_QUANTITY, strict=True)


class Payment(_Closed):
    """What pays: a token of the payment provider, never a card."""

    token: SecretStr = Field(min_length=1, max_length=256, examples=["tok_approve"])


class ShippingAddress(_Closed):
    """Where to."""

    name: str = Field(min_length=1, max_length=100)
    line1: str = Field(min_length=1, max_length=200)
    city: str = Field(min_length=1, max_length=100)
    postal_code: str = Field(min_length=1, max_length=20)
    country: Annotated[str, AfterValidator(_known_country)] = Field(
        min_length=2, max_length=2, description="ISO 3166-1 alpha-2", examples=["DE"]
    )


class ExpectedTotal(_Closed):
    """What the customer was shown."""

    amount: int = Field(ge=0, strict=True, description="Minor units: cents for EUR", examples=[2598])
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217", examples=["EUR"])


class NewOrder(_Closed):
    """What to order. A product that is named twice is ordered once, in the sum of both quantities."""

    items: list[OrderedItem] = Field(min_length=1, max_length=MOST_ITEMS)
    payment: Payment
    shipping_address: ShippingAddress
    expected_total: ExpectedTotal | None = Field(
        None,
        description="Sum of the prices that the customer was shown. If the sum differs, nothing is ordered, "
        "and the response is 409 with the new `total`",
    )


class Price(BaseModel):
    """Money."""

    amount: int = Field(ge=0, description="Minor units: cents for EUR", examples=[1299])
    currency: str = Field(description="ISO 4217", examples=["EUR"])


class OrderLine(BaseModel):
    """An item as it was ordered."""

    sku: str
    name: str
    quantity: int
    price: Price = Field(description="Of one piece, when it was ordered")


class TimelineStep(BaseModel):
    """That the order came to a state."""

    state: State
    at: datetime
    cause: str = Field(description="Human-readable cause")


class OrderSummary(BaseModel):
    """An order."""

    id: UUID
    state: State = Field(
        description="PENDING → RESERVED → PAID → SHIPPED, or REJECTED (nothing was kept), "
        "or CANCELLING (being undone, which ends in CANCELLED or REJECTED) → CANCELLED (everything was undone)"
    )
    items: list[OrderLine]
    total: Price
    created_at: datetime


class AcceptedOrder(OrderSummary):
    """An order that was accepted. Whether it can be shipped is seen from its state later."""

    model_config = web.answered_with(Location="The path of the order")


class OrderDetails(OrderSummary):
    """An order, and how it came to its state."""

    timeline: list[TimelineStep] = Field(description="In the order of states")
    shipping_address: ShippingAddress
    cancel_requested_at: datetime | None = Field(
        description="When the customer cancelled it; null also for an order that is undone for another reason"
    )
    tracking_number: str | None = Field(description="The carrier's, once it is shipped")


class MissingPart(BaseModel):
    """That a service did not say what it knows of an order."""

    part: Literal["payment", "shipment"]
    reason: str = Field(description="Human-readable cause")


class WholeOrder(BaseModel):
    """An order, its payment and its shipment."""

    order: OrderDetails
    payment: dict[str, Any] | None = Field(description="As GET /payments/{order_id} answers")
    shipment: dict[str, Any] | None = Field(description="As GET /shipments/{order_id} answers")
    missing: list[MissingPart] = Field(description="Parts that did not respond in time, and why")


class OrderList(BaseModel):
    """One page of orders, newest first."""

    items: list[OrderSummary]
    next: str | None = Field(description="The `cursor` of the next page; null on the last")


class IdempotencyHeader(web.Parameters):
    """What makes a repeated request harmless."""

    key: str = Field(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Chosen by the client, new for each new order, the same for each repeat of a request; kept 24 h",
    )


class OrderPath(web.Parameters):
    """Which order."""

    order_id: str = Field(max_length=64, description="The `id` of an order")


class ListQuery(web.Parameters):
    """Which page of a list."""

    limit: int = Field(USUALLY_LISTED, ge=1, le=MOST_LISTED, description="How many")
    cursor: str | None = Field(None, max_length=512, description="The `next` of the previous page")


def create(
    orders: Orders, products: Products, idempotency: IdempotencyStore, parts: Parts, verifier: Verifier
) -> Flask:
    """The API.

    Args:
        orders: where orders are kept.
        products: where names and prices come from.
        idempotency: where answers are kept.
        parts: what other services know of an order.
        verifier: finds out who asks.
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
        """Accepts the order at the shop's prices and answers at once; payment and shipment follow.

        A repeated Idempotency-Key with the same body returns the same answer and places no second order. With another
        body, the answer is 422. If the first request is still being committed, the answer is 409 with Retry-After. If
        the total differs from the expected one, the answer is 409 with the member `total`.
        """
        customer_id = web.caller().subject
        keyed = KeyedRequest(f"{customer_id} POST /orders", header.key, fingerprint(request.get_json()))
        answer = handlers.place_order(
            _wish(body, customer_id),
            keyed,
            _accepted,
            orders=orders,
            products=products,
            idempotency=idempotency,
        )
        return web.json_response(answer.body, answer.status, answer.headers)

    @api.get(
        "/orders",
        summary="List orders, newest first",
        security=[web.for_customers("orders:read")],
        responses={HTTPStatus.OK: OrderList, **web.problems(*web.CLOSED)},
    )
    def list_orders(query: ListQuery) -> Response:
        """The caller's own orders; one that was placed within the last second may be missing."""
        page = handlers.list_orders(web.caller().subject, _after(query.cursor), query.limit, orders=orders)
        return web.json_response(
            {
                "items": [_summary(order) for order in page.orders],
                "next": cursor.encode({"after": page.next_after}) if page.next_after else None,
            }
        )

    @api.get(
        "/orders/<string:order_id>",
        summary="Follow an order",
        security=[web.for_customers("orders:read")],
        responses={HTTPStatus.OK: OrderDetails, **web.problems(*web.CLOSED, HTTPStatus.NOT_FOUND)},
    )
    def show_order(path: OrderPath) -> Response:
        """The order as it is now, and every state that it came through."""
        web.bind(order_id=path.order_id)
        return web.json_response(_details(handlers.show_order(path.order_id, web.caller(), orders=orders)))

    @api.get(
        "/orders/<string:order_id>/details",
        summary="Follow an order with its payment and its shipment",
        security=[web.for_customers("orders:read")],
        responses={HTTPStatus.OK: WholeOrder, **web.problems(*web.CLOSED, HTTPStatus.NOT_FOUND)},
    )
    def show_details(path: OrderPath) -> Response:
        """The order, and what the payment and the shipping service say of it, in one document.

        A part that does not answer in time is null and named in `missing`; one that is null and not named there does
        not exist yet.
        """
        web.bind(order_id=path.order_id)
        order, found = handlers.order_details(
            path.order_id,
            web.caller(),
            auth.proof(request, web.caller()),
            orders=orders,
            parts=parts,
        )
        return web.json_response(
            {
                "order": _details(order),
                **{name: part.document for name, part in found.items()},
                "missing": [
                    {"part": name, "reason": part.reason} for name, part in found.items() if part.reason
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
        """Has the order undone: once 202 is answered it will not be shipped, and what was paid is given back.

        It can be repeated, and an order that is being undone already is answered as it is. 409 when the order is being
        shipped, or was rejected.
        """
        web.bind(order_id=path.order_id)
        order = handlers.cancel_order(path.order_id, web.caller(), orders=orders)
        return web.json_response(_details(order), HTTPStatus.ACCEPTED)

    return web.create_app(
        name="order", version=VERSION, apis=[api], ready={"orders": orders.ping}, verifier=verifier
    )


def _wish(body: NewOrder, customer_id: str) -> PlaceOrder:
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


def _details(order: Order) -> dict[str, Any]:
    return {
        **_summary(order),
        "timeline": [step.to_dict() for step in order.timeline],
        "shipping_address": order.address.to_dict(),
        "cancel_requested_at": clock.rfc3339(order.cancel_requested_at)
        if order.cancel_requested_at
        else None,
        "tracking_number": order.tracking_number,
    }
