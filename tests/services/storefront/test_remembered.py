"""The catalog for an outage: what it remembers, for how long, and how often it asks a shop that does not respond."""

import pytest

from services.common.values.errors import Unavailable
from services.common.values.money import Money
from services.storefront.domain import Product
from services.storefront.remembered import (
    CATEGORIES_SECONDS,
    LONGEST_SECONDS,
    MOST_REMEMBERED,
    PAUSE_SECONDS,
    RememberedCatalog,
)
from tests.services.storefront.fakes import CUP, TEA, MemoryCatalog


class CountingCatalog(MemoryCatalog):
    """Products in memory. `asked`: number of requests."""

    asked = 0

    def respond(self) -> None:
        self.asked += 1
        super().respond()


class World:
    """A shop and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.shop = CountingCatalog(TEA, CUP)
        self.catalog = RememberedCatalog(self.shop, lambda: self.now)


@pytest.fixture
def world() -> World:
    return World()


def test_given_a_shop_that_responds_then_every_product_is_current(world: World) -> None:
    world.catalog.product(TEA.sku)
    world.shop.products[TEA.sku] = Product(TEA.sku, TEA.name, TEA.category, Money(1, "EUR"), 1)

    product, age = world.catalog.product(TEA.sku)

    assert product == world.shop.products[TEA.sku]
    assert age == 0


def test_given_a_shop_that_does_not_respond_then_a_known_product_has_its_age_for_a_day(world: World) -> None:
    world.catalog.product(TEA.sku)
    world.shop.down = True

    assert world.catalog.product(TEA.sku) == (TEA, 1.0)
    world.now += LONGEST_SECONDS
    assert world.catalog.product(TEA.sku) == (TEA, LONGEST_SECONDS)
    world.now += 1
    with pytest.raises(Unavailable):
        world.catalog.product(TEA.sku)


def test_given_a_shop_that_does_not_respond_when_known_pages_are_opened_then_it_is_asked_only_now_and_then(
    world: World,
) -> None:
    world.catalog.search("", None, None, 24)
    world.catalog.categories()
    world.shop.down = True
    world.now += CATEGORIES_SECONDS
    world.shop.asked = 0

    for _ in range(10):
        page, age = world.catalog.search("", None, None, 24)
        assert page.products == (CUP, TEA)
        assert age > 0
        assert world.catalog.categories() == ("cups", "tea")
    assert world.shop.asked == 1

    world.shop.down = False
    world.now += PAUSE_SECONDS
    assert world.catalog.search("", None, None, 24)[1] == 0


def test_given_a_shop_that_does_not_respond_when_an_unknown_page_is_opened_then_it_is_asked(
    world: World,
) -> None:
    world.catalog.product(TEA.sku)
    world.shop.down = True
    world.catalog.product(TEA.sku)
    world.shop.down = False

    assert world.catalog.product(CUP.sku) == (CUP, 0)
    assert world.catalog.product(TEA.sku) == (TEA, 0), "the shop responds again"


def test_given_more_pages_than_it_remembers_then_the_oldest_are_forgotten(world: World) -> None:
    for number in range(MOST_REMEMBERED + 1):
        world.catalog.product(f"S-{number}")
    world.shop.down = True

    assert world.catalog.product(f"S-{MOST_REMEMBERED}")[0] is None
    with pytest.raises(Unavailable):
        world.catalog.product("S-0")
