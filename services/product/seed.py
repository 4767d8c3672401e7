"""Fills the catalogue, and tells everyone what is in it.

Run it with `python -m services.product.seed`, as often as wanted: names and prices become those of catalogue.json, stock
that has begun stays as it is. With `--reset` as many pieces can be ordered again as at first; what is reserved or sold
stays so. With `--publish-only` nothing is written: the facts of all products are published again, from which a service
that follows them rebuilds its view.
"""

import argparse
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib import resources

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from services.common import aws, clock, telemetry
from services.common.events import SnsPublisher
from services.common.money import Money
from services.product import app, messages
from services.product.config import Settings
from services.product.domain import Product
from services.product.ports import Catalogue, Search

log = telemetry.logger(__name__)

PAGE = 100


def entries(at: datetime) -> Iterator[tuple[Product, int]]:
    """The products of catalogue.json, each with the stock that it begins with."""
    for entry in orjson.loads(resources.files(__package__).joinpath("catalogue.json").read_bytes()):
        price = Money(entry["price"], "EUR")
        yield Product(entry["sku"], entry["name"], entry["category"], price, at), entry["stock"]


def fill(catalogue: Catalogue, at: datetime) -> list[Product]:
    """Writes the products of catalogue.json; answers them."""
    products = []
    for product, stock in entries(at):
        catalogue.put(product, stock)
        products.append(product)
    return products


def restock(catalogue: Catalogue, at: datetime) -> None:
    """Makes as many pieces of each product available as it began with."""
    for product, stock in entries(at):
        catalogue.restock(product.sku, stock)


def listed(catalogue: Catalogue) -> Iterator[Product]:
    """Every product that there is, except that one of the last second may be missing."""
    after: str | None = None
    while True:
        page = catalogue.page(Search(), after, PAGE)
        yield from (stocked.product for stocked in page.products)
        after = page.next_after
        if after is None:
            return


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command.

    Raises:
        SystemExit: with what to do next, when AWS does not do its part.
    """
    parser = argparse.ArgumentParser(prog="python -m services.product.seed", description=__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--reset", action="store_true", help="make as many pieces available as at first")
    mode.add_argument(
        "--publish-only", action="store_true", help="write nothing, publish what is there again"
    )
    chosen = parser.parse_args(arguments)
    settings = Settings.load()
    telemetry.configure(settings.service, settings.log_level)
    catalogue = app.storage(settings).catalogue
    publisher = SnsPublisher(aws.client("sns", settings), settings.events_topic_arn)
    now = clock.now()
    try:
        # What was just written is told from here: the index that `listed` reads may not have it yet.
        products = list(listed(catalogue)) if chosen.publish_only else fill(catalogue, now)
        if chosen.reset:
            restock(catalogue, now)
        publisher.publish([messages.upserted(product) for product in products])
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(
            f"the catalogue is not complete: {error}\n"
            f"See that table {settings.table} and topic {settings.events_topic_arn} can be used, and run this again."
        ) from error
    log.info("catalogue_published", products=len(products), written=not chosen.publish_only)


if __name__ == "__main__":
    main()
