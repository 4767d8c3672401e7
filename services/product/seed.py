"""Write the example catalog, and publish its products.

Run `python -m services.product.seed` as often as you like. It adds the products of catalogue.json that are missing. Existing
products keep their names and prices, and their events are published again. With `--overwrite`, existing products get the
names and prices of catalogue.json. Existing stock does not change, except with `--reset`, which sets the available quantity
of each product to its initial value; reserved and sold quantities do not change. With `--publish-only`, no product is
written: the events of all products are published again, so that a subscriber can rebuild its view.

Each product is written together with its event, in the outbox. The command publishes the events itself. If the topic is
unavailable or the command is killed, the relay in the consumer process publishes the rest.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from importlib import resources
from itertools import takewhile

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from services.common.aws import clients
from services.common.aws.sns import SnsPublisher
from services.common.messaging.outbox import FACT, OutboxRecord, of_fact
from services.common.messaging.relay import Relay, publishing
from services.common.telemetry import logs
from services.common.values.errors import InvalidValue, UnreadableRow
from services.common.values.money import Money
from services.product import app, handlers, messages
from services.product.config import Settings
from services.product.domain import Product
from services.product.ports import Catalogue, Search

log = logs.logger(__name__)

PAGE = 100
# `handlers.add_product` or `handlers.put_product`.
Put = Callable[..., OutboxRecord]


def entries(at: datetime) -> Iterator[tuple[Product, int]]:
    """The products of catalogue.json with their initial stock."""
    for entry in orjson.loads(resources.files(__package__).joinpath("catalogue.json").read_bytes()):
        price = Money(entry["price"], "EUR")
        yield Product(entry["sku"], entry["name"], entry["category"], price, at), entry["stock"]


def fill(catalogue: Catalogue, put: Put = handlers.add_product) -> tuple[list[OutboxRecord], list[str]]:
    """Writes the products of catalogue.json. Returns their outbox records, and the SKUs of unreadable products.

    Args:
        catalogue: storage of products.
        put: `handlers.add_product`, or `handlers.put_product` to overwrite existing products.
    """
    records: list[OutboxRecord] = []
    unreadable: list[str] = []
    for product, stock in entries(catalogue.now()):
        try:
            records.append(put(product, stock, catalogue=catalogue))
        except UnreadableRow:
            unreadable.append(product.sku)
    return records, unreadable


def publish_again(catalogue: Catalogue) -> list[OutboxRecord]:
    """Adds outbox records that publish the events of all products again. Returns the records."""
    records = [of_fact(messages.upserted(product)) for product in listed(catalogue)]
    for record in records:
        catalogue.publish_again(record)
    return records


def restock(catalogue: Catalogue) -> None:
    """Sets the available pieces of each product to the initial stock."""
    for product, stock in entries(catalogue.now()):
        catalogue.restock(product.sku, stock)


def listed(catalogue: Catalogue) -> Iterator[Product]:
    """All products. May omit products of the last second."""
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
        SystemExit: AWS failed, or a product cannot be read; the message contains the next step.
    """
    parser = argparse.ArgumentParser(prog="python -m services.product.seed", description=__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--overwrite", action="store_true", help="set the names and prices of existing products too"
    )
    mode.add_argument("--reset", action="store_true", help="set available quantities to their initial values")
    mode.add_argument(
        "--publish-only",
        action="store_true",
        help="write no product; publish the events of all products again",
    )
    chosen = parser.parse_args(arguments)
    settings = Settings.load()
    logs.configure(settings.service, settings.log_level)
    storage = app.storage(settings)
    publisher = SnsPublisher(clients.client("sns", settings), settings.events_topic_arn)
    try:
        put = handlers.put_product if chosen.overwrite else handlers.add_product
        records, unreadable = (
            (publish_again(storage.catalogue), []) if chosen.publish_only else fill(storage.catalogue, put)
        )
        if chosen.reset:
            restock(storage.catalogue)
    except (BotoCoreError, ClientError, InvalidValue) as error:
        raise SystemExit(
            f"the catalog is incomplete: {error}\n"
            f"Check that table {settings.table} can be accessed, and run this command again."
        ) from error
    relay = Relay(storage.outbox, {FACT: publishing(publisher)})
    # The relay in the consumer process sends the remaining records, at the latest when the topic is available again.
    sent = list(takewhile(relay.relay, records))
    log.info(
        "catalogue_published",
        products=len(records),
        left_to_relay=len(records) - len(sent),
        written=not chosen.publish_only,
    )
    if unreadable:
        raise SystemExit(
            "all other products are written, but the rows of these products cannot be read: "
            f"{', '.join(unreadable)}\n"
            f"Repair the rows in table {settings.table}, and run this command again."
        )


if __name__ == "__main__":
    main()
