"""The API keys of partners in a DynamoDB table.

| item | pk | sk |
|---|---|---|
| record of a key | KEY#<id> | KEY |

There are few keys, and only the admin command lists them, so it scans the whole table.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from services.common.aws import dynamo
from services.common.values import clock
from services.partners.domain import PartnerKey
from services.partners.ports import AlreadyRevoked, NotConfirmed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


class DynamoKeys(dynamo.Table):
    """As `ports.Keys`."""

    def find(self, key_id: str) -> PartnerKey | None:
        """As `ports.Keys.find`."""
        return self._find(_key(key_id), _record, "key")

    def of(self, partner: str | None) -> Iterator[PartnerKey]:
        """As `ports.Keys.of`."""
        pages = self._client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        found = dynamo.readable((item for page in pages for item in page["Items"]), _record, "key")
        yield from sorted(
            (each for each in found if partner in {None, each.partner}), key=lambda each: each.issued_at
        )

    def save(self, *keys: PartnerKey) -> None:
        """As `ports.Keys.save`."""
        try:
            dynamo.transact(self._client, [self._put(key) for key in keys])
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and "ConditionalCheckFailed" in dynamo.refusals(error):
                raise AlreadyRevoked from error
            raise NotConfirmed(str(error)) from error

    def _put(self, key: PartnerKey) -> "TransactWriteItemTypeDef":
        return {
            "Put": {
                "TableName": self._table,
                "Item": dynamo.pack(_item(key)),
                "ConditionExpression": "attribute_not_exists(revoked_at)",
            }
        }


def _key(key_id: str) -> dict[str, str]:
    return {"pk": f"KEY#{key_id}", "sk": "KEY"}


def _item(key: PartnerKey) -> dict[str, Any]:
    item: dict[str, Any] = {
        **_key(key.id),
        "id": key.id,
        "partner": key.partner,
        "scopes": sorted(key.scopes),
        "digest": key.digest,
        "issued_at": clock.rfc3339(key.issued_at),
        "ends_at": clock.rfc3339(key.ends_at),
    }
    if key.revoked_at:
        item["revoked_at"] = clock.rfc3339(key.revoked_at)
    return item


def _record(item: Mapping[str, Any]) -> PartnerKey:
    return PartnerKey(
        id=item["id"],
        partner=item["partner"],
        scopes=frozenset(item["scopes"]),
        digest=item["digest"],
        issued_at=clock.parse(item["issued_at"]),
        ends_at=clock.parse(item["ends_at"]),
        revoked_at=clock.parse(item["revoked_at"]) if "revoked_at" in item else None,
    )
