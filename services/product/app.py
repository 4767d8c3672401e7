"""Builds the product service: its storage, and its API."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.common.aws import clients
from services.common.aws.outbox import DynamoOutbox
from services.common.messaging.dlq.sqs import connecting
from services.common.messaging.outbox import Outbox
from services.common.runtime.settings import ServiceSettings
from services.common.telemetry import logs
from services.product.config import Settings
from services.product.dynamo import DynamoCatalogue, DynamoStock
from services.product.ports import Catalogue, Stock

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True, slots=True)
class Storage:
    """The storage of the service."""

    catalogue: Catalogue
    stock: Stock
    outbox: Outbox


def storage(settings: Settings) -> Storage:
    """The service's storage in its table."""
    client = clients.client("dynamodb", settings)
    outbox = DynamoOutbox(client, settings.table)
    return Storage(
        catalogue=DynamoCatalogue(client, settings.table, outbox),
        stock=DynamoStock(client, settings.table, outbox),
        outbox=outbox,
    )


def catalogue(settings: ServiceSettings) -> DynamoCatalogue:
    """The catalog in the service's table."""
    client = clients.client("dynamodb", settings)
    return DynamoCatalogue(client, settings.table, DynamoOutbox(client, settings.table))


def create_app() -> "Flask":
    """The API as a WSGI application, from the environment.

    Raises:
        SystemExit: a setting is missing or invalid.
    """
    from services.common.http import auth, beside, dead_letters  # noqa: PLC0415 - as below
    from services.product import api  # noqa: PLC0415 - the consumer and the seed need no web framework

    settings = Settings.load()
    logs.configure(settings.service, settings.log_level)
    found = catalogue(settings)
    place = connecting(settings, settings.tasks_queue_url)
    created = api.create(
        found,
        {"search": found.searchable.ready},
        auth.verifier(),
        [dead_letters.blueprint(settings.service, place)],
    )
    beside.add(created, found.searchable)
    return created
