"""The API keys of partners: hashes, scopes, rotation and revocation."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from services.common.aws import dynamo
from services.common.values.clock import Clock
from services.partners import admin, app, domain, function, handlers
from services.partners.app import Dependencies
from services.partners.domain import InvalidKey, PartnerKey
from services.partners.dynamo import DynamoKeys
from services.partners.handlers import NoSuchKey
from services.partners.ports import AlreadyRevoked, Keys
from shopdev.processes.emulator import AwsServer
from tests.services.accounts import EITHER, new_table

PEPPER = b"a pepper of many random bytes"
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
READ = ["orders:read"]


class MemoryKeys:
    """The records of keys."""

    def __init__(self) -> None:
        self.records: dict[str, PartnerKey] = {}

    def find(self, key_id: str) -> PartnerKey | None:
        return self.records.get(key_id)

    def of(self, partner: str | None) -> Iterator[PartnerKey]:
        found = (each for each in self.records.values() if partner in {None, each.partner})
        yield from sorted(found, key=lambda each: each.issued_at)

    def save(self, *keys: PartnerKey) -> None:
        if any(key.id in self.records and self.records[key.id].revoked_at for key in keys):
            raise AlreadyRevoked
        self.records |= {key.id: key for key in keys}


@pytest.fixture(params=["memory", *EITHER])
def keys(request: pytest.FixtureRequest) -> Keys:
    if request.param == "memory":
        return MemoryKeys()
    account: AwsServer = request.getfixturevalue(request.param)
    client = account.clients.dynamodb
    return DynamoKeys(client, new_table(account.clients))


def at(time: datetime) -> Clock:
    return lambda: time


def issue(keys: Keys, partner: str = "acme", scopes: list[str] = READ) -> tuple[str, PartnerKey]:
    return handlers.issue(partner, scopes, keys=keys, pepper=PEPPER, now=at(NOW))


def good(key: str, keys: Keys, time: datetime = NOW) -> PartnerKey | None:
    return handlers.authorize(key, keys=keys, pepper=PEPPER, now=at(time))


def test_given_an_issued_key_when_it_is_authorized_then_its_record_has_the_partner_and_the_scopes(
    keys: Keys,
) -> None:
    key, record = issue(keys)

    assert good(key, keys) == record
    assert (record.partner, record.scopes) == ("acme", frozenset(READ))


def test_given_an_issued_key_when_its_record_is_read_then_it_contains_no_part_of_the_secret(
    keys: Keys,
) -> None:
    key, record = issue(keys)
    _, _, secret = key.split("_", 2)

    assert secret not in str(keys.find(record.id))
    assert handlers.authorize(key, keys=keys, pepper=b"another", now=at(NOW)) is None
    assert len(secret) == 43


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "shop_",
        "shop_0_x",
        "x" * 10_000,
        f"shop_{'0' * 20}_{'A' * 43}",
        "{key}x",
        " {key}",
        "{key}\n",
        "{upper}",
        "shop_{id}_" + "A" * 43,
    ],
)
def test_given_a_forged_key_when_it_is_authorized_then_it_is_rejected(keys: Keys, forged: str) -> None:
    key, record = issue(keys)
    shown = forged.format(key=key, upper=key.upper(), id=record.id)

    assert good(shown, keys) is None


def test_given_an_expired_key_when_it_is_authorized_then_it_is_rejected(keys: Keys) -> None:
    key, record = issue(keys)

    assert good(key, keys, record.ends_at - timedelta(seconds=1))
    assert good(key, keys, record.ends_at) is None


def test_given_a_rotated_key_when_the_overlap_ends_then_only_its_successor_is_valid(
    keys: Keys,
) -> None:
    old, record = issue(keys, scopes=["orders:read", "orders:write"])

    new, successor = handlers.rotate(record.id, timedelta(days=7), keys=keys, pepper=PEPPER, now=at(NOW))

    assert (successor.partner, successor.scopes) == (record.partner, record.scopes)
    assert good(old, keys, NOW + timedelta(days=6))
    assert good(new, keys, NOW + timedelta(days=6))
    assert good(old, keys, NOW + timedelta(days=7)) is None
    assert good(new, keys, NOW + timedelta(days=7))


def test_given_a_revoked_key_when_it_is_authorized_rotated_or_saved_then_it_stays_revoked(keys: Keys) -> None:
    key, record = issue(keys)

    revoked = handlers.revoke(record.id, keys=keys, now=at(NOW))

    assert good(key, keys) is None
    assert handlers.revoke(record.id, keys=keys, now=at(NOW + timedelta(days=1))) == revoked
    with pytest.raises(InvalidKey):
        handlers.rotate(record.id, timedelta(), keys=keys, pepper=PEPPER, now=at(NOW))
    with pytest.raises(AlreadyRevoked):  # a rotation that read the record before
        keys.save(record)


@pytest.mark.parametrize(
    ("partner", "scopes", "life"),
    [
        ("", READ, timedelta(days=1)),
        ("Acme", READ, timedelta(days=1)),
        ("a" * 41, READ, timedelta(days=1)),
        ("acme:x", READ, timedelta(days=1)),
        ("acme", [], timedelta(days=1)),
        ("acme", ["ops:read"], timedelta(days=1)),
        ("acme", READ, timedelta()),
        ("acme", READ, timedelta(days=366)),
    ],
)
def test_given_an_invalid_partner_scope_or_lifetime_when_a_key_is_issued_then_nothing_is_written(
    keys: Keys, partner: str, scopes: list[str], life: timedelta
) -> None:
    with pytest.raises(InvalidKey):
        handlers.issue(partner, scopes, keys=keys, pepper=PEPPER, life=life, now=at(NOW))

    assert list(keys.of(None)) == []


def test_given_an_unknown_key_when_it_is_revoked_then_an_error_is_raised(keys: Keys) -> None:
    with pytest.raises(NoSuchKey):
        handlers.revoke("0" * 20, keys=keys)


def test_given_two_keys_of_one_partner_when_they_are_issued_then_their_ids_secrets_and_digests_differ() -> (
    None
):
    one, two = (domain.issue("acme", READ, PEPPER, NOW) for _ in range(2))

    assert one[0] != two[0]
    assert one[1].id != two[1].id
    assert one[1].digest != two[1].digest


def test_given_valid_and_invalid_keys_when_the_authorizer_runs_then_its_response_has_the_api_gateway_format(
    keys: Keys,
) -> None:
    key, record = handlers.issue("acme", ["orders:write", "orders:read"], keys=keys, pepper=PEPPER)
    dependencies = Dependencies(keys, PEPPER)

    assert function.answer({"headers": {"x-api-key": key}}, dependencies) == {
        "isAuthorized": True,
        "context": {"partner": "acme", "scopes": "orders:read orders:write", "key": record.id},
    }
    for headers in ({}, {"x-api-key": ""}, {"x-api-key": "guessed"}, {"x-api-key": "x" * 100_000}):
        assert function.answer({"headers": headers}, dependencies) == {"isAuthorized": False}


def test_given_a_valid_and_an_invalid_key_when_they_are_authorized_then_the_log_contains_neither(
    capsys: pytest.CaptureFixture[str],
) -> None:
    keys = MemoryKeys()
    key, record = handlers.issue("acme", READ, keys=keys, pepper=PEPPER)
    for shown in (key, key[:-1] + "x"):
        function.answer({"headers": {"x-api-key": shown}}, Dependencies(keys, PEPPER))

    printed = "".join(capsys.readouterr())
    assert key.split("_", 2)[2][:20] not in printed
    assert record.digest not in printed


# ---- the command


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> MemoryKeys:
    keys = MemoryKeys()
    monkeypatch.setattr(app, "dependencies", lambda: Dependencies(keys, PEPPER))
    return keys


def test_when_the_command_issues_a_key_then_the_key_is_on_standard_output_only(
    command: MemoryKeys, capsys: pytest.CaptureFixture[str]
) -> None:
    admin.main(["issue", "--partner", "acme", "--scope", "orders:read"])

    said = capsys.readouterr()
    (key,) = said.out.splitlines()
    assert handlers.authorize(key, keys=command, pepper=PEPPER)
    assert key not in said.err


def test_given_a_rotated_and_revoked_key_when_keys_are_listed_then_the_list_shows_their_states(
    command: MemoryKeys, capsys: pytest.CaptureFixture[str]
) -> None:
    admin.main(["issue", "--partner", "acme", "--scope", "orders:read"])
    (first,) = command.records
    admin.main(["rotate", first, "--overlap-days", "1"])
    admin.main(["revoke", first])
    capsys.readouterr()

    admin.main(["list", "--partner", "acme"])

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[3] for line in lines] == ["revoked", "active"]
    assert not any(record.digest in line for line in lines for record in command.records.values())


@pytest.mark.parametrize(
    "arguments",
    [["revoke", "none"], ["rotate", "none"], ["issue", "--partner", "A", "--scope", "orders:read"]],
)
def test_given_an_invalid_argument_when_the_command_runs_then_the_error_states_the_next_step(
    command: MemoryKeys, arguments: list[str]
) -> None:
    with pytest.raises(SystemExit, match="list"):
        admin.main(arguments)

    assert not command.records


@pytest.mark.parametrize("lost", ["rotate", "issue", "revoke"])
def test_given_a_lost_response_of_a_write_when_the_command_fails_then_the_error_does_not_claim_no_change(
    account: AwsServer, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    class Losing:
        def __getattr__(self, operation: str) -> Any:
            return getattr(account.clients.dynamodb, operation)

        def transact_write_items(self, **writes: Any) -> None:
            account.clients.dynamodb.transact_write_items(**writes)
            raise ReadTimeoutError(endpoint_url="https://dynamodb")

    table, client = new_table(account.clients), Losing()
    keys = DynamoKeys(account.clients.dynamodb, table)
    _, record = handlers.issue("acme", READ, keys=keys, pepper=PEPPER)
    monkeypatch.setattr(app, "dependencies", lambda: Dependencies(DynamoKeys(client, table), PEPPER))  # type: ignore[arg-type]  # as much of a client as it takes
    arguments = ["--partner", "acme", "--scope", "orders:read"] if lost == "issue" else [record.id]

    with pytest.raises(SystemExit, match=r"may have been changed(.|\n)*`list`"):
        admin.main([lost, *arguments])

    assert list(keys.of(None)) != [record]


@pytest.mark.parametrize("days", ["99999999999", "366", "-1", "x", "1.5", ""])
@pytest.mark.parametrize(
    "arguments",
    [
        ["rotate", "{id}", "--overlap-days"],
        ["issue", "--partner", "acme", "--scope", "orders:read", "--days"],
    ],
    ids=["rotate", "issue"],
)
def test_given_an_invalid_number_of_days_when_the_command_runs_then_the_error_states_the_range(
    command: MemoryKeys, capsys: pytest.CaptureFixture[str], arguments: list[str], days: str
) -> None:
    _, record = handlers.issue("acme", READ, keys=command, pepper=PEPPER)

    with pytest.raises(SystemExit) as ended:
        admin.main([*(each.format(id=record.id) for each in arguments), days])

    assert ended.value.code == 2
    assert "days from 0 to 365" in capsys.readouterr().err
    assert list(command.records.values()) == [record]


def test_given_a_record_when_it_is_set_to_end_later_than_before_then_its_earlier_end_is_kept() -> None:
    _, record = domain.issue("acme", READ, PEPPER, NOW, timedelta(days=1))

    assert record.ending(NOW + timedelta(days=9)).ends_at == record.ends_at
    assert replace(record, revoked_at=NOW).state(NOW) == "revoked"


def test_given_an_unreadable_record_when_keys_are_listed_then_the_others_are_returned(
    account: AwsServer,
) -> None:
    client, table = account.clients.dynamodb, new_table(account.clients)
    keys = DynamoKeys(client, table)
    (_, first), (_, second) = issue(keys), issue(keys)
    client.update_item(
        TableName=table,
        Key=dynamo.pack({"pk": f"KEY#{first.id}", "sk": "KEY"}),
        UpdateExpression="REMOVE scopes",
    )

    assert list(keys.of("acme")) == [second]
