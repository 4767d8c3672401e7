"""The catalog, its products and their pictures."""

from typing import Final

from flask import Flask, Response, request

from services.common.values.errors import NotFound
from services.storefront import language, pictures
from services.storefront.domain import LARGEST_QUANTITY
from services.storefront.pages.parts import Parts, page

LISTED: Final = 24
LONGEST_SEARCH: Final = 100
LONGEST_CATEGORY: Final = 64
LONGEST_CURSOR: Final = 512
FEW: Final = 5
PICTURE_SECONDS: Final = 24 * 3600


def add(app: Flask, parts: Parts) -> None:
    """Adds the pages to the application."""
    app.jinja_env.globals["few"] = FEW

    @app.get("/")
    def show_catalog() -> Response:
        """The products that match a search, or all."""
        words = " ".join(request.args.get("q", "").split())[:LONGEST_SEARCH]
        category = request.args.get("category", "")[:LONGEST_CATEGORY]
        cursor = request.args.get("cursor", "")[:LONGEST_CURSOR]
        found, age = parts.remembered.search(words, category or None, cursor or None, LISTED)
        return page(
            "catalog.html",
            found=found,
            age=language.duration(age) if age else "",
            words=words,
            category=category,
            cursor=cursor,
            categories=parts.remembered.categories(),
        )

    @app.get("/catalog/<sku>")
    def show_product(sku: str) -> Response:
        """One product."""
        product, age = parts.remembered.product(sku)
        if product is None:
            raise NotFound("the product does not exist")
        return page(
            "product.html",
            product=product,
            age=language.duration(age) if age else "",
            most=min(product.available, LARGEST_QUANTITY),
            in_basket=parts.baskets.current().quantities.get(product.sku, 0),
        )

    @app.get("/pictures/<path:category>/<sku>.svg")
    def show_picture(category: str, sku: str) -> Response:
        """The picture of a product."""
        response = Response(pictures.draw(category, sku), mimetype="image/svg+xml")
        response.cache_control.public = True
        response.cache_control.max_age = PICTURE_SECONDS
        return response
