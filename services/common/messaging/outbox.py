"""The outbox: what has to be told to others, written in the transaction that makes it true, and told afterwards.

A record is told at least once: whoever tells it claims it for a while, tells it, and removes it. A teller that dies
leaves a claim that lapses. Records are spread over a few partitions, because one takes 1000 writes a second (AWS limit).
"""

import random
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from botocore.exceptions import ClientError

from services.common.aws import dynamo
from services.common.messaging.events import Event, Publisher
from services.common.messaging.hopeless import is_hopeless
from services.common.runtime import telemetry
from services.common.runtime.progress import Progress
from services.common.values import clock, ids
from services.common.values.clock import Clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

log = telemetry.logger(__name__)
PARTITIONS = 4
CLAIM_LASTS = timedelta(seconds=30)
BATCH = 50
LONGEST_POSTPONEMENT = 64
# A claim ends when the clock of whoever made it says so. One that ends later than any can was made by a wrong clock.
NO_CLAIM_ENDS_AFTER = timedelta(seconds=2 * LONGEST_POSTPONEMENT)
# The delay before an unreadable record is read again, because another version of the relay may be able to read it.
UNREADABLE_POSTPONEMENT = timedelta(seconds=LONGEST_POSTPONEMENT)
_FREE = "(attribute_not_exists(claimed_until) OR claimed_until < :now OR claimed_until > :absurd)"
STUCK_AFTER = 60.0
# Seconds between two measurements of the oldest record; a measurement queries each partition.
MEASURED_EVERY = 5.0
# The kind of message that is a fact for everyone.
FACT = "fact"


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One thing to tell.

    Args:
        kind: who is told; names the teller.
        payload: what, as JSON.
    """

    kind: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OutboxRecord:
    """What one transaction leaves to be told, in this order.

    Args:
        messages: what to tell.
        traceparent: the trace that it belongs to.
        id: sorts by the time it was made.
        attempts: how often it was claimed before.
        partition: where it was found; by default where one of its id is put.
    """

    messages: tuple[OutboxMessage, ...]
    traceparent: str = field(default_factory=lambda: str(telemetry.current_trace()))
    id: str = field(default_factory=ids.uuid7)
    attempts: int = 0
    partition: str = field(default="", compare=False)


def of_fact(event: Event) -> OutboxRecord:
    """What a change leaves to be told when that is one fact."""
    return OutboxRecord((OutboxMessage(FACT, event.to_dict()),))


def of_facts(events: Sequence[Event]) -> OutboxRecord | None:
    """What a change leaves to be told when that is facts only; None when there are none."""
    return OutboxRecord(tuple(OutboxMessage(FACT, event.to_dict()) for event in events)) if events else None


class Outbox(Protocol):
    """Where records wait."""

    def pending(self, limit: int) -> list[OutboxRecord]:
        """Up to `limit` records that nobody has claimed, oldest first."""

    def claim(self, record: OutboxRecord) -> bool:
        """Takes a record for 30 seconds; false when another was faster."""

    def postpone(self, record: OutboxRecord, pause: timedelta) -> None:
        """Gives a claimed record back, not to be tried before `pause` has passed."""

    def done(self, record: OutboxRecord) -> None:
        """Removes a record that was told."""

    def oldest(self) -> float:
        """Seconds for which the oldest record has waited, also one that is claimed, postponed or unreadable; 0 without any."""

    def ping(self) -> None:
        """Returns when the outbox can be read, raises otherwise."""


class DynamoOutbox(dynamo.Table):
    """The outbox in a service's own table."""

    def addition(self, record: OutboxRecord) -> "TransactWriteItemTypeDef":
        """The part of a transaction that adds the record."""
        messages = [[message.kind, message.payload] for message in record.messages]
        item = {
            **_key(record),
            "messages": orjson.dumps(messages).decode(),
            "traceparent": record.traceparent,
            "attempts": record.attempts,
            "claimed_until": "",
        }
        return {"Put": {"TableName": self._table, "Item": dynamo.pack(item)}}

    def put(
        self,
        item: Mapping[str, Any],
        condition: Mapping[str, Any],
        told: OutboxRecord | None,
        *others: "TransactWriteItemTypeDef",
    ) -> None:
        """Writes an item of the same table, and adds the record of what is to be told of it: all or nothing.

        Args:
            item: in plain values, see `dynamo.pack`.
            condition: parameters of a PutItem, see `dynamo.unchanged_since`.
            told: the record to publish; None if nothing is published about the change.
            others: further writes of the same transaction.

        Raises:
            ClientError: see `dynamo.is_overtaken` for one whose condition did not hold.
        """
        put: Any = {"TableName": self._table, "Item": dynamo.pack(item), **condition}
        others = others if told is None else (self.addition(told), *others)
        if others:
            dynamo.transact(self._client, [{"Put": put}, *others])
        else:
            self._client.put_item(**put)

    def pending(self, limit: int) -> list[OutboxRecord]:
        """As `Outbox.pending`."""
        found = [record for partition in range(PARTITIONS) for record in self._pending_in(partition, limit)]
        return sorted(found, key=lambda record: record.id)[:limit]

    def claim(self, record: OutboxRecord) -> bool:
        """As `Outbox.claim`."""
        now, claim = self._now(), ids.uuid7()
        values = {":until": clock.rfc3339(now + CLAIM_LASTS), ":one": 1, ":claim": claim, **_bounds(now)}
        try:
            self._client.update_item(
                TableName=self._table,
                Key=dynamo.pack(_key(record)),
                UpdateExpression="SET claimed_until = :until, claimed_by = :claim ADD attempts :one",
                ConditionExpression=f"attribute_exists(pk) AND {_FREE}",
                ExpressionAttributeValues=dynamo.pack(values),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if not dynamo.is_refused(error):
                raise
            # The SDK repeats a call whose answer was lost, and is refused by its own claim.
            claimed: Mapping[str, Any] = error.response.get("Item", {})  # type: ignore[assignment]  # missing in the stubs
            return bool(dynamo.unpack(claimed).get("claimed_by") == claim)
        return True

    def postpone(self, record: OutboxRecord, pause: timedelta) -> None:
        """As `Outbox.postpone`."""
        self._hide(dynamo.pack(_key(record)), pause)

    def done(self, record: OutboxRecord) -> None:
        """As `Outbox.done`."""
        self._client.delete_item(TableName=self._table, Key=dynamo.pack(_key(record)))

    def oldest(self) -> float:
        """As `Outbox.oldest`."""
        ages = [0.0]
        for partition in range(PARTITIONS):
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues=dynamo.pack({":pk": _partition(partition)}),
                ProjectionExpression="sk",
                Limit=1,
            )
            ages += [ids.age(dynamo.unpack(item)["sk"]) for item in answer["Items"]]
        return max(ages)

    def ping(self) -> None:
        """As `Outbox.ping`."""
        self._client.get_item(TableName=self._table, Key=dynamo.pack({"pk": "PING", "sk": "PING"}))

    def _pending_in(self, partition: int, limit: int) -> list[OutboxRecord]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            FilterExpression=_FREE,
            ExpressionAttributeValues=dynamo.pack({":pk": _partition(partition), **_bounds(self._now())}),
            ConsistentRead=True,
            PaginationConfig={"PageSize": BATCH, "MaxItems": limit},
        )
        found: list[OutboxRecord] = []
        for item in (item for page in pages for item in page["Items"]):
            try:
                found.append(_record(dynamo.unpack(item)))
            except dynamo.UNREADABLE as error:
                dynamo.note_unreadable(item, "outbox", error)
                self._hide({"pk": item["pk"], "sk": item["sk"]}, UNREADABLE_POSTPONEMENT)
        return found

    def _hide(self, key: Any, pause: timedelta) -> None:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression="SET claimed_until = :until",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues=dynamo.pack({":until": clock.rfc3339(self._now() + pause)}),
            )
        except ClientError as error:
            if not dynamo.is_refused(error):
                raise


