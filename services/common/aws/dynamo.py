"""A DynamoDB table, and its attribute values from and to plain Python: texts, whole numbers, booleans, lists and maps.

boto3's own conversion goes through Decimal and knows sets and binaries, which no table here has.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from services.common.runtime import telemetry
from services.common.values import clock
from services.common.values.clock import Clock
from services.common.values.errors import Unavailable, UnreadableRow

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

log = telemetry.logger(__name__)
Item = dict[str, Any]
Read = TypeVar("Read")
# The errors of reading a row that another version of the service, or a manual edit, has written.
UNREADABLE = (LookupError, ValueError, TypeError, AttributeError)
# A tombstone outlives every message about its order: 14 days in a queue, as many more among the dead letters.
TOMBSTONES_LAST = timedelta(days=90)
# Why TransactWriteItems refuses an item whose condition does not hold.
CONDITION_FAILED = "ConditionalCheckFailed"
CONFLICT = "TransactionConflict"
THROTTLED = frozenset({"ProvisionedThroughputExceeded", "ThrottlingError"})
# How often a transaction that is throttled is tried, and the longest first pause in seconds.
THROTTLED_TRIES = 4
THROTTLED_PAUSE = 0.05
# How often items that DynamoDB left out of a batch are asked for again, and the longest first pause in seconds.
BATCH_TRIES = 5
BATCH_PAUSE = 0.02


class Table:
    """A table, for an adapter that keeps its items there.

    Args:
        client: a DynamoDB client.
        table: the table's name.
        now: the time.
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
    """A map of plain values as DynamoDB takes an item or expression values.

    Raises:
        TypeError: for a value of another type (a float above all).
    """
    return {name: _pack(value) for name, value in values.items()}


def unpack(item: Mapping[str, Any]) -> Item:
    """The reverse of `pack`."""
    return {name: _unpack(value) for name, value in item.items()}


def parsed(item: Mapping[str, Any], read: Callable[[Item], Read], kind: str) -> Read:
    """What is read of a packed item. One that cannot be read is logged and counted.

    Args:
        item: as DynamoDB answers it.
        read: makes something of an unpacked item.
        kind: of row, for the metric.

    Raises:
        UnreadableRow: when it cannot be read.
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
    """What is read of the item of a key, as it was last written; None for none.

    Args:
        client: a DynamoDB client.
        table: the table's name.
        key: of the item.
        read: makes something of an unpacked item.
        kind: of row, for the metric.

    Raises:
        UnreadableRow: when it cannot be read. It is logged and counted.
    """
    answer = client.get_item(TableName=table, Key=pack(key), ConsistentRead=True)
    return parsed(answer["Item"], read, kind) if "Item" in answer else None


def readable(items: Iterable[Mapping[str, Any]], read: Callable[[Item], Read], kind: str) -> Iterator[Read]:
    """What is read of packed items. One that cannot be read is left out, logged and counted: it hides no other.

    Args:
        items: as DynamoDB answers them.
        read: makes something of an unpacked item.
        kind: of row, for the metric.
    """
    for item in items:
        try:
            found = parsed(item, read, kind)
        except UnreadableRow:
            continue
        yield found


def note_unreadable(item: Mapping[str, Any], kind: str, error: Exception) -> None:
    """Logs and counts a row that cannot be read."""
    telemetry.UNREADABLE_ROWS.labels(kind).inc()
    log.error("row_unreadable", kind=kind, pk=item.get("pk"), sk=item.get("sk"), error=repr(error))


def tombstone(at: datetime) -> dict[str, int]:
    """The attribute by which DynamoDB removes an item once no message about it can come any more."""
    return {"expires_at": int((at + TOMBSTONES_LAST).timestamp())}


def unchanged_since(version: int, *, is_there: bool = False) -> dict[str, Any]:
    """The condition of a write that no other writer has preceded.

    Args:
        version: that was read.
        is_there: version 0 was read too. By default it is that of an item that is not there yet.
    """
    if version == 0 and not is_there:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "ConditionExpression": "version = :version",
        "ExpressionAttributeValues": pack({":version": version}),
    }


def is_overtaken(error: ClientError) -> bool:
    """Whether the write lost against another: its condition, or one of its transaction's, did not hold, or they met.

    A write that the SDK repeats because its answer was lost loses against itself: read again, and recognize it.
    """
    return is_refused(error) or CONDITION_FAILED in refusals(error) or is_contended(error)


def is_refused(error: ClientError) -> bool:
    """Whether the write's condition did not hold."""
    return error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException"


def refusals(error: ClientError) -> list[str]:
    """Why a TransactWriteItems was cancelled: a code per item ("None", "ConditionalCheckFailed", …); [] if it was not."""
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]  # untyped in the stubs
    return [reason.get("Code", "None") for reason in reasons]


def is_contended(error: ClientError) -> bool:
    """Whether the write met a transaction on the same item: nothing was written, and the same write may succeed now."""
    code = error.response.get("Error", {}).get("Code")
    return code == "TransactionConflictException" or CONFLICT in refusals(error)


def is_throttled(error: ClientError) -> bool:
    """Whether a transaction was cancelled because of too many calls alone. The SDK does not repeat it."""
    causes = _causes(error)
    return bool(causes) and causes <= THROTTLED


def is_passing(error: ClientError) -> bool:
    """Whether a transaction was cancelled for nothing that the same transaction may not pass in a moment."""
    causes = _causes(error)
    return bool(causes) and causes <= {CONFLICT, *THROTTLED}


def transact(
    client: "DynamoDBClient",
    writes: "Sequence[TransactWriteItemTypeDef]",
    *,
    tries: int = THROTTLED_TRIES,
    again: Callable[[ClientError], bool] = is_throttled,
) -> None:
    """Does all of the writes or none, also when DynamoDB refuses some of the tries for a moment.

    Args:
        client: a DynamoDB client.
        writes: at most 100 (AWS limit), each of another item.
        tries: how often it is tried, with random pauses.
        again: what is tried again.

    Raises:
        ClientError: when the transaction was cancelled for another reason, or at every try.
    """
    for attempt in range(tries - 1):
        try:
            client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            if not again(error):
                raise
        else:
            return
        _pause(THROTTLED_PAUSE, attempt)
    client.transact_write_items(TransactItems=writes)


def find_all(
    client: "DynamoDBClient", table: str, keys: Iterable[Mapping[str, str]], *, is_consistent: bool
) -> list[Mapping[str, Any]]:
    """The packed items of those keys that have one.

    Args:
        client: a DynamoDB client.
        table: the table's name.
        keys: at most 100 (AWS limit).
        is_consistent: read them as they were last written.

    Raises:
        Unavailable: when DynamoDB left some out of its answer at every try.
    """
    found: list[Mapping[str, Any]] = []
    rest: Sequence[Any] = [pack(key) for key in keys]
    if not rest:
        return found
    for attempt in range(BATCH_TRIES):
        if attempt:
            _pause(BATCH_PAUSE, attempt)
        answer = client.batch_get_item(RequestItems={table: {"Keys": rest, "ConsistentRead": is_consistent}})
        found += answer["Responses"].get(table, [])
        left = answer["UnprocessedKeys"].get(table)
        if not left:
            return found
        rest = left["Keys"]
    raise Unavailable("the stored data is temporarily unavailable; retry the same request")


def _pause(first: float, attempt: int) -> None:
    time.sleep(random.uniform(0, first * 2**attempt))  # noqa: S311 - a pause, not a secret


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
            raise TypeError(f"no DynamoDB attribute is made of a {type(value).__name__}")


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
