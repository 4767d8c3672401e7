"""The basket."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from flask import Flask, Response, request
from werkzeug.wrappers import Response as AnyResponse

from services.storefront import language
from services.storefront.domain import Basket, BasketFull
from services.storefront.language import _
from services.storefront.pages.parts import Parts, go_to, page
from services.storefront.session import CookieTooLarge

SKU: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MOST_DIGITS: Final = 3
# Before the SKU in the name of a field.
FIELD: Final = "quantity:"


def quantity(text: str) -> int | None:
    """A number of pieces, or None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None


def add(app: Flask, parts: Parts) -> None:
    """Adds the pages to the application."""

    @app.get("/basket")
    def show_basket() -> Response:
        """The basket at the prices of the shop."""
        return _shown(parts, added=request.args.get("added") == "1")

    @app.post("/basket/add")
    def add_to_basket() -> AnyResponse:
        """Adds pieces of a product."""
        sku, pieces = request.form.get("sku", ""), quantity(request.form.get("quantity", "1"))
        if not SKU.fullmatch(sku) or not pieces:
            return _refused(parts, _("Enter a quantity from 1 to 99."))
        return _changed(parts, lambda basket: basket.add(sku, pieces), "/basket?added=1")

    @app.post("/basket/set")
    def change_basket() -> AnyResponse:
        """Sets the quantities of all products; the button Remove sets one to 0."""
        given = request.form.items()
        wanted = {name.removeprefix(FIELD): quantity(text) for name, text in given if name.startswith(FIELD)}
        if request.form.get("remove") in wanted:
            wanted[request.form["remove"]] = 0

        def change(basket: Basket) -> Basket:
            for sku, pieces in wanted.items():
                if sku in basket.quantities and pieces is not None:
                    basket = basket.set(sku, pieces)
            return basket

        if any(pieces is None for sku, pieces in wanted.items() if sku in parts.baskets.current().quantities):
            return _refused(parts, _("Enter a quantity from 1 to 99."))
        return _changed(parts, change, "/basket")


def _changed(parts: Parts, change: Callable[[Basket], Basket], back_to: str) -> AnyResponse:
    try:
        parts.baskets.put(change(parts.baskets.current()))
    except (BasketFull, CookieTooLarge):
        return _refused(parts, _("The basket is full. Order what it contains, or remove a product."))
    return go_to(back_to)


def _refused(parts: Parts, why: str) -> Response:
    return _shown(parts, why, HTTPStatus.UNPROCESSABLE_ENTITY)


def _shown(
    parts: Parts, trouble: str = "", status: HTTPStatus = HTTPStatus.OK, *, added: bool = False
) -> Response:
    found, age = parts.quote(dict(parts.baskets.current().quantities))
    return page(
        "basket.html",
        status,
        quote=found,
        age=language.duration(age) if age else "",
        trouble=trouble,
        added=added,
    )
