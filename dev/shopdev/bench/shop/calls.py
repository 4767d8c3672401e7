"""AWS calls in the form in which they were sent and answered. Pure."""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

# First part of X-Amz-Target -> the name of the client in boto3.
_TARGETS: Final = {
    "DynamoDB_20120810": "dynamodb",
    "AmazonSQS": "sqs",
    "AWSStepFunctions": "stepfunctions",
    "Route53AutoNaming_v20170314": "servicediscovery",
    "secretsmanager": "secretsmanager",
}
_APPLICATION: Final = re.compile(r"(?:^| )app/(\S+)")
# The emulator failed, and the SDK repeated the call.
FAILED: Final = 500


@dataclass(frozen=True)
class Message:
    """An HTTP request or response: its first line, its headers by lowercase name, and its body."""

    first: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def encoded(self) -> bytes:
        """The message with a Content-Length."""
        headers = {
            name: value
            for name, value in self.headers.items()
            if name not in {"content-length", "transfer-encoding"}
        }
        lines = [self.first, *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join([*lines, f"content-length: {len(self.body)}", "", ""])
        return head.encode("latin-1") + self.body

    @property
    def status(self) -> int:
        """The status of a response."""
        return int(self.first.split(" ", 2)[1])


@dataclass(frozen=True)
class Call:
    """A call to AWS.

    Args:
        process: name of the process, from AWS_SDK_UA_APP_ID.
        client: name of the client in boto3, such as `dynamodb`.
        operation: name of the operation, such as `PutItem`.
        parameters: parameters of the operation.
        response: the encoded response.
    """

    process: str
    client: str
    operation: str
    parameters: Mapping[str, Any]
    response: bytes


def call_of(request: Message, response: Message) -> Call | None:
    """The call of a request; None for a request that is not an AWS call, or that AWS failed to answer."""
    if response.status >= FAILED:
        return None
    found = _APPLICATION.search(request.headers.get("user-agent", ""))
    process = found[1] if found else ""
    body = (
        gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
    )
    target, _, operation = request.headers.get("x-amz-target", "").partition(".")
    if target in _TARGETS:
        return Call(process, _TARGETS[target], operation, json.loads(body or b"{}"), response.encoded)
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        # Of the clients that the shop uses, only that of SNS sends forms.
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        operation = form.pop("Action", "")
        form.pop("Version", None)
        return Call(process, "sns", operation, structured(form), response.encoded)
    return None


def structured(form: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of a form of the query protocol: `Ids.member.1=a` becomes `{"Ids": ["a"]}`."""
    tree: dict[str, Any] = {}
    for name, value in form.items():
        *path, last = name.split(".")
        inner = tree
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return {name: _folded(value) for name, value in tree.items()}


def _folded(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    if set(tree) == {"member"}:
        return [_folded(tree["member"][number]) for number in sorted(tree["member"], key=int)]
    if set(tree) == {"entry"}:
        return {entry["Name"]: _folded(entry["Value"]) for entry in tree["entry"].values()}
    return {name: _folded(value) for name, value in tree.items()}


def is_empty_poll(call: Call) -> bool:
    """Whether a call asked a queue for messages and got none."""
    return call.operation == "ReceiveMessage" and b'"Messages"' not in call.response


def counted(calls: Iterable[Call], orders: int) -> list[tuple[str, ...]]:
    """Rows of a table: process, operation, and calls per order; the most frequent first."""
    counts = Counter((call.process, _name(call)) for call in calls)
    return [(process, name, f"{count / orders:.2f}") for (process, name), count in counts.most_common()]


def _name(call: Call) -> str:
    return f"{call.operation} (no message)" if is_empty_poll(call) else call.operation


def replayed(calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """The calls for the bare loop."""
    for call in calls:
        yield {"client": call.client, "operation": call.operation, "parameters": dict(call.parameters)}
