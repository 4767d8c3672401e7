"""Fills the catalogue, and tells everyone what is in it.

Run it with `python -m services.product.seed`, as often as wanted: names and prices become those of catalogue.json, stock
that has begun stays as it is. With `--publish-only` nothing is written: the facts of all products are published again,
from which a service that follows them rebuilds its view.
"""

import argparse
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib import resources

import orjson

from services.common import aws, clock, telemetry
from services.common.events import BATCH, Publisher, SnsPublisher
from services.common.money import Money
from services.product import app, messages
from services.product.config import Settings
from services.product.domain import Product
from services.product.ports import Catalogue, Search

log = telemetry.logger(__name__)


def entries(at: datetime) -> Iterator[tuple[Product, int]]:
    """The products of catalogue.json, each with the stock that it begins with."""
    for entry in orjson.loads(resources.files(__package__).joinpath("catalogue.json").read_bytes()):
        price = Money(entry["price"], "EUR")
        yield Product(entry["sku"], entry["name"], entry["category"], price, at), entry["stock"]


def fill(catalogue: Catalogue, at: datetime) -> int:
    """Writes the products of catalogue.json; answers how many."""
    count = 0
    for product, stock in entries(at):
        catalogue.put(product, stock)
        count += 1
    return count


def publish(catalogue: Catalogue, publisher: Publisher) -> int:
    """Publishes the fact of every product; answers how many."""
    count = 0
    after: str | None = None
    while True:
        page = catalogue.page(Search(), after, BATCH)
        publisher.publish([messages.upserted(stocked.product) for stocked in page.products])
        count += len(page.products)
        after = page.next_after
        if after is None:
            return count


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m services.product.seed", description=__doc__)
    parser.add_argument(
        "--publish-only", action="store_true", help="write nothing, publish what is there again"
    )
    chosen = parser.parse_args(arguments)
    settings = Settings.load()
    telemetry.configure(settings.service, settings.log_level)
    catalogue = app.storage(settings).catalogue
    if not chosen.publish_only:
        log.info("catalogue_filled", products=fill(catalogue, clock.now()))
    publisher = SnsPublisher(aws.client("sns", settings), settings.events_topic_arn)
    log.info("catalogue_published", products=publish(catalogue, publisher))


if __name__ == "__main__":
    main()
