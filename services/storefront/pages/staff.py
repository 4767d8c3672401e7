"""The page of staff: the stock, and the orders of all customers by their IDs."""

import uuid
from http import HTTPStatus

from flask import Flask, Response, request
from werkzeug.wrappers import Response as AnyResponse

from services.common.values.caller import OPERATORS
from services.storefront import session
from services.storefront.language import _
from services.storefront.pages.catalog import LONGEST_CURSOR
from services.storefront.pages.parts import Parts, go_to, page
from services.storefront.ports import Grant, NotPermitted

LISTED = 25
LONGEST_ID = 64


def may_see(granted: Grant) -> bool:
    """Whether a user belongs to the staff. The API decides again about each request."""
    return OPERATORS in granted.groups and "ops:read" in granted.scopes


def add(app: Flask, parts: Parts) -> None:
    """Adds the pages to the application."""

    @app.get("/staff")
    def show_staff() -> AnyResponse:
        """The stock of all products, and the search for an order."""
        if not may_see(session.required()):
            raise NotPermitted
        wanted = request.args.get("order", "").strip()[:LONGEST_ID]
        if wanted:
            try:
                return go_to(f"/account/orders/{uuid.UUID(wanted)}")
            except ValueError:
                return _shown(parts, HTTPStatus.BAD_REQUEST, wanted, _("This is not an order ID."))
        return _shown(parts, HTTPStatus.OK)


def _shown(parts: Parts, status: HTTPStatus, wanted: str = "", trouble: str = "") -> Response:
    cursor = request.args.get("cursor", "")[:LONGEST_CURSOR]
    found = parts.catalog.search("", None, cursor or None, LISTED)
    stock = parts.at_once(parts.catalog.inventory, [product.sku for product in found.products])
    rows = [
        (product, level) for product, level in zip(found.products, stock, strict=True) if level is not None
    ]
    return page("staff.html", status, rows=rows, next=found.next, wanted=wanted, trouble=trouble)
