"""The HTTP API of the product service."""

from http import HTTPStatus
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient

from services.product import api
from tests.services.product.fakes import MemoryShop
from tests.services.product.world import product


@pytest.fixture
def client() -> FlaskClient:
    shop = MemoryShop()
    for number in range(25):
        shop.put(product(f"CUP-{number:02}", f"Cup {number}"), number, None)
    shop.put(product("TEA", "Earl Grey", "tea"), 3, None)
    return api.create(shop).test_client()


def get(client: FlaskClient, path: str, status: HTTPStatus = HTTPStatus.OK) -> Any:
    response = client.get(path)
    assert response.status_code == status
    return orjson.loads(response.data)


def test_given_26_products_when_they_are_listed_then_each_page_has_at_most_20(client: FlaskClient) -> None:
    first = get(client, "/products")
    rest = get(client, f"/products?cursor={first['next']}")

    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (20, 6, None)
    assert first["items"][3] == {
        "sku": "CUP-03",
        "name": "Cup 3",
        "category": "cups",
        "price": {"amount": 790, "currency": "EUR"},
        "available": 3,
    }


def test_given_a_catalog_when_words_and_a_category_are_searched_then_the_matching_products_are_returned(
    client: FlaskClient,
) -> None:
    assert [item["sku"] for item in get(client, "/products?q=grey+EARL")["items"]] == ["TEA"]
    assert [item["sku"] for item in get(client, "/products?category=tea")["items"]] == ["TEA"]
    assert get(client, "/products?q=cup&category=tea") == {"items": [], "next": None}


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=x", f"q={'x' * 101}"])
def test_given_an_invalid_query_when_products_are_listed_then_the_error_names_the_parameter(
    client: FlaskClient, query: str
) -> None:
    problem = get(client, f"/products?{query}", HTTPStatus.BAD_REQUEST)

    assert query.split("=", maxsplit=1)[0] in problem["detail"]


def test_given_a_product_when_it_and_its_stock_are_requested_then_they_are_returned(
    client: FlaskClient,
) -> None:
    assert get(client, "/products/TEA")["name"] == "Earl Grey"
    assert get(client, "/inventory/TEA") == {"sku": "TEA", "available": 3, "reserved": 0, "sold": 0}


@pytest.mark.parametrize(
    ("tag", "status"),
    [(None, HTTPStatus.NOT_MODIFIED), ('"another"', HTTPStatus.OK)],
    ids=["of the response", "another"],
)
def test_given_the_tag_of_a_product_when_it_is_requested_again_then_the_body_is_sent_only_if_it_has_changed(
    client: FlaskClient, tag: str | None, status: HTTPStatus
) -> None:
    first = client.get("/products/TEA")

    again = client.get("/products/TEA", headers={"If-None-Match": tag or first.headers["ETag"]})

    assert (again.status_code, bool(again.data)) == (status, status is HTTPStatus.OK)
    assert (again.headers["ETag"], again.headers["Cache-Control"]) == (first.headers["ETag"], "max-age=1")


@pytest.mark.parametrize("path", ["/products/none", "/inventory/none"])
def test_given_an_unknown_sku_when_the_product_or_its_stock_is_requested_then_it_is_not_found(
    client: FlaskClient, path: str
) -> None:
    assert (
        get(client, path, HTTPStatus.NOT_FOUND)["detail"]
        == "product not found; GET /products lists the products"
    )
