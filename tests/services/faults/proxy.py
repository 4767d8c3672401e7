"""An unreliable network: a proxy between the processes of the shop and AWS.

Calls are forwarded to AWS unless a fault below applies, by seeded chance. Each connection of a client has its own connection to
AWS. The bodies of all received messages are stored, so that they can be sent again.
"""

import asyncio
import contextlib
import json
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol, Self
from urllib.parse import parse_qs

END_OF_HEAD: Final = b"\r\n\r\n"
LARGEST_HEAD: Final = 64 * 1024
RECEIVE: Final = "sqs:ReceiveMessage"
# The partner that is no part of AWS. The sandbox carrier does nothing without its entries in the shipping service's table.
CARRIER: Final = "carrier"
# Prefix of the header X-Amz-Target -> service. SNS has none: its operation is in the body.
TARGETS: Final = {"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs", "AWSStepFunctions": "states"}


@dataclass(frozen=True)
class Call:
    """A request of an AWS SDK.

    Args:
        operation: e.g. "dynamodb:PutItem".
        request: its head and its body.
        body: of the request.
    """

    operation: str
    request: bytes
    body: bytes

    @property
    def service(self) -> str:
        """E.g. "dynamodb"."""
        return self.operation.partition(":")[0]


Forward = Callable[[], Awaitable[bytes]]


class Dropped(Exception):
    """The connection ends without an answer."""


class Effect(Protocol):
    """Replacement for the forwarding of a call."""

    async def __call__(self, call: Call, forward: Forward, /) -> bytes:
        """Its answer.

        Raises:
            Dropped: when there is none.
        """


class Reset:
    """The connection ends before anything was forwarded."""

    async def __call__(self, _call: Call, _forward: Forward) -> bytes:
        raise Dropped


class LoseAnswer:
    """AWS performs the call, but the connection ends before the response."""

    async def __call__(self, _call: Call, forward: Forward) -> bytes:
        await forward()
        raise Dropped


class FailAfterEffect:
    """AWS performs the call, but returns an internal error."""

    async def __call__(self, call: Call, forward: Forward) -> bytes:
        await forward()
        return refusal(call, 500, INTERNAL[call.service])


@dataclass(frozen=True)
class Delay:
    """The call is forwarded with a delay of some seconds."""

    longest: float
    chance: random.Random

    async def __call__(self, _call: Call, forward: Forward) -> bytes:
        await asyncio.sleep(self.chance.uniform(0, self.longest))
        return await forward()


class Throttle:
    """AWS throttles the call, with the error code of its service."""

    async def __call__(self, call: Call, _forward: Forward) -> bytes:
        return refusal(call, 400, THROTTLING[call.service])


class Break:
    """AWS does not perform the call, and returns an internal error."""

    async def __call__(self, call: Call, _forward: Forward) -> bytes:
        return refusal(call, 500, INTERNAL[call.service])


@dataclass(frozen=True)
class Unreachable:
    """Half of the connections end before anything was forwarded; the other calls are answered 503."""

    chance: random.Random

    async def __call__(self, call: Call, _forward: Forward) -> bytes:
        if self.chance.random() < 0.5:
            raise Dropped
        return refusal(call, 503, "ServiceUnavailable")


@dataclass(frozen=True)
class Silence:
    """No response within the caller's timeout. Half of the calls take effect long afterwards.

    Args:
        chance: which half.
        over: set when the silence ends.
    """

    chance: random.Random
    over: asyncio.Event

    async def __call__(self, _call: Call, forward: Forward) -> bytes:
        await self.over.wait()
        if self.chance.random() < 0.5:
            await forward()
        raise Dropped


class Conflict:
    """A write to DynamoDB conflicts with another transaction on the same item. Other calls are forwarded."""

    async def __call__(self, call: Call, forward: Forward) -> bytes:
        match call.operation:
            case "dynamodb:TransactWriteItems":
                count = len(json.loads(call.body)["TransactItems"])
                reasons = [{"Code": "TransactionConflict"}, *[{"Code": "None"}] * (count - 1)]
                return refusal(call, 400, "TransactionCanceledException", CancellationReasons=reasons)
            case "dynamodb:PutItem" | "dynamodb:UpdateItem" | "dynamodb:DeleteItem":
                return refusal(call, 400, "TransactionConflictException")
            case _:
                return await forward()


class ThrottleTransaction:
    """DynamoDB throttles a transaction. Other calls are forwarded."""

    async def __call__(self, call: Call, forward: Forward) -> bytes:
        if call.operation != "dynamodb:TransactWriteItems":
            return await forward()
        count = len(json.loads(call.body)["TransactItems"])
        reasons = [*[{"Code": "None"}] * (count - 1), {"Code": "ThrottlingError"}]
        return refusal(call, 400, "TransactionCanceledException", CancellationReasons=reasons)


# The codes of the services' API references, "Common Errors".
THROTTLING: Final = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "sqs": "RequestThrottled",
    "states": "ThrottlingException",
    "sns": "Throttling",
    "other": "ThrottlingException",
}
INTERNAL: Final = {
    "dynamodb": "InternalServerError",
    "sqs": "InternalFailure",
    "states": "InternalFailure",
    "sns": "InternalFailure",
    "other": "InternalFailure",
}


