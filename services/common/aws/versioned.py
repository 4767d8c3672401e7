"""Rows with optimistic locking: a row is written only if its version is the one that was read."""

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
    """The rows of one kind. A subclass defines their format."""

    kind: ClassVar[str]
    """Kind of row, for the metric of unreadable rows."""
    first_version: ClassVar[int] = 1
    """Version of a new row. If it is 1, version 0 stands for a row that does not exist."""

    @abstractmethod
    def key(self, name: str) -> dict[str, str]:
        """The keys of the row with a name."""

    @abstractmethod
    def to_item(self, row: Row, version: int) -> dict[str, Any]:
        """A row in plain values, see `dynamo.pack`, with its keys and its version."""

    @abstractmethod
    def from_item(self, item: Mapping[str, Any]) -> Row:
        """Parses the result of `to_item`."""

    def get(self, name: str) -> Row | None:
        """The row with a name, as last written, or None if it does not exist.

        Raises:
            UnreadableRow: the row cannot be parsed. It is logged and counted.
        """
        return self._find(self.key(name), self.from_item, self.kind)

    def ping(self) -> None:
        """Raises an exception if the table cannot be read."""
        self._client.get_item(TableName=self._table, Key=dynamo.pack(self.key("ping")))

    def _save(
        self, row: Row, version: int, outbox_record: OutboxRecord | None, *others: "TransactWriteItemTypeDef"
    ) -> Row:
        """Writes the next version of a row and its outbox record in one transaction. Returns the row as written.

        Args:
            row: the row.
            version: version that was read.
            outbox_record: outbox record, or None if nothing is published about the change.
            others: additional writes of the transaction.

        Raises:
            Stale: the row was written since it was read.
        """
        item = self.to_item(row, version + 1)
        saved = self.from_item(item)  # fails before an unreadable row is written
        condition = dynamo.unchanged_since(version, is_there=version >= self.first_version)
        try:
            self._outbox.put(item, condition, outbox_record, *others)
        except ClientError as error:
            if dynamo.is_overtaken(error):
                raise Stale(f"{item['pk']} was written since version {version} was read") from error
            raise
        return saved
