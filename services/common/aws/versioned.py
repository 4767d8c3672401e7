"""Rows that are read, changed and written back, each only if it is the version that was read."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from botocore.exceptions import ClientError

from services.common.aws import dynamo
from services.common.aws.outbox import OutboxTable
from services.common.messaging.outbox import OutboxRecord
from services.common.values.errors import Stale

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

Row = TypeVar("Row")


class VersionedTable(OutboxTable, Generic[Row]):
    """The rows of one kind. A subclass says what they look like."""

    kind: ClassVar[str]
    """For the metric of rows that cannot be read."""
    first_version: ClassVar[int] = 1
    """Version of a row that was written once. Version 0 is that of none, unless it is the first."""

    @abstractmethod
    def key(self, name: str) -> dict[str, str]:
        """The keys of the row of a name."""

    @abstractmethod
    def to_item(self, row: Row, version: int) -> dict[str, Any]:
        """A row in plain values, see `dynamo.pack`, with its keys and the version."""

    @abstractmethod
    def from_item(self, item: Mapping[str, Any]) -> Row:
        """Reads what `to_item` writes."""

    def get(self, name: str) -> Row | None:
        """The row of a name as it was last written.

        Raises:
            UnreadableRow: when it cannot be read. It is logged and counted.
        """
        return self._find(self.key(name), self.from_item, self.kind)

    def ping(self) -> None:
        """Returns when the table can be read, raises otherwise."""
        self._client.get_item(TableName=self._table, Key=dynamo.pack(self.key("ping")))

    def _save(
        self, row: Row, version: int, told: OutboxRecord | None, *others: "TransactWriteItemTypeDef"
    ) -> Row:
        """Writes a row in its next version, what is to be told of it, and more: all or nothing. Answers it as written.

        Args:
            row: the row.
            version: that was read.
            told: the record to publish; None if nothing is published about the change.
            others: further writes of the same transaction.

        Raises:
            Stale: when it is not the version that was read any more.
        """
        item = self.to_item(row, version + 1)
        saved = self.from_item(item)  # what could not be read is not written
        condition = dynamo.unchanged_since(version, is_there=version >= self.first_version)
        try:
            self._outbox.put(item, condition, told, *others)
        except ClientError as error:
            if dynamo.is_overtaken(error):
                raise Stale(f"{item['pk']} is not in version {version} any more") from error
            raise
        return saved
