"""Builds the shipping service: its storage, its carrier, and its API."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.common.aws import clients, faults
from services.common.aws.ledger import DynamoLedger
from services.common.aws.outbox import DynamoOutbox
from services.common.messaging.dlq.sqs import connecting
from services.common.messaging.outbox import Outbox
from services.common.telemetry import logs
from services.shipping.carrier import sandbox
from services.shipping.config import Settings
from services.shipping.dynamo import DynamoShipments
from services.shipping.ports import Carrier, Shipments

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The storage and the carrier of the service."""

    shipments: Shipments
    carrier: Carrier
    outbox: Outbox


def dependencies(settings: Settings) -> Dependencies:
    """The storage in the service's table, and the carrier that the settings select."""
    client = clients.client("dynamodb", settings)
    outbox = DynamoOutbox(client, settings.table)
    return Dependencies(
        shipments=DynamoShipments(client, settings.table, outbox),
        carrier=sandbox(
            DynamoLedger(client, settings.table), settings.carrier_seconds, faults.faults(settings)
        ),
        outbox=outbox,
    )


def create_app() -> "Flask":
    """The API as a WSGI application, from the environment.

    Raises:
        SystemExit: a setting is missing or invalid.
    """
    from services.common.http import auth, dead_letters  # noqa: PLC0415 - as below
    from services.shipping import api  # noqa: PLC0415 - the consumer needs no web framework

    settings = Settings.load()
    logs.configure(settings.service, settings.log_level)
    place = connecting(settings, settings.tasks_queue_url)
    return api.create(
        dependencies(settings).shipments, auth.verifier(), [dead_letters.blueprint(settings.service, place)]
    )
