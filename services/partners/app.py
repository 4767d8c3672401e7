"""Builds the dependencies of the authorizer and of the admin command from the environment."""

from dataclasses import dataclass

from services.common.aws import clients
from services.common.telemetry import logs
from services.partners.config import Settings
from services.partners.dynamo import DynamoKeys
from services.partners.ports import Keys


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The storage of keys, and the secret that keys are hashed with."""

    keys: Keys
    pepper: bytes


def dependencies() -> Dependencies:
    """The dependencies of this process.

    Raises:
        SystemExit: a setting is missing or invalid.
    """
    settings = Settings.load()
    logs.configure(settings.service, settings.log_level)
    found = clients.client("secretsmanager", settings).get_secret_value(SecretId=settings.pepper_secret_id)
    pepper = str(found["SecretString"]).encode()
    return Dependencies(DynamoKeys(clients.client("dynamodb", settings), settings.table), pepper)