class MemoryOutbox:
    """The outbox in memory, for tests."""

    def __init__(self, now: Clock = clock.now) -> None:
        self._now = now
        self.records: dict[str, OutboxRecord] = {}
        self._claimed_until: dict[str, str] = {}

    def add(self, record: OutboxRecord) -> None:
        """Adds a record."""
        self.records[record.id] = record

    def pending(self, limit: int) -> list[OutboxRecord]:
        """As `Outbox.pending`."""
        free = [self.records[name] for name in sorted(self.records) if self._is_free(name)]
        return free[:limit]

    def claim(self, record: OutboxRecord) -> bool:
        """As `Outbox.claim`."""
        if record.id not in self.records or not self._is_free(record.id):
            return False
        known = self.records[record.id]
        self.records[record.id] = OutboxRecord(
            known.messages, known.traceparent, known.id, known.attempts + 1
        )
        self._claimed_until[record.id] = clock.rfc3339(self._now() + CLAIM_LASTS)
        return True

    def postpone(self, record: OutboxRecord, pause: timedelta) -> None:
        """As `Outbox.postpone`."""
        self._claimed_until[record.id] = clock.rfc3339(self._now() + pause)

    def done(self, record: OutboxRecord) -> None:
        """As `Outbox.done`."""
        self.records.pop(record.id, None)

    def oldest(self) -> float:
        """As `Outbox.oldest`."""
        return ids.age(min(self.records, default=""))

    def ping(self) -> None:
        """As `Outbox.ping`."""

    def _is_free(self, name: str) -> bool:
        until, bounds = self._claimed_until.get(name, ""), _bounds(self._now())
        return until < bounds[":now"] or until > bounds[":absurd"]


# Tells messages of one kind, in their order.
Teller = Callable[[Sequence[Mapping[str, Any]]], object]


def publishing(publisher: Publisher) -> Teller:
    """The teller of facts. Those of one record are published together: an import tells of two dozen products in each."""

    def publish(facts: Sequence[Mapping[str, Any]]) -> None:
        publisher.publish([Event.from_dict(fact) for fact in facts])

    return publish


