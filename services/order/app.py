"""Builds the order service: its storage, and its API."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.common.aws import clients, faults
from services.common.aws.idempotency import DynamoIdempotency
from services.common.aws.outbox import DynamoOutbox
from services.common.aws.vault import DynamoVault
from services.common.http.idempotency import IdempotencyStore
from services.common.messaging.dlq.sqs import connecting
from services.common.messaging.outbox import Outbox
from services.common.telemetry import logs
from services.order.config import Settings
from services.order.dynamo import DynamoOrders, DynamoProducts
from services.order.findings import DynamoFindings
from services.order.ports import Findings, Orders, Products

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True, slots=True)
class Storage:
    """The storage of the service."""

    orders: Orders
    products: Products
    idempotency: IdempotencyStore
    outbox: Outbox
    findings: Findings


def storage(settings: Settings) -> Storage:
    """The service's storage in its table."""
    client = clients.client("dynamodb", settings)
    idempotency = DynamoIdempotency(client, settings.table)
    outbox = DynamoOutbox(client, settings.table)
    return Storage(
        orders=DynamoOrders(
            client, settings.table, idempotency, outbox, DynamoVault(client, settings.tokens_table)
        ),
        products=DynamoProducts(client, settings.table),
        idempotency=idempotency,
        outbox=outbox,
        findings=DynamoFindings(client, settings.table),
    )


def create_app() -> "Flask":
    """The API as a WSGI application, from the environment.

    Raises:
        SystemExit: a setting is missing or invalid.
    """
    from services.common.aws.discovery import resolver  # noqa: PLC0415 - as below
    from services.common.http import auth, beside, dead_letters  # noqa: PLC0415 - as below
    from services.order import api  # noqa: PLC0415 - the consumer and the relay need no web framework
    from services.order import faults as faults_api  # noqa: PLC0415 - as above
    from services.order.related_resources import HttpRelatedResources  # noqa: PLC0415 - as above
    from services.order.senders import own_relay  # noqa: PLC0415 - as above

    settings = Settings.load()
    logs.configure(settings.service, settings.log_level)
    stored = storage(settings)
    switchboard = faults.switchboard(settings)
    related_resources = HttpRelatedResources(
        {
            "payment": (resolver(settings.payment_url, settings), "/payments"),
            "shipment": (resolver(settings.shipping_url, settings), "/shipments"),
        },
        settings.details_timeout_seconds,
    )
    place = connecting(settings, settings.tasks_queue_url, settings.events_queue_url)
    created = api.create(
        stored.orders,
        stored.products,
        stored.idempotency,
        related_resources,
        stored.findings,
        auth.verifier(),
        [
            dead_letters.blueprint(settings.service, place),
            *([] if switchboard is None else [faults_api.create(switchboard)]),
        ],
    )
    beside.add(created, own_relay(settings, stored.outbox))
    return created
