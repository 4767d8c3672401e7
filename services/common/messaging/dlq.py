"""List, show, redrive or discard the dead letters of a service's queues.

Run `python -m services.common.messaging.dlq list` in the environment of a service's process. In a cluster, run `kubectl shop
dlq NAME list`. The redrive policies of the queues name their dead-letter queues.

To redrive a dead letter, it is sent to its queue again, and then deleted. After a crash in between, it is handled twice, which
every handler supports, but it is never lost. Secrets that would let a reader act on behalf of others are not shown.

A dead letter may have any content, because no process could handle it. Every dead letter can be listed, shown and discarded,
and none hides another.
"""

import argparse
import hashlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote_plus

import orjson
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import Field

from services.common.aws import clients, dynamo
from services.common.runtime.settings import ServiceSettings
from services.common.values import clock
from services.common.values.errors import InvalidValue

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

# Maximum number of letters that one run receives.
MOST = 1000
# Seconds that a received letter is invisible to other receivers.
LOOK = 60
BATCH = 10
# Retention of the records of discarded letters.
KEPT = timedelta(days=90)
LONGEST_REASON = 500
# Maximum length of a string in the line of a letter.
LONGEST_TEXT = 300
LEFT_OUT = "(left out)"
# With these values, a reader could report results of tasks, or pay.
SECRET = frozenset({"task_token", "token", "payment_token"})
# The same in text that is not JSON: truncated or quoted JSON, or the output of Python.
_NAMED_SECRET = re.compile(
    rf"""(["'](?:{"|".join(sorted(SECRET))})\\*["']\s*:\s*\\*["'])(?:[^"'\\]|\\+[^"'\\])*"""
)
_PAYMENT_TOKEN = re.compile(r"tok_[A-Za-z0-9_]+")


class Settings(ServiceSettings):
    """The common settings, of which this command uses the queues and the table."""

    tasks_queue_url: str = Field("", description="URL of the service's SQS queue of tasks")
    events_queue_url: str = Field("", description="URL of the service's SQS queue of events")
    events_topic_arn: str = Field("", description="not used: this command publishes no events")


class NoSuchLetter(Exception):
    """The dead letter does not exist."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(f"dead letter {', '.join(ids)} not found; run `list` to list all dead letters")


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that could not be handled.

    Args:
        id: ID in the queue.
        queue: URL of the queue that it comes from.
        receipt: handle with which it is deleted from the dead-letter queue.
        body: body of the message.
        attributes: attributes of the message.
        sent_at: time at which it was sent.
        deliveries: number of deliveries, to handlers and to this command.
    """

    id: str
    queue: str
    receipt: str
    body: str
    attributes: Mapping[str, Any]
    sent_at: datetime
    deliveries: int

    def decoded(self) -> dict[str, Any]:
        """The decoded letter, for display."""
        content = self._content()
        data = content.get("data")
        about = data if isinstance(data, dict) else content
        trace = (_line(content.get("traceparent")) or "").split("-")
        return {
            "id": self.id,
            "queue": self.queue.rsplit("/", 1)[-1],
            "kind": _kind(content) or "unknown",
            "order_id": _line(about.get("order_id")),
            "trace_id": trace[1] if len(trace) > 1 else None,
            "sent_at": clock.rfc3339(self.sent_at),
            "deliveries": self.deliveries,
            "cause": self._cause(content),
        }

    def content(self) -> Any:
        """The body as JSON, or as text if it is not JSON, without secrets.

        Raises:
            RecursionError, TypeError: the JSON is nested too deeply.
        """
        try:
            content = orjson.loads(self.body)
        except ValueError:
            return self.text()
        return _without_secrets(content)

    def text(self) -> str:
        """The body as text, without secrets."""
        return _blanked(self.body)

    def _content(self) -> dict[str, Any]:
        try:
            content = orjson.loads(self.body)
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}

    def _cause(self, content: Mapping[str, Any]) -> str:
        if not content:
            return "its body is not a JSON object, or has no members"
        if _kind(content):
            return f"its handler failed: look for message_id {self.id} in the logs"
        if files := _files(content):
            return f"the import of {', '.join(files)} failed: look for message_id {self.id} in the logs"
        return _line(content.get("cause")) or "it names neither a task nor a type"


class Place(Protocol):
    """The storage of dead letters."""

    def look(self) -> list[Letter]:
        """The letters, oldest first. They are invisible to other receivers for a minute."""

    def give_back(self, letters: Sequence[Letter]) -> None:
        """Makes letters visible to other receivers again."""

    def redrive(self, letter: Letter) -> None:
        """Sends a letter to its queue again, and deletes the dead letter."""

    def delete(self, letter: Letter) -> None:
        """Deletes a letter."""