class Relay:
    """Tells what is in an outbox; several at once share the work.

    Args:
        outbox: where records wait.
        tellers: what is done with each kind of message. A teller may be called again with the same messages.
        threads: how many records are told at once.
        shortest: seconds between two looks at an outbox of which just nothing could be told.
        longest: the same once that has been so for a while; also how late a record is told at most.
    """

    name = "relay"

    def __init__(
        self,
        outbox: Outbox,
        tellers: Mapping[str, Teller],
        *,
        threads: int = 8,
        shortest: float = 0.05,
        longest: float = 0.5,
    ) -> None:
        self._outbox = outbox
        self._tellers = dict(tellers)
        self._threads = threads
        self._shortest = shortest
        self._longest = longest
        self._turned = time.monotonic()
        self._measure_at = 0.0
        self._looking = Progress("the outbox cannot be read")
        self._telling = Progress("records of the outbox cannot be told")

    def run(self, stop: threading.Event) -> None:
        """As `worker.Worker.run`."""
        pause = self._shortest
        with ThreadPoolExecutor(self._threads, thread_name_prefix=self.name) as pool:
            while not stop.is_set():
                self._turned = time.monotonic()
                records = self._look(stop)
                told = list(pool.map(lambda record: not stop.is_set() and self.relay(record), records))
                if any(told):
                    pause = self._shortest
                else:
                    stop.wait(pause)
                    pause = min(pause * 2, self._longest)

    def alive(self) -> bool:
        """As `worker.Worker.alive`."""
        return time.monotonic() - self._turned < STUCK_AFTER

    def ready(self) -> None:
        """As `worker.Worker.ready`."""
        self._outbox.ping()
        self._looking.check()
        self._telling.check()

    def relay(self, record: OutboxRecord) -> bool:
        """Tells one record, if nobody else does; answers whether it was told."""
        with telemetry.traced(record.traceparent, record_id=record.id):
            try:
                if not self._outbox.claim(record):
                    return False
                self._tell(record.messages)
                self._outbox.done(record)
            except Exception as error:  # noqa: BLE001 - whatever it is, the record is told later
                # An error of AWS names its operation. Without a right to write, it comes at every look.
                tell = log.error if isinstance(error, ClientError) else log.exception
                tell("outbox_record_failed", attempts=record.attempts, error=repr(error))
                # A record that is hopeless says nothing of this process.
                if not is_hopeless(error):
                    self._telling.missed(record.id, error)
                self._postpone(record)
                return False
            finally:
                self._turned = time.monotonic()
        self._telling.made()
        return True

    def _tell(self, messages: Sequence[OutboxMessage]) -> None:
        for kind, group in groupby(messages, key=lambda message: message.kind):
            payloads = [message.payload for message in group]
            try:
                self._tellers[kind](payloads)
            except Exception:
                telemetry.OUTBOX_RELAYED.labels(kind, "failed").inc(len(payloads))
                raise
            telemetry.OUTBOX_RELAYED.labels(kind, "done").inc(len(payloads))

    def _look(self, stop: threading.Event) -> list[OutboxRecord]:
        try:
            records = self._outbox.pending(BATCH)
            self._measure()
        except Exception as error:  # noqa: BLE001 - the table being away must not end the relay
            log.warning("outbox_unreachable", error=repr(error))
            self._looking.missed("", error)
            stop.wait(random.uniform(0.5, 1.5))  # noqa: S311 - a pause, not a secret
            return []
        self._looking.made()
        return records

    def _measure(self) -> None:
        if time.monotonic() >= self._measure_at:
            telemetry.OUTBOX_AGE.set(self._outbox.oldest())
            self._measure_at = time.monotonic() + MEASURED_EVERY

    def _postpone(self, record: OutboxRecord) -> None:
        pause = timedelta(seconds=min(2 ** min(record.attempts, 10), LONGEST_POSTPONEMENT))
        try:
            self._outbox.postpone(record, pause)
        except Exception as error:  # noqa: BLE001 - then the claim lapses by itself
            log.warning("outbox_record_not_postponed", error=str(error))


def facts_relay(outbox: Outbox, publisher: Publisher) -> Relay:
    """The relay of a service that tells facts only, beside its consumer. No customer waits for it."""
    return Relay(outbox, {FACT: publishing(publisher)}, threads=2, longest=1.0)


def _key(record: OutboxRecord) -> dict[str, str]:
    partition = record.partition or _partition(zlib.crc32(record.id.encode()) % PARTITIONS)
    return {"pk": partition, "sk": record.id}


def _bounds(now: datetime) -> dict[str, str]:
    return {":now": clock.rfc3339(now), ":absurd": clock.rfc3339(now + NO_CLAIM_ENDS_AFTER)}


def _partition(number: int) -> str:
    return f"OUTBOX#{number}"


def _record(item: Mapping[str, Any]) -> OutboxRecord:
    messages = tuple(OutboxMessage(kind, payload) for kind, payload in orjson.loads(item["messages"]))
    attempts = dynamo.whole(item["attempts"])
    return OutboxRecord(messages, item["traceparent"], item["sk"], attempts, item["pk"])
