"""Builds the payment service: its storage, its payment provider, and its API."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.common.aws import clients, faults
from services.common.aws.ledger import DynamoLedger
from services.common.aws.outbox import DynamoOutbox
from services.common.aws.vault import DynamoVault
from services.common.messaging.dlq.sqs import connecting
from services.common.messaging.outbox import Outbox
from services.common.telemetry import logs
from services.payment.config import Settings
from services.payment.dynamo import DynamoPayments
from services.payment.ports import Payments, Provider, Tokens
from services.payment.provider import sandbox

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The storage and the payment provider of the service."""

    payments: Payments
    provider: Provider
    outbox: Outbox
    tokens: Tokens


def dependencies(settings: Settings) -> Dependencies:
    """The storage in the service's table, and the provider that the settings select."""
    client = clients.client("dynamodb", settings)
    outbox = DynamoOutbox(client, settings.table)
    tokens = DynamoVault(client, settings.tokens_table)
    return Dependencies(
        payments=DynamoPayments(client, settings.table, outbox, tokens),
        provider=sandbox(
            DynamoLedger(client, settings.table), settings.provider_seconds, faults.faults(settings)
        ),
        outbox=outbox,
        tokens=tokens,
    )


def create_app() -> "Flask":
    """The API as a WSGI application, from the environment.

    Raises:
        SystemExit: a setting is missing or invalid.
    """
    from services.common.http import auth, dead_letters  # noqa: PLC0415 - as below
    from services.payment import api  # noqa: PLC0415 - the consumer needs no web framework

    settings = Settings.load()
    logs.configure(settings.service, settings.log_level)
    place = connecting(settings, settings.tasks_queue_url)
    return api.create(
        dependencies(settings).payments, auth.verifier(), [dead_letters.blueprint(settings.service, place)]
    )
