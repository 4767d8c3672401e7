from collections.abc import Iterator

import pytest

from shopdev.customer import Customer
from shopdev.processes.shop import Shop


@pytest.fixture
def customer(shop: Shop) -> Iterator[Customer]:
    """Alice at the front door."""
    with Customer(shop.url, shop.token()) as customer:
        yield customer


@pytest.fixture
def sku(customer: Customer) -> str:
    """A product with enough stock."""
    available: str = max(customer.catalogue(), key=lambda product: product["available"])["sku"]
    return available