class SqsPlace:
    """The dead letters of SQS queues.

    Args:
        client: an SQS client.
        queues: URLs of the queues. Queues without a dead-letter queue are ignored.
    """

    def __init__(self, client: "SQSClient", queues: Sequence[str]) -> None:
        self._client = client
        self._dead = {queue: dead for queue in queues if (dead := self._dead_letters_of(queue))}

    def look(self) -> list[Letter]:
        """As `Place.look`."""
        found = [letter for queue in self._dead for letter in self._look_at(queue)]
        return sorted(found, key=lambda letter: letter.sent_at)

    def give_back(self, letters: Sequence[Letter]) -> None:
        """As `Place.give_back`."""
        for letter in letters:
            self._client.change_message_visibility(
                QueueUrl=self._dead[letter.queue], ReceiptHandle=letter.receipt, VisibilityTimeout=0
            )

    def redrive(self, letter: Letter) -> None:
        """As `Place.redrive`."""
        attributes = {
            name: {
                key: value for key, value in each.items() if key in {"DataType", "StringValue", "BinaryValue"}
            }
            for name, each in letter.attributes.items()
        }
        self._client.send_message(
            QueueUrl=letter.queue,
            MessageBody=letter.body,
            MessageAttributes=attributes,  # type: ignore[arg-type]  # as they were received
        )
        self.delete(letter)

    def delete(self, letter: Letter) -> None:
        """As `Place.delete`."""
        self._client.delete_message(QueueUrl=self._dead[letter.queue], ReceiptHandle=letter.receipt)

    def _dead_letters_of(self, queue: str) -> str | None:
        answer = self._client.get_queue_attributes(QueueUrl=queue, AttributeNames=["RedrivePolicy"])
        policy = orjson.loads(answer.get("Attributes", {}).get("RedrivePolicy", "{}"))
        arn = policy.get("deadLetterTargetArn")
        # SQS requires the dead-letter queue to be in the account and the region of the queue.
        return f"{queue.rsplit('/', 1)[0]}/{arn.rsplit(':', 1)[-1]}" if arn else None

    def _look_at(self, queue: str) -> Iterator[Letter]:
        seen: set[str] = set()
        # SQS may omit messages from a response: the queue is empty after two responses without a new message.
        empty = 0
        while len(seen) < MOST and empty < 2:  # noqa: PLR2004 - see above
            answer = self._client.receive_message(
                QueueUrl=self._dead[queue],
                MaxNumberOfMessages=BATCH,
                VisibilityTimeout=LOOK,
                WaitTimeSeconds=1,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            )
            new = [each for each in answer.get("Messages", []) if each["MessageId"] not in seen]
            empty = 0 if new else empty + 1
            for each in new:
                seen.add(each["MessageId"])
                yield _letter(queue, each)


class Discards(Protocol):
    """The records of discarded letters."""

    def note(self, letter: Letter, reason: str) -> None:
        """Records that a letter is about to be discarded."""


class DynamoDiscards(dynamo.Table):
    """The records of discarded letters, in the service's own table."""

    def note(self, letter: Letter, reason: str) -> None:
        """As `Discards.note`. Stores a hash of the content instead of the content."""
        now = self._now()
        item = {
            "pk": "DISCARDED",
            "sk": f"{clock.rfc3339(now)}#{letter.id}",
            **letter.decoded(),
            "sha256": hashlib.sha256(letter.body.encode()).hexdigest(),
            "reason": reason,
            "expires_at": int((now + KEPT).timestamp()),
        }
        self._client.put_item(TableName=self._table, Item=dynamo.pack(item))


