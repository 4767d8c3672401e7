"""A dead letter, as it is shown, and the ports of its storage. Pure.

A dead letter may have any content, because no process could handle it. Every dead letter can be listed, shown and discarded,
and none hides another.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import unquote_plus

import orjson

from services.common.messaging.dlq.redaction import redacted, redacted_text
from services.common.values import clock

# Maximum length of a string in the line of a letter.
LONGEST_TEXT = 300
# Maximum length of the body in a list.
LONGEST_EXCERPT = 4000


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
        return redacted(content)

    def text(self) -> str:
        """The body as text, without secrets."""
        return redacted_text(self.body)

    def excerpt(self) -> str:
        """The beginning of the body as indented JSON, or as text if it is not JSON, without secrets."""
        try:
            content = self.content()
            text = content if isinstance(content, str) else _indented(content)
        except (RecursionError, TypeError):  # nested too deep
            text = self.text()
        return text if len(text) <= LONGEST_EXCERPT else f"{text[:LONGEST_EXCERPT]}…"

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


@dataclass(frozen=True, slots=True)
class Glance:
    """A part of the letters.

    Args:
        letters: letters, oldest first.
        total: approximate number of all letters, including those that are invisible.
    """

    letters: list[Letter]
    total: int


class Place(Protocol):
    """The storage of dead letters. Letters that it returns are invisible to other receivers for a minute."""

    def look(self) -> list[Letter]:
        """All letters, oldest first."""

    def glance(self, most: int) -> Glance:
        """At most `most` letters, within seconds. A letter of the last minute may be missing."""

    def find(self, ids: Collection[str]) -> list[Letter]:
        """The letters with these different IDs. Other letters stay visible. Letters that are invisible are not found."""

    def give_back(self, letters: Sequence[Letter]) -> None:
        """Makes letters visible to other receivers again."""

    def redrive(self, letter: Letter) -> None:
        """Sends a letter to its queue again, and deletes the dead letter."""

    def delete(self, letter: Letter) -> None:
        """Deletes a letter."""


class Discards(Protocol):
    """The records of discarded letters."""

    def note(self, letter: Letter, reason: str) -> None:
        """Records that a letter is about to be discarded."""


def _indented(content: Any) -> str:
    return orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()


def _line(value: Any) -> str | None:
    """The beginning of a string, without secrets; None if the value is not a string."""
    return redacted_text(value)[:LONGEST_TEXT] if isinstance(value, str) else None


def _kind(content: Mapping[str, Any]) -> str | None:
    return _line(content.get("task") or content.get("type"))


def _files(content: Mapping[str, Any]) -> list[str]:
    """The names of the files in an S3 event notification; empty for other messages."""
    try:
        keys = [record["s3"]["object"]["key"] for record in content["Records"]]
    except (LookupError, TypeError):
        return []
    return [unquote_plus(name) for key in keys if (name := _line(key))]
