"""The product service over HTTP: what requests and answers look like, and which handler they go to."""

from http import HTTPStatus
from typing import Annotated

from flask import Flask, Response
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from services.common.http import cursor, web
from services.product import handlers
from services.product.domain import Stocked
from services.product.ports import Catalogue, Search

VERSION = "1.0.0"
MOST_LISTED, USUALLY_LISTED = 100, 20
LONGEST_SEARCH = 100
TAG = Tag(name="products", description="What the shop sells, and how much there is of it")

Sku = Annotated[str, Field(min_length=1, max_length=64, examples=["CF-001"])]
Count = Annotated[int, Field(ge=0, examples=[120])]


class MoneyOut(BaseModel):
    """An amount of money."""

    amount: int = Field(ge=0, description="Minor units, such as cents", examples=[1190])
    currency: str = Field(description="ISO 4217 code", examples=["EUR"])


class ProductOut(BaseModel):
    """A product that the shop sells."""

    sku: Sku
    name: str = Field(examples=["Ethiopia Yirgacheffe Coffee Beans 250 g"])
    category: str = Field(examples=["coffee"])
    price: MoneyOut
    available: Count = Field(description="How many can be ordered")


class ProductsOut(BaseModel):
    """A page of products, by SKU."""

    items: list[ProductOut]
    next: str | None = Field(description="`cursor` of the next page; null at the end")


class InventoryOut(BaseModel):
    """A product's stock. The sum of the three numbers changes by a delivery only."""

    sku: Sku
    available: Count = Field(description="How many can be ordered")
    reserved: Count = Field(description="How many are kept for orders on their way")
    sold: Count = Field(description="How many were shipped")


class ProductQuery(web.Parameters):
    """Which products to list."""

    q: str = Field(
        "", max_length=LONGEST_SEARCH, description="Words, all of which are in the name or the SKU"
    )
    category: str | None = Field(None, min_length=1, max_length=64, description="Of this category only")
    limit: int = Field(USUALLY_LISTED, ge=1, le=MOST_LISTED, description="Maximum number of products")
    cursor: str | None = Field(None, max_length=512, description="`next` of the previous page")


class SkuPath(web.Parameters):
    """Which product."""

    sku: str = Field(max_length=64, description="The `sku` of a product")


def create(catalogue: Catalogue) -> Flask:
    """The API as a WSGI application."""
    blueprint = web.blueprint("product", __name__, TAG)

    @blueprint.get("/products", summary="Search products", responses={HTTPStatus.OK: ProductsOut})
    def list_products(query: ProductQuery) -> Response:
        """Products by SKU; a new product may take a second to appear."""
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
        summary="Show a product",
        responses={HTTPStatus.OK: ProductOut, **web.problems(HTTPStatus.NOT_FOUND)},
    )
    def show_product(path: SkuPath) -> Response:
        """A product as it was last written."""
        return web.json_response(_product(handlers.show_product(path.sku, catalogue=catalogue)))

    @blueprint.get(
        "/inventory/<string:sku>",
        summary="Show a product's stock",
        responses={HTTPStatus.OK: InventoryOut, **web.problems(HTTPStatus.NOT_FOUND)},
    )
    def show_inventory(path: SkuPath) -> Response:
        """How many pieces can be ordered, are kept for orders, and were sold."""
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
        name="product", version=VERSION, apis=[blueprint], ready={"catalogue": catalogue.ping}
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
