from collections.abc import Iterator

import pytest

from shopprocs.customer import Customer
from shopprocs.shop import Shop


@pytest.fixture
def customer(shop: Shop) -> Iterator[Customer]:
    """A customer at the front door."""
    customer = Customer(shop.url)
    yield customer
    customer.close()


@pytest.fixture
def sku(customer: Customer) -> str:
    """A product with enough stock."""
    available: str = max(customer.catalogue(), key=lambda product: product["available"])["sku"]
    return available