def run(arguments: Sequence[str], place: Place, discards: Discards) -> Iterator[str]:
    """Runs a command. Returns the lines of its output.

    Raises:
        NoSuchLetter: a dead letter does not exist.
    """
    chosen = _parser().parse_args(arguments)
    letters = place.look()
    left = {letter.id: letter for letter in letters}
    try:
        wanted = _wanted(chosen, letters)
        match chosen.command:
            case "list":
                yield from (orjson.dumps(letter.decoded()).decode() for letter in wanted)
            case "show":
                yield from (_shown(letter) for letter in wanted)
            case "redrive":
                for letter in wanted:
                    place.redrive(letter)
                    del left[letter.id]
                    yield f"redriven: {letter.id}"
            case _:
                for letter in wanted:
                    discards.note(letter, chosen.reason)
                    place.delete(letter)
                    del left[letter.id]
                    yield f"discarded: {letter.id}"
    finally:
        place.give_back(list(left.values()))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command.

    Raises:
        SystemExit: the command failed; the message contains the next step.
    """
    given = sys.argv[1:] if arguments is None else arguments
    _parser().parse_args(given)  # reports invalid arguments before the queues are accessed
    settings = Settings.load()
    queues = [url for url in (settings.tasks_queue_url, settings.events_queue_url) if url]
    try:
        place = SqsPlace(clients.client("sqs", settings), queues)
        for line in run(given, place, DynamoDiscards(clients.client("dynamodb", settings), settings.table)):
            print(line, flush=True)
    except NoSuchLetter as missing:
        raise SystemExit(str(missing)) from missing
    except (BotoCoreError, ClientError, InvalidValue) as error:
        raise SystemExit(
            f"the queues cannot be used: {error}\n"
            "Apart from the dead letters listed above, at most one dead letter may have been changed."
        ) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dlq", description="Dead letters of a service's queues.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="print one line of JSON per dead letter")
    show = commands.add_parser("show", help="print the content of dead letters, and why they failed")
    show.add_argument("ids", metavar="ID", nargs="*", help="id of a dead letter (default: all)")
    redrive = commands.add_parser("redrive", help="send dead letters to their queue again")
    chosen = redrive.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--all", action="store_true", help="redrive all dead letters")
    chosen.add_argument(
        "--id", dest="ids", metavar="ID", action="append", help="id of a dead letter; may be repeated"
    )
    discard = commands.add_parser("discard", help="delete a dead letter permanently")
    discard.add_argument("ids", metavar="ID", nargs=1, help="id of the dead letter")
    discard.add_argument("--reason", type=_reason, required=True, help="reason, which is kept for 90 days")
    return parser


def _reason(text: str) -> str:
    if not text.strip() or len(text) > LONGEST_REASON:
        raise argparse.ArgumentTypeError(f"the reason must have 1 to {LONGEST_REASON} characters")
    return text.strip()


def _wanted(chosen: argparse.Namespace, letters: Sequence[Letter]) -> list[Letter]:
    ids: list[str] = getattr(chosen, "ids", None) or []
    known = {letter.id: letter for letter in letters}
    if missing := [each for each in ids if each not in known]:
        raise NoSuchLetter(missing)
    return [known[each] for each in dict.fromkeys(ids)] if ids else list(letters)


def _letter(queue: str, received: "MessageTypeDef") -> Letter:
    attributes = received.get("Attributes", {})
    return Letter(
        id=received["MessageId"],
        queue=queue,
        receipt=received["ReceiptHandle"],
        body=received["Body"],
        attributes=received.get("MessageAttributes", {}),
        sent_at=datetime.fromtimestamp(int(attributes.get("SentTimestamp", "0")) / 1000, UTC),
        deliveries=int(attributes.get("ApproximateReceiveCount", "1")),
    )


def _shown(letter: Letter) -> str:
    shown = letter.decoded()
    try:
        return orjson.dumps({**shown, "body": letter.content()}, option=orjson.OPT_INDENT_2).decode()
    except (RecursionError, TypeError):  # nested too deep
        return orjson.dumps({**shown, "body": letter.text()}, option=orjson.OPT_INDENT_2).decode()


def _line(value: Any) -> str | None:
    """The beginning of a string, without secrets; None if the value is not a string."""
    return _blanked(value)[:LONGEST_TEXT] if isinstance(value, str) else None


def _kind(content: Mapping[str, Any]) -> str | None:
    return _line(content.get("task") or content.get("type"))


def _files(content: Mapping[str, Any]) -> list[str]:
    """The names of the files in an S3 event notification; empty for other messages."""
    try:
        keys = [record["s3"]["object"]["key"] for record in content["Records"]]
    except (LookupError, TypeError):
        return []
    return [unquote_plus(name) for key in keys if (name := _line(key))]


def _without_secrets(value: Any) -> Any:
    match value:
        case dict():
            return {
                _blanked(name): LEFT_OUT if name in SECRET else _without_secrets(each)
                for name, each in value.items()
            }
        case list():
            return [_without_secrets(each) for each in value]
        case str():
            return _text_without_secrets(value)
        case _:
            return value


def _text_without_secrets(text: str) -> str:
    """A string without secrets. It may contain JSON, as in a message of SNS."""
    try:
        content = orjson.loads(text)
    except ValueError:
        return _blanked(text)
    shown = _without_secrets(content)
    return text if shown == content else orjson.dumps(shown).decode()


def _blanked(text: str) -> str:
    return _PAYMENT_TOKEN.sub(LEFT_OUT, _NAMED_SECRET.sub(rf"\1{LEFT_OUT}", text))


if __name__ == "__main__":
    main()
