"""Secrets that one service hands over to another."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from services.common.aws.vault import KEPT, DynamoVault
from shopdev.processes.emulator import AwsServer


def test_given_stored_secrets_when_one_is_deleted_or_expires_then_it_is_no_longer_found_by_name(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table = account.clients.dynamodb, create_table()
    at = datetime(2026, 1, 31, tzinfo=UTC)
    vault = DynamoVault(client, table, lambda: at)
    for name in ("order-0", "order-1", "order-2"):
        client.transact_write_items(TransactItems=[vault.addition(name, f"secret of {name}")])

    assert vault.find("order-1") == "secret of order-1"
    assert vault.find("order-3") is None
    client.transact_write_items(TransactItems=[vault.removal("order-0"), vault.removal("order-3")])
    assert vault.find("order-0") is None
    vault.forget("order-1")
    vault.forget("order-1")
    assert (vault.find("order-1"), vault.find("order-2")) == (None, "secret of order-2")
    at += KEPT + timedelta(seconds=1)
    assert vault.find("order-2") is None, "though DynamoDB may still have it"
