"""The seed: a catalogue worth showing, written and told as often as wanted."""

from pathlib import Path

import jsonschema
import orjson

import services.product
from services.common.events import MemoryPublisher
from services.product import seed
from services.product.domain import Item
from services.product.handlers import reserve_stock
from tests.services.product.fakes import MemoryShop
from tests.services.product.world import NOW, inventory

CONTRACT = Path(services.product.__file__).parent / "contracts" / "shop.product.upserted.v1.json"


def test_the_catalogue_is_large_enough_and_every_product_is_its_own() -> None:
    entries = list(seed.entries(NOW))

    assert len({product.sku for product, _ in entries}) == len(entries) >= 40
    assert len({product.name for product, _ in entries}) == len(entries)
    assert len({product.category for product, _ in entries}) >= 5
    assert all(stock > 0 and product.price.amount > 0 for product, stock in entries)


def test_a_second_seed_leaves_the_stock_as_it_is() -> None:
    shop, publisher = MemoryShop(), MemoryPublisher()
    seed.fill(shop, NOW)
    (first, stock), *_ = seed.entries(NOW)
    reserve_stock("order-1", [Item(first.sku, 2)], stock=shop, publisher=publisher)

    seed.fill(shop, NOW)

    assert inventory(shop, first.sku).available == stock - 2
    assert inventory(shop, first.sku).reserved == 2


def test_every_product_is_told_and_told_again_as_the_same_fact() -> None:
    shop, publisher = MemoryShop(), MemoryPublisher()
    count = seed.fill(shop, NOW)

    assert seed.publish(shop, publisher) == seed.publish(shop, publisher) == count

    told = publisher.events
    assert [event.id for event in told[:count]] == [event.id for event in told[count:]]
    assert len({event.subject for event in told}) == count
    schema = orjson.loads(CONTRACT.read_bytes())
    for event in told:
        jsonschema.Draft202012Validator(schema).validate(event.to_dict())
