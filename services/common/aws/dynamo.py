"""DynamoDB tables, and the conversion of attribute values: strings, integers, booleans, null, lists and maps.

The conversion of boto3 uses Decimal, and supports sets and binaries, which no table of the shop contains.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception,
    retry_if_result,
    stop_after_attempt,
    wait_random_exponential,
)

from services.common.telemetry import logs, metrics
from services.common.values import clock
from services.common.values.clock import Clock
from services.common.values.errors import Unavailable, UnreadableRow

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

log = logs.logger(__name__)
Item = dict[str, Any]
Read = TypeVar("Read")
# Errors of parsing a row that another version of the service or a manual edit has written.
UNREADABLE = (LookupError, ValueError, TypeError, AttributeError)
# A tombstone outlives every message about its order: up to 14 days in a queue, and 14 days in a dead-letter queue.
TOMBSTONES_LAST = timedelta(days=90)
# Cancellation reasons of TransactWriteItems.
CONDITION_FAILED = "ConditionalCheckFailed"
CONFLICT = "TransactionConflict"
THROTTLED = frozenset({"ProvisionedThroughputExceeded", "ThrottlingError"})
# Attempts of a throttled transaction, and the maximum first pause in seconds.
THROTTLED_TRIES = 4
THROTTLED_PAUSE = 0.05
# AWS limit of BatchWriteItem.
MOST_WRITTEN = 25
# Attempts to process the unprocessed items of a batch, and the maximum first pause in seconds.
BATCH_TRIES = 5
BATCH_PAUSE = 0.04


class Table:
    """Base of adapters that store items in a table.

    Args:
        client: a DynamoDB client.
        table: name of the table.
        now: current time.
    """

    def __init__(self, client: "DynamoDBClient", table: str, now: Clock = clock.now) -> None:
        self._client = client
        self._table = table
        self._now = now

    def _find(self, key: Mapping[str, str], read: Callable[[Item], Read], kind: str) -> Read | None:
        """As `find`."""
        return find(self._client, self._table, key, read, kind)

    def _find_all(self, keys: Iterable[Mapping[str, str]], *, is_consistent: bool) -> list[Mapping[str, Any]]:
        """As `find_all`."""
        return find_all(self._client, self._table, keys, is_consistent=is_consistent)


def pack(values: Mapping[str, Any]) -> "dict[str, AttributeValueTypeDef]":
    """Plain values as an item or expression values of DynamoDB.

    Raises:
        TypeError: a value has an unsupported type, such as float.
    """
    return {name: _pack(value) for name, value in values.items()}


def unpack(item: Mapping[str, Any]) -> Item:
    """The reverse of `pack`."""
    return {name: _unpack(value) for name, value in item.items()}


def parsed(item: Mapping[str, Any], read: Callable[[Item], Read], kind: str) -> Read:
    """A parsed item. An item that cannot be parsed is logged and counted.

    Args:
        item: item as DynamoDB returns it.
        read: parses an unpacked item.
        kind: kind of row, for the metric.

    Raises:
        UnreadableRow: the item cannot be parsed.
    """
    try:
        return read(unpack(item))
    except UNREADABLE as error:
        note_unreadable(item, kind, error)
        names = " ".join(str(item.get(name, {}).get("S")) for name in ("pk", "sk"))
        raise UnreadableRow(f"the row {names} cannot be read: {error!r}") from error


def find(
    client: "DynamoDBClient", table: str, key: Mapping[str, str], read: Callable[[Item], Read], kind: str
) -> Read | None:
    """The parsed item with a key, as last written, or None if it does not exist.

    Args:
        client: a DynamoDB client.
        table: name of the table.
        key: key of the item.
        read: parses an unpacked item.
        kind: kind of row, for the metric.

    Raises:
        UnreadableRow: the item cannot be parsed. It is logged and counted.
    """
    answer = client.get_item(TableName=table, Key=pack(key), ConsistentRead=True)
    return parsed(answer["Item"], read, kind) if "Item" in answer else None


def readable(items: Iterable[Mapping[str, Any]], read: Callable[[Item], Read], kind: str) -> Iterator[Read]:
    """The parsed items. An item that cannot be parsed is skipped, logged and counted.

    Args:
        items: items as DynamoDB returns them.
        read: parses an unpacked item.
        kind: kind of row, for the metric.
    """
    for item in items:
        try:
            found = parsed(item, read, kind)
        except UnreadableRow:
            continue
        yield found


def note_unreadable(item: Mapping[str, Any], kind: str, error: Exception) -> None:
    """Logs and counts a row that cannot be parsed."""
    metrics.UNREADABLE_ROWS.labels(kind).inc()
    log.error("row_unreadable", kind=kind, pk=item.get("pk"), sk=item.get("sk"), error=repr(error))


def tombstone(at: datetime) -> dict[str, int]:
    """The TTL attribute with which DynamoDB deletes an item once no message about it can arrive."""
    return {"expires_at": int((at + TOMBSTONES_LAST).timestamp())}


def unchanged_since(version: int, *, is_there: bool = False) -> dict[str, Any]:
    """The condition of a write that the item has not been written since it was read.

    Args:
        version: version that was read.
        is_there: whether an item with version 0 exists. By default, version 0 is that of an item that does not exist.
    """
    if version == 0 and not is_there:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "ConditionExpression": "version = :version",
        "ExpressionAttributeValues": pack({":version": version}),
    }


def is_overtaken(error: ClientError) -> bool:
    """Whether a write failed because of a concurrent write: a condition was not met, or two transactions conflicted.

    If the response to a write is lost, the SDK retries it, and the retry fails because of the first attempt. Read the item
    again to recognize this.
    """
    return is_refused(error) or CONDITION_FAILED in refusals(error) or is_contended(error)


def is_refused(error: ClientError) -> bool:
    """Whether the condition of a write was not met."""
    return error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException"


def refusals(error: ClientError) -> list[str]:
    """The cancellation reasons of a transaction: a code per item ("None", "ConditionalCheckFailed", …), or an empty list."""
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]  # untyped in the stubs
    return [reason.get("Code", "None") for reason in reasons]


def is_contended(error: ClientError) -> bool:
    """Whether a write conflicted with a transaction on the same item. Nothing was written, and a retry may succeed."""
    code = error.response.get("Error", {}).get("Code")
    return code == "TransactionConflictException" or CONFLICT in refusals(error)


def is_throttled(error: ClientError) -> bool:
    """Whether a transaction was cancelled only because of throttling. The SDK does not retry it."""
    causes = _causes(error)
    return bool(causes) and causes <= THROTTLED


def is_passing(error: ClientError) -> bool:
    """Whether a transaction was cancelled only for temporary reasons: throttling or a conflict."""
    causes = _causes(error)
    return bool(causes) and causes <= {CONFLICT, *THROTTLED}


def transact(
    client: "DynamoDBClient",
    writes: "Sequence[TransactWriteItemTypeDef]",
    *,
    tries: int = THROTTLED_TRIES,
    again: Callable[[ClientError], bool] = is_throttled,
) -> None:
    """Writes items in one transaction. Retries it after temporary errors.

    Args:
        client: a DynamoDB client.
        writes: writes of different items; at most 100 (AWS limit).
        tries: maximum number of attempts, with random pauses.
        again: whether to retry after an error.

    Raises:
        ClientError: the transaction was cancelled for another reason, or at every attempt.
    """
    retrying = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, ClientError) and again(error)),
        stop=stop_after_attempt(tries),
        wait=wait_random_exponential(multiplier=THROTTLED_PAUSE),
        reraise=True,
    )
    retrying(client.transact_write_items, TransactItems=writes)


def find_all(
    client: "DynamoDBClient", table: str, keys: Iterable[Mapping[str, str]], *, is_consistent: bool
) -> list[Mapping[str, Any]]:
    """The items with the given keys, packed. Keys without an item are skipped.

    Args:
        client: a DynamoDB client.
        table: name of the table.
        keys: at most 100 (AWS limit).
        is_consistent: whether to use strongly consistent reads.

    Raises:
        Unavailable: DynamoDB left items unprocessed at every attempt.
    """
    found: list[Mapping[str, Any]] = []
    rest: Sequence[Any] = [pack(key) for key in keys]

    def read() -> bool:
        nonlocal rest
        answer = client.batch_get_item(RequestItems={table: {"Keys": rest, "ConsistentRead": is_consistent}})
        found.extend(answer["Responses"].get(table, []))
        left = answer["UnprocessedKeys"].get(table)
        rest = left["Keys"] if left else []
        return bool(rest)

    if rest:
        _of_batch(read)
    return found


def delete_all(client: "DynamoDBClient", table: str, keys: Iterable[Mapping[str, str]]) -> None:
    """Deletes items. Keys without an item are skipped.

    Args:
        client: a DynamoDB client.
        table: name of the table.
        keys: different keys.

    Raises:
        Unavailable: DynamoDB left items unprocessed at every attempt.
    """
    requests = [{"DeleteRequest": {"Key": pack(key)}} for key in keys]
    for start in range(0, len(requests), MOST_WRITTEN):
        _write_batch(client, table, requests[start : start + MOST_WRITTEN])


def _write_batch(client: "DynamoDBClient", table: str, requests: Sequence[Any]) -> None:
    rest = requests

    def write() -> bool:
        nonlocal rest
        rest = client.batch_write_item(RequestItems={table: rest})["UnprocessedItems"].get(table, [])
        return bool(rest)

    _of_batch(write)


def _of_batch(attempt: Callable[[], bool]) -> None:
    """Repeats a request for a batch until it leaves no item unprocessed."""
    retrying = Retrying(
        retry=retry_if_result(bool),
        stop=stop_after_attempt(BATCH_TRIES),
        wait=wait_random_exponential(multiplier=BATCH_PAUSE),
    )
    try:
        retrying(attempt)
    except RetryError:
        raise Unavailable("the stored data is temporarily unavailable; retry the request") from None


def _causes(error: ClientError) -> set[str]:
    return set(refusals(error)) - {"None"}


def _pack(value: Any) -> "AttributeValueTypeDef":
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case None:
            return {"NULL": True}
        case list() | tuple():
            return {"L": [_pack(item) for item in value]}
        case Mapping():
            return {"M": {name: _pack(item) for name, item in value.items()}}
        case _:
            raise TypeError(f"a {type(value).__name__} cannot be stored as a DynamoDB attribute")


def _unpack(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return int(content)
        case "L":
            return [_unpack(item) for item in content]
        case "M":
            return {name: _unpack(item) for name, item in content.items()}
        case "NULL":
            return None
        case _:
            return content