def refusal(call: Call, status: int, code: str, **fields: object) -> bytes:
    """An error in the format of the called service: XML of SNS, JSON of the others."""
    if call.service == "sns":
        kind = "Receiver" if status >= 500 else "Sender"
        body = (
            '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error>'
            f"<Type>{kind}</Type><Code>{code}</Code><Message>injected</Message></Error>"
            "<RequestId>injected</RequestId></ErrorResponse>"
        ).encode()
        kind_of_body = "text/xml"
    else:
        body = json.dumps({"__type": code, "message": "injected", **fields}).encode()
        kind_of_body = "application/x-amz-json-1.0"
    head = (
        f"HTTP/1.1 {status} injected\r\nContent-Type: {kind_of_body}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass(frozen=True)
class Fault:
    """An effect on some calls.

    Args:
        effect: what happens.
        probability: how often, from 0 to 1.
        operations: what the operation begins with, e.g. "dynamodb:" or "sns:PublishBatch"; any by default.
        mentions: what the body contains.
    """

    effect: Effect
    probability: float = 1.0
    operations: Sequence[str] = ("",)
    mentions: Sequence[bytes] = ()

    def hits(self, call: Call, chance: random.Random) -> bool:
        """Whether it is this one's turn."""
        return (
            chance.random() < self.probability
            and call.operation.startswith(tuple(self.operations))
            and all(text in call.body for text in self.mentions)
        )


def carrier_fault(effect: Effect) -> Fault:
    """Fault of the carrier, which the proxy sees only as reads and writes of its entries."""
    return Fault(effect, operations=("dynamodb:",), mentions=(b"SANDBOX#", b"-shipments"))


class Proxy:
    """One way to AWS.

    Args:
        port: where AWS answers on loopback.
        seed: of every chance.
    """

    def __init__(self, port: int, seed: int) -> None:
        self._upstream = port
        self._chance = random.Random(seed)  # noqa: S311  repeatable, not secret
        self._faults: tuple[Fault, ...] = ()
        self._outages: tuple[Fault, ...] = ()
        self._away = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy of AWS", daemon=True)
        self._connections: set[asyncio.Task[None]] = set()
        self.calls = 0
        self.injected: Counter[str] = Counter()
        """How often each effect has hit, by its name."""
        self.received: dict[str, str] = {}
        """Body of each message that a process has received -> the URL of its queue."""
        self.missed: Counter[str] = Counter()
        """How many calls each service has missed while it was away."""
        self.endpoint = ""

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(timeout=10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextmanager
    def failing(self, *faults: Fault) -> Iterator[None]:
        """Faults that apply for some time. The first matching one takes effect."""
        self._faults = faults
        try:
            yield
        finally:
            self._faults = ()

    @contextmanager
    def away(self, service: str) -> Iterator[None]:
        """A service is unavailable for some time.

        Args:
            service: of AWS, e.g. "sqs"; or CARRIER, which says nothing at all then.
        """
        over = asyncio.Event()
        chance = random.Random(self._chance.random())  # noqa: S311  as above
        self._outages = (
            carrier_fault(Silence(chance, over))
            if service == CARRIER
            else Fault(Unreachable(chance), operations=(f"{service}:",)),
        )
        self._away = service
        try:
            yield
        finally:
            self._outages = ()
            self._loop.call_soon_threadsafe(over.set)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, limit=LARGEST_HEAD, backlog=512
        )
        self.endpoint = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _stop(self) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        upstream: asyncio.StreamWriter | None = None
        try:
            reader, upstream = await asyncio.open_connection("127.0.0.1", self._upstream, limit=LARGEST_HEAD)
            while True:
                await self._serve(client, answers, reader, upstream)
        except (Dropped, OSError, EOFError):
            # A reset and not an end: without a lingering byte, as a network does it.
            answers.transport.abort()
        finally:
            self._connections.discard(task)
            for writer in (answers, upstream):
                if writer is not None:
                    writer.close()
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()

    async def _serve(
        self,
        client: asyncio.StreamReader,
        answers: asyncio.StreamWriter,
        reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
    ) -> None:
        call = await _call(client)
        self.calls += 1

        async def forward() -> bytes:
            upstream.write(call.request)
            await upstream.drain()
            head, body = await _message(reader)
            if call.operation == RECEIVE:
                self._keep(call, body)
            return head + body

        for fault in (*self._outages, *self._faults):
            if fault.hits(call, self._chance):
                self.injected[type(fault.effect).__name__] += 1
                if fault in self._outages:
                    self.missed[self._away] += 1
                answer = await fault.effect(call, forward)
                break
        else:
            answer = await forward()
        answers.write(answer)
        await answers.drain()

    def _keep(self, call: Call, body: bytes) -> None:
        with contextlib.suppress(ValueError):
            url = json.loads(call.body)["QueueUrl"]
            for message in json.loads(body).get("Messages", []):
                self.received.setdefault(message["Body"], url)


async def _call(client: asyncio.StreamReader) -> Call:
    head, body = await _message(client)
    headers = _headers(head)
    prefix, _, operation = headers.get("x-amz-target", "").partition(".")
    if not prefix:
        action = parse_qs(body.decode("latin-1")).get("Action", [""])[0]
        return Call(f"sns:{action}" if action else "other:", head + body, body)
    return Call(f"{TARGETS.get(prefix, 'other')}:{operation}", head + body, body)


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The head and the body of the next request or answer; one in chunks is put together.

    Raises:
        EOFError: when none comes any more.
    """
    head = await reader.readuntil(END_OF_HEAD)
    headers = _headers(head)
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return head, await reader.readexactly(int(headers.get("content-length", "0")))
    body = await _chunks(reader)
    kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"transfer-encoding:")]
    return b"\r\n".join([kept[0], b"Content-Length: %d" % len(body), *kept[1:]]), body


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return bytes(body)


def _headers(head: bytes) -> Mapping[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.lower(): value.strip() for name, _, value in pairs}
