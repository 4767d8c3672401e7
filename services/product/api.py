"""The HTTP API of the product service: schemas of requests and responses, and the handler of each operation."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from flask import Flask, Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from services.common.http import cursor, web
from services.common.http.auth import Verifier
from services.product import handlers
from services.product.domain import Stocked
from services.product.ports import Catalogue, Search
from services.product.recent import KEPT, Recent

VERSION = "1.0.0"
MOST_LISTED, USUALLY_LISTED = 100, 20
LONGEST_SEARCH = 100
TAG = Tag(name="products", description="Products and their stock")

Sku = Annotated[str, Field(min_length=1, max_length=64, examples=["CF-001"])]
Count = Annotated[int, Field(ge=0, examples=[120])]


class MoneyOut(BaseModel):
    """An amount of money."""

    amount: int = Field(ge=0, description="Amount in minor units, such as cents", examples=[1190])
    currency: str = Field(description="ISO 4217 currency code", examples=["EUR"])


class ProductOut(BaseModel):
    """A product."""

    sku: Sku = Field(description="SKU of the product")
    name: str = Field(description="Name of the product", examples=["Ethiopia Yirgacheffe Coffee Beans 250 g"])
    category: str = Field(description="Category of the product", examples=["coffee"])
    price: MoneyOut = Field(description="Price of one piece")
    available: Count = Field(description="Number of pieces that can be ordered")


class ProductsOut(BaseModel):
    """A page of products, sorted by SKU."""

    items: list[ProductOut] = Field(description="Products of this page")
    next: str | None = Field(description="`cursor` of the next page; null on the last page")


class InventoryOut(BaseModel):
    """The stock of a product. The sum of the three numbers changes only when stock is added."""

    sku: Sku = Field(description="SKU of the product")
    available: Count = Field(description="Number of pieces that can be ordered")
    reserved: Count = Field(description="Number of pieces that are reserved for orders in progress")
    sold: Count = Field(description="Number of pieces that were sold")


class ProductQuery(web.Parameters):
    """The products to list."""

    q: str = Field(
        "",
        max_length=LONGEST_SEARCH,
        description="Search words. The name or the SKU of a product must contain each of them",
    )
    category: str | None = Field(
        None, min_length=1, max_length=64, description="Category of the products; omit for all categories"
    )
    limit: int = Field(
        USUALLY_LISTED, ge=1, le=MOST_LISTED, description="Maximum number of products in the response"
    )
    cursor: str | None = Field(
        None, max_length=512, description="`next` of the previous page; omit for the first page"
    )


class SkuPath(web.Parameters):
    """The product of an operation."""

    sku: str = Field(max_length=64, description="`sku` of a product")


def create(
    catalogue: Catalogue,
    ready: web.Ready | None = None,
    verifier: Verifier | None = None,
    others: Sequence[APIBlueprint] = (),
) -> Flask:
    """The API as a WSGI application.

    Args:
        catalogue: storage of products.
        ready: further checks of /readyz by name.
        verifier: authenticates callers of other operations; the catalog is public.
        others: further operations.
    """
    blueprint = web.blueprint("product", __name__, TAG)
    recent = Recent()

    @blueprint.get("/products", summary="Search products", responses={HTTPStatus.OK: ProductsOut})
    def list_products(query: ProductQuery) -> Response:
        """Returns products, sorted by SKU. A new product may appear after a second."""
        after = cursor.decode(query.cursor, {"sku"})["sku"] if query.cursor else None
        page = handlers.list_products(
            Search(tuple(query.q.split()), query.category), after, query.limit, catalogue=catalogue
        )
        return web.json_response(
            ProductsOut(
                items=[_product(stocked) for stocked in page.products],
                next=cursor.encode({"sku": page.next_after}) if page.next_after else None,
            )
        )

    @blueprint.get(
        "/products/<string:sku>",
        summary="Get a product",
        responses={HTTPStatus.OK: ProductOut, **web.problems(HTTPStatus.NOT_FOUND)},
    )
    def show_product(path: SkuPath) -> Response:
        """Returns a product with its price and stock, at most a second old. With If-None-Match, 304 if it is unchanged."""
        shown = recent.get(
            path.sku, lambda: web.json_bytes(_product(handlers.show_product(path.sku, catalogue=catalogue)))
        )
        headers = {"ETag": shown.etag, "Cache-Control": f"max-age={KEPT:.0f}"}
        if request.if_none_match.contains_weak(shown.etag.strip('"')):
            return Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(shown.body, HTTPStatus.OK, headers, content_type="application/json")

    @blueprint.get(
        "/inventory/<string:sku>",
        summary="Get the stock of a product",
        responses={HTTPStatus.OK: InventoryOut, **web.problems(HTTPStatus.NOT_FOUND)},
    )
    def show_inventory(path: SkuPath) -> Response:
        """Returns the number of available, reserved and sold pieces."""
        inventory = handlers.show_inventory(path.sku, catalogue=catalogue)
        return web.json_response(
            InventoryOut(
                sku=inventory.sku,
                available=inventory.available,
                reserved=inventory.reserved,
                sold=inventory.sold,
            )
        )

    return web.create_app(
        name="product",
        version=VERSION,
        apis=[blueprint, *others],
        ready={"catalogue": catalogue.ping, **(ready or {})},
        verifier=verifier,
    )


def _product(stocked: Stocked) -> ProductOut:
    product = stocked.product
    return ProductOut(
        sku=product.sku,
        name=product.name,
        category=product.category,
        price=MoneyOut(amount=product.price.amount, currency=product.price.currency),
        available=stocked.inventory.available,
    )
