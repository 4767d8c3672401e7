"""The orders of a customer: the list, one order while it moves, and its cancellation."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, TypeVar
from uuid import UUID

import orjson
from flask import Flask, Response, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from services.common.telemetry import logs
from services.common.values.errors import NotFound, Unavailable
from services.storefront import language, progress, session
from services.storefront.domain import BasketFull, Order, OrderDetails
from services.storefront.language import _
from services.storefront.pages.catalog import LONGEST_CURSOR
from services.storefront.pages.parts import Parts, go_to, page
from services.storefront.ports import TooLateToCancel
from services.storefront.session import CookieTooLarge

Content = TypeVar("Content")
# Milliseconds until the browser asks again, by the seconds since the last change of the order.
_PAUSES: Final = ((60.0, 1_000), (600.0, 5_000), (float("inf"), 30_000))
_RETRY_UNAVAILABLE: Final = 5_000


def add(app: Flask, parts: Parts) -> None:
    """Adds the pages to the application."""
    _add_views(app, parts)
    _add_stream(app, parts)
    _add_changes(app, parts)


def _add_views(app: Flask, parts: Parts) -> None:
    @app.get("/account/orders")
    def list_orders() -> Response:
        """The orders of the customer, newest first."""
        cursor = request.args.get("cursor", "")[:LONGEST_CURSOR]
        found = parts.orders.page(session.required().token, cursor or None)
        return page("orders.html", found=found, cursor=cursor)

    @app.get("/account/orders/<uuid:order_id>")
    def show_order(order_id: UUID) -> Response:
        """One order, which its page follows."""
        placed = request.args.get("placed") == "1"
        return _shown(
            parts, order_id, notice=_("Thank you. The shop has received your order.") if placed else ""
        )


def _add_stream(app: Flask, parts: Parts) -> None:
    @app.get("/account/orders/<uuid:order_id>/live")
    def follow_order(order_id: UUID) -> Response:
        """The progress of an order as server-sent events, if it has changed; the browser then asks again.

        Each response ends at once, because the web server (docs/adr/0014) and API Gateway send complete responses only. A
        response 204 tells the browser that the order has ended.
        """
        seen = request.headers.get("Last-Event-ID") or request.args.get("seen", "")
        token = session.required().token
        try:
            order = _found(parts.orders.find(token, str(order_id)))
            pause = _pause(order)
            version = _version(order)
            if version != seen:
                details = _details(parts, token, order)
                return _events(pause, version, render_template("progress.html", **_progress(details)))
        except Unavailable:
            return _events(_RETRY_UNAVAILABLE)
        return Response(status=HTTPStatus.NO_CONTENT) if order.state.is_final else _events(pause)


def _add_changes(app: Flask, parts: Parts) -> None:
    @app.get("/account/orders/<uuid:order_id>/cancel")
    def confirm_cancellation(order_id: UUID) -> AnyResponse:
        """The consequences of a cancellation."""
        details = _found(parts.orders.details(session.required().token, str(order_id)))
        if not details.order.state.can_be_cancelled:
            return go_to(f"/account/orders/{order_id}")
        return page("cancel.html", order=details.order, details=details)

    @app.post("/account/orders/<uuid:order_id>/cancel")
    def cancel_order(order_id: UUID) -> AnyResponse:
        """Cancels the order, and shows it."""
        logs.concerns(order_id=str(order_id))
        try:
            parts.orders.cancel(session.required().token, str(order_id))
        except TooLateToCancel:
            return _shown(
                parts,
                order_id,
                status=HTTPStatus.CONFLICT,
                trouble=_("This order can no longer be cancelled. Nothing was changed."),
            )
        return go_to(f"/account/orders/{order_id}")

    @app.post("/account/orders/<uuid:order_id>/again")
    def order_again(order_id: UUID) -> AnyResponse:
        """Puts the products of the order into the basket."""
        order = _found(parts.orders.find(session.required().token, str(order_id)))
        try:
            basket = parts.baskets.current()
            for line in order.lines:
                basket = basket.add(line.sku, line.quantity)
            parts.baskets.put(basket)
        except (BasketFull, CookieTooLarge):
            return _shown(
                parts,
                order_id,
                status=HTTPStatus.UNPROCESSABLE_ENTITY,
                trouble=_("The basket is full. Order what it contains, or remove a product."),
            )
        return go_to("/basket?added=1")


def _shown(
    parts: Parts, order_id: UUID, *, status: HTTPStatus = HTTPStatus.OK, notice: str = "", trouble: str = ""
) -> Response:
    logs.concerns(order_id=str(order_id))
    details = _found(parts.orders.details(session.required().token, str(order_id)))
    return page("order.html", status, notice=notice, trouble=trouble, **_progress(details))


def _details(parts: Parts, token: str, order: Order) -> OrderDetails:
    return _found(parts.orders.details(token, order.id))


def _progress(details: OrderDetails) -> dict[str, object]:
    """The values of the part of the page that moves."""
    order, now = details.order, datetime.now(UTC)
    undone = progress.undoing(order)
    return {
        "order": order,
        "details": details,
        "stages": progress.stages(order),
        "undone": undone,
        "reason": None if undone is None else progress.reason(undone),
        "late": language.duration(progress.seconds_since_change(order, now))
        if progress.is_late(order, now)
        else "",
        "version": _version(order),
    }


def _version(order: Order) -> str:
    """Changes with everything that the page shows: also when an order begins to take an unusual time."""
    return f"{order.version}{'.late' if progress.is_late(order, datetime.now(UTC)) else ''}"


def _pause(order: Order) -> int:
    seconds = progress.seconds_since_change(order, datetime.now(UTC))
    return next(pause for limit, pause in _PAUSES if seconds < limit)


def _events(pause: int, version: str = "", content: str = "") -> Response:
    """A stream of one event, or of none (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    event = f"id: {version}\ndata: {orjson.dumps(content).decode()}\n\n" if content else ""
    return Response(f"retry: {pause}\n\n{event}", mimetype="text/event-stream")


def _found(content: Content | None) -> Content:
    if content is None:
        raise NotFound("the order does not exist")
    return content
