"""The orders of a customer: the list, one order while it moves, and its cancellation."""

import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, TypeVar
from uuid import UUID

from flask import Flask, Response, request
from werkzeug.wrappers import Response as AnyResponse

from services.common.http import streams
from services.common.telemetry import logs
from services.common.values.errors import NotFound, Unavailable
from services.storefront import events, language, progress, session
from services.storefront.domain import BasketFull, OrderDetails
from services.storefront.following import Following, Page
from services.storefront.language import _
from services.storefront.pages.catalog import LONGEST_CURSOR
from services.storefront.pages.parts import Parts, go_to, page
from services.storefront.ports import TooLateToCancel
from services.storefront.session import CookieTooLarge

Content = TypeVar("Content")
# Seconds until the browser connects again after the end of a stream, such as that of a process which shuts down.
_RETRY_SECONDS: Final = 1.0
# Shorter than the timeout of API Gateway, which passes on complete responses only.
_WHOLE_SECONDS: Final = 20.0
# Seconds that the script waits for the beginning of a stream, before it loads the page instead.
_PATIENCE, _PATIENCE_WHOLE = 5, 25


def add(app: Flask, parts: Parts) -> None:
    """Adds the pages to the application."""
    _add_views(app, parts)
    _add_events(app, parts)
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


def _add_events(app: Flask, parts: Parts) -> None:
    progress_part = app.jinja_env.get_template("progress.html")

    def render(details: OrderDetails, code: str) -> str:
        with language.spoken(code):
            return progress_part.render(_progress(details))

    following = Following(parts.orders, render)

    @app.get("/account/orders/<uuid:order_id>/live")
    def follow_order(order_id: UUID) -> Response:
        """The changes of an order as server-sent events, until it has ended. After the response 204, the page must not connect again.

        The response is 204 if the page shows the end of the order, and if there is no stream for it: then it polls.
        """
        granted = session.required()
        seen = request.headers.get("Last-Event-ID") or request.args.get("seen", "")
        try:
            order = _found(parts.orders.find(granted.token, str(order_id)))
        except Unavailable:
            order = None
        if order is not None and order.state.is_final and seen == progress.version(order, datetime.now(UTC)):
            return Response(status=HTTPStatus.NO_CONTENT)
        stream = streams.offered(request.environ)
        whole = parts.settings.whole_responses
        if stream is None or not following.follow(
            granted, str(order_id), Page(stream, language.current(), seen, once=whole), order
        ):
            return Response(status=HTTPStatus.NO_CONTENT)
        seconds = granted.expires_at - session.MARGIN_SECONDS - time.time()
        stream.last(events.HEARTBEAT, min(seconds, _WHOLE_SECONDS) if whole else seconds)
        # A response without a Content-Length, because it stays open. Some proxies would wait for its end without the header.
        return Response(
            iter([events.retry(_RETRY_SECONDS)]),
            mimetype="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )


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
    patience = _PATIENCE_WHOLE if parts.settings.whole_responses else _PATIENCE
    return page("order.html", status, notice=notice, trouble=trouble, patience=patience, **_progress(details))


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
        "version": progress.version(order, now),
    }


def _found(content: Content | None) -> Content:
    if content is None:
        raise NotFound("the order does not exist")
    return content
