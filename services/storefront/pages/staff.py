"""The pages of staff: orders that need attention, dead letters, the stock, and the orders of all customers by their IDs."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from flask import Flask, Response, request
from werkzeug.wrappers import Response as AnyResponse

from services.common.values.caller import OPERATORS
from services.common.values.errors import NotFound, Unavailable
from services.storefront import language, session
from services.storefront.domain import SERVICES, AttentionPage, DeadLetter, DeadLetters
from services.storefront.language import _
from services.storefront.pages.catalog import LONGEST_CURSOR
from services.storefront.pages.parts import Parts, go_to, page
from services.storefront.ports import Grant, NotPermitted

LISTED = 25
LONGEST_ID = 64
LONGEST_COUNT = 6


@dataclass(frozen=True, slots=True)
class Section:
    """The dead letters of a service for display.

    Args:
        service: name of the service.
        rows: dead letters, with their age in words, and the ID of the order if it can be shown.
        total: approximate number of all dead letters.
        responds: whether the service responds.
    """

    service: str
    rows: Sequence[tuple[DeadLetter, str, uuid.UUID | None]] = ()
    total: int = 0
    responds: bool = True


def may_see(granted: Grant) -> bool:
    """Whether a user belongs to the staff. The API decides again about each request."""
    return OPERATORS in granted.groups and "ops:read" in granted.scopes


def add(app: Flask, parts: Parts) -> None:
    """Adds the pages to the application."""
    _add_overview(app, parts)
    _add_dead_letters(app, parts)


def _add_overview(app: Flask, parts: Parts) -> None:
    @app.get("/staff")
    def show_staff() -> AnyResponse:
        """The orders that need attention, the stock of all products, and the search for an order."""
        token = _token()
        wanted = request.args.get("order", "").strip()[:LONGEST_ID]
        if not wanted:
            return _overview(parts, token, HTTPStatus.OK)
        order_id = _order_id(wanted)
        if order_id is None:
            return _overview(parts, token, HTTPStatus.BAD_REQUEST, wanted, _("This is not an order ID."))
        return go_to(f"/account/orders/{order_id}")


def _add_dead_letters(app: Flask, parts: Parts) -> None:
    @app.get("/staff/dead-letters")
    def show_dead_letters() -> Response:
        """The dead letters of all services, and the result of the latest redrive."""
        token = _token()
        found = parts.at_once(lambda service: _loaded(parts, token, service), SERVICES)
        now = datetime.now(UTC)
        sections = [_section(service, each, now) for service, each in zip(SERVICES, found, strict=True)]
        sent, missing = (_count(name) for name in ("sent", "missing"))
        return page("dead_letters.html", sections=sections, sent=sent, missing=missing)

    @app.get("/staff/dead-letters/<service>/redrive")
    def confirm_redrive(service: str) -> Response:
        """The consequences of a redrive."""
        _token()
        letter_id = request.args.get("id", "")[:LONGEST_ID]
        return page("redrive.html", service=_known(service), letter_id=letter_id)

    @app.post("/staff/dead-letters/<service>/redrive")
    def redrive(service: str) -> AnyResponse:
        """Redrives the message, or all messages of the service, and shows the dead letters that are left."""
        token = _token()
        letter_id = request.form.get("id", "")[:LONGEST_ID]
        done = parts.staff.redrive(token, _known(service), letter_id or None)
        return go_to(f"/staff/dead-letters?sent={done.sent}&missing={done.missing}")


def _token() -> str:
    """The access token of a member of the staff."""
    granted = session.required()
    if not may_see(granted):
        raise NotPermitted
    return granted.token


def _known(service: str) -> str:
    if service not in SERVICES:
        raise NotFound("the service does not exist")
    return service


def _count(name: str) -> int | None:
    """A number in the query; None without one."""
    given = request.args.get(name, "")
    return int(given) if given.isascii() and given.isdigit() and len(given) <= LONGEST_COUNT else None


def _order_id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _loaded(parts: Parts, token: str, service: str) -> DeadLetters | None:
    """The dead letters of a service; None if it does not respond."""
    try:
        return parts.staff.dead_letters(token, service)
    except Unavailable:
        return None


def _section(service: str, found: DeadLetters | None, now: datetime) -> Section:
    if found is None:
        return Section(service, responds=False)
    rows = [
        (
            letter,
            language.duration((now - letter.sent_at).total_seconds()),
            _order_id(letter.order_id or ""),
        )
        for letter in found.letters
    ]
    return Section(service, rows, found.total)


def _attention(parts: Parts, token: str) -> AttentionPage | None:
    """The orders that need attention; None if the order service does not respond."""
    cursor = request.args.get("orders", "")[:LONGEST_CURSOR]
    try:
        return parts.staff.attention(token, cursor or None)
    except Unavailable:
        return None


def _overview(parts: Parts, token: str, status: HTTPStatus, wanted: str = "", trouble: str = "") -> Response:
    attention = _attention(parts, token)
    cursor = request.args.get("cursor", "")[:LONGEST_CURSOR]
    found = parts.catalog.search("", None, cursor or None, LISTED)
    stock = parts.at_once(parts.catalog.inventory, [product.sku for product in found.products])
    rows = [
        (product, level) for product, level in zip(found.products, stock, strict=True) if level is not None
    ]
    return page(
        "staff.html",
        status,
        attention=attention,
        rows=rows,
        next=found.next,
        wanted=wanted,
        trouble=trouble,
    )
