"""Messages are handled at least once, are invisible while they are handled, and are deleted afterwards."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import accumulate
from typing import Any, Protocol

import orjson
import pytest
import structlog
from botocore.exceptions import ClientError

from services.common.aws.sqs import SqsQueue
from services.common.messaging.consumer import Consumer, Depth, Message, NotDeleted, QueuePort
from services.common.runtime import progress
from services.common.telemetry import metrics, tracing
from services.common.values.errors import InvalidValue, NotFound, PermanentError, Unanswered
from shopdev.checkout import SERVICES
from shopdev.cloudformation import stacks
from shopdev.processes.emulator import AwsServer
from tests.services.accounts import EITHER, new_queue
from tests.services.common.messaging.queues import MemoryQueue

Eventually = Callable[[Callable[[], object]], None]
# As deep as JSON is read, and too deep to be printed.
DEEP = "[" * 1000 + "]" * 1000
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Sendable(QueuePort, Protocol):
    timeout: int

    def send(self, body: str) -> None: ...


@pytest.fixture(params=["memory", *EITHER])
def queue(request: pytest.FixtureRequest) -> Sendable:
    if request.param == "memory":
        return MemoryQueue(timeout=1)
    account: AwsServer = request.getfixturevalue(request.param)
    client = account.clients.sqs
    url = new_queue(account.clients)

    class Queue(SqsQueue):
        timeout = 2

    return Queue(client, url)


def one(queue: QueuePort) -> Message:
    (message,) = queue.receive(10, 2)
    return message


def test_given_a_message_when_it_is_received_again_then_its_number_of_deliveries_increases(
    queue: Sendable,
) -> None:
    queue.send("hello")

    first = one(queue)
    assert (first.body, first.deliveries) == ("hello", 1)
    assert queue.receive(10, 0) == []

    queue.hide(first, 0)
    again = one(queue)
    assert (again.id, again.body, again.deliveries) == (first.id, "hello", 2)


def test_given_deleted_messages_when_the_queue_is_read_then_they_do_not_return(queue: Sendable) -> None:
    received: list[Message] = []
    for number in range(3):
        queue.send(str(number))
        received += queue.receive(10, 2)

    queue.delete(received)

    assert queue.receive(10, queue.timeout + 1) == []


def test_given_a_message_that_sqs_refuses_to_delete_when_several_are_deleted_then_the_others_are_deleted(
    account: AwsServer,
) -> None:
    class Refusing:
        def __getattr__(self, operation: str) -> Any:
            return getattr(account.clients.sqs, operation)

        def delete_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> Any:  # noqa: N803 - AWS's names
            account.clients.sqs.delete_message_batch(QueueUrl=QueueUrl, Entries=Entries[1:])
            return {"Failed": [{"Id": "0", "Code": "InternalError", "SenderFault": False}]}

    client: Any = Refusing()
    queue = SqsQueue(client, new_queue(account.clients))
    received: list[Message] = []
    for number in range(2):
        queue.send(str(number))
        received += queue.receive(10, 2)

    with pytest.raises(NotDeleted, match="1 of 2: InternalError"):
        queue.delete(received)

    assert [message.body for message in queue.receive(10, 3)] == ["0"]


def test_given_three_messages_when_two_are_requested_then_at_most_two_are_received(queue: Sendable) -> None:
    for number in range(3):
        queue.send(str(number))

    assert len(queue.receive(2, 1)) <= 2


def test_given_a_queue_when_it_is_pinged_then_it_responds(queue: Sendable) -> None:
    queue.ping()


class Service:
    """A handler that records its messages, and fails or waits on demand."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.failures = 0
        self.may_end = threading.Event()
        self.may_end.set()
        self.context: dict[str, Any] = {}

    def handle(self, message: Mapping[str, Any]) -> None:
        self.got.append(message["order_id"])
        self.context = {**structlog.contextvars.get_contextvars(), "trace_id": tracing.trace_id()}
        assert self.may_end.wait(10)
        if self.failures:
            self.failures -= 1
            raise ConnectionError


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def memory() -> MemoryQueue:
    return MemoryQueue()


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def run(
    memory: MemoryQueue, service: Service, stop: threading.Event
) -> Iterator[Callable[..., threading.Thread]]:
    threads: list[threading.Thread] = []

    def start(**options: int) -> threading.Thread:
        consumer = Consumer(memory, {"Work": service.handle}, wait=0, **options)
        threads.append(threading.Thread(target=consumer.run, args=(stop,)))
        threads[-1].start()
        return threads[-1]

    yield start
    stop.set()
    service.may_end.set()
    for thread in threads:
        thread.join(10)


def work(order_id: str) -> str:
    return orjson.dumps({"task": "Work", "order_id": order_id, "traceparent": TRACEPARENT}).decode()


def test_given_a_message_with_a_handler_when_it_is_handled_then_it_is_deleted(
    memory: MemoryQueue, service: Service, run: Callable[[], object], eventually: Eventually
) -> None:
    run()
    memory.send(work("1"))

    eventually(lambda: memory.deleted == [work("1")])
    assert service.got == ["1"]
    assert service.context["order_id"] == "1"
    assert service.context["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_given_a_handler_that_fails_once_when_messages_arrive_then_the_failed_one_is_retried_after_the_others(
    memory: MemoryQueue, service: Service, run: Callable[[], object], eventually: Eventually
) -> None:
    service.failures = 1
    run()
    memory.send(work("1"))
    eventually(lambda: service.got == ["1"])
    memory.send(work("2"))

    eventually(lambda: sorted(memory.deleted) == [work("1"), work("2")])
    assert service.got == ["1", "2", "1"]


def test_given_messages_of_several_requests_when_they_are_handled_within_a_second_then_they_are_deleted_together(
    memory: MemoryQueue,
    service: Service,
    run: Callable[..., object],
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delete, together = memory.delete, list[int]()

    def counted(messages: Sequence[Message]) -> None:
        together.append(len(messages))
        delete(messages)

    monkeypatch.setattr(memory, "delete", counted)
    for number in range(8):
        memory.send(work(str(number)))

    run(threads=4)

    eventually(lambda: len(memory.deleted) == 8)
    assert together == [8]


def test_given_a_slow_handler_when_another_message_arrives_then_it_is_handled_meanwhile(
    memory: MemoryQueue, service: Service, run: Callable[..., object], eventually: Eventually
) -> None:
    service.may_end.clear()
    run(threads=2)
    memory.send(work("1"))
    eventually(lambda: service.got == ["1"])

    memory.send(work("2"))

    eventually(lambda: service.got == ["1", "2"])


def test_given_messages_that_cannot_be_deleted_when_they_return_then_they_are_handled_and_deleted_again(
    memory: MemoryQueue,
    service: Service,
    run: Callable[..., object],
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delete, refusals = memory.delete, [NotDeleted("1 of 1"), ConnectionError("away")]

    def refused_twice(messages: Sequence[Message]) -> None:
        if refusals:
            raise refusals.pop()
        delete(messages)

    monkeypatch.setattr(memory, "delete", refused_twice)
    monkeypatch.setattr("services.common.messaging.consumer.GATHERED_FOR", 0.05)
    memory.timeout = 1
    run()
    memory.send(work("1"))

    eventually(lambda: memory.deleted == [work("1")])
    assert service.got == ["1"] * 3


@pytest.mark.parametrize(
    "body",
    [
        "no json",
        "[]",
        "1",
        '"x"',
        "{}",
        '{"task": "Other"}',
        '{"type": "Other"}',
        '{"task": ["Other"]}',
        '{"task": "Other", "traceparent": 1, "data": 1}',
        f'{{"task": "Other", "order_id": {DEEP}}}',
        f'{{"task": "Other", "traceparent": {DEEP}}}',
        f'{{"task": {DEEP}}}',
        f'{{"type": {DEEP}}}',
        f'{{"task": {DEEP}, "type": "Work"}}',
        DEEP,
    ],
)
def test_given_a_message_without_a_handler_when_it_is_processed_then_it_is_left_for_the_dead_letter_queue(
    memory: MemoryQueue, body: str, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    memory.send(body)
    message = one(memory)

    assert not Consumer(memory, {"Work": service.handle}).process(message)
    assert (memory.deleted, service.got) == ([], [])
    (line,) = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["event"] == "message_failed"


def hidden_after(
    memory: MemoryQueue, monkeypatch: pytest.MonkeyPatch, error: Exception, deliveries: Sequence[int]
) -> list[int]:
    """The seconds for which a failing message is invisible after each of its deliveries."""
    pauses: list[int] = []

    def fail(_message: Mapping[str, Any]) -> None:
        raise error

    monkeypatch.setattr(memory, "hide", lambda _message, seconds: pauses.append(seconds))
    for delivery in deliveries:
        Consumer(memory, {"Work": fail}).process(Message("1", "1", work("1"), delivery))
    return pauses


def test_given_a_failing_message_when_it_is_retried_then_its_pause_grows_up_to_ten_minutes(
    memory: MemoryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = hidden_after(memory, monkeypatch, ConnectionError(), (1, 2, 3, 4, 100))

    assert pauses == sorted(pauses)
    assert 1 <= pauses[0] <= 3
    assert 450 <= pauses[-1] <= 750


@pytest.mark.parametrize("busy", [0, 10], ids=["fails at once", "fails after 10 s"])
@pytest.mark.parametrize(
    "jitter", [min, max, lambda low, high: (low + high) / 2], ids=["shortest", "longest", "mean"]
)
def test_given_an_outage_when_it_ends_a_minute_before_the_short_timeout_then_every_message_is_retried_in_time(
    memory: MemoryQueue, monkeypatch: pytest.MonkeyPatch, jitter: Callable[[float, float], float], busy: int
) -> None:
    timeout = stacks.document("saga")["Parameters"]["TaskTimeoutSeconds"]["Default"]
    monkeypatch.setattr("services.common.messaging.consumer.random.uniform", jitter)

    pauses = hidden_after(memory, monkeypatch, ConnectionError(), range(1, 60))

    tries = list(accumulate((pause + busy for pause in pauses), initial=0))
    assert [started for started in tries if timeout - 60 <= started < timeout], tries[:15]


def test_given_any_jitter_when_a_message_fails_before_the_short_timeout_then_it_is_retried_within_a_minute(
    memory: MemoryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regardless of the jitter, so that an attempt falls within the last minute."""
    timeout = stacks.document("saga")["Parameters"]["TaskTimeoutSeconds"]["Default"]
    monkeypatch.setattr("services.common.messaging.consumer.random.uniform", min)
    shortest = hidden_after(memory, monkeypatch, ConnectionError(), range(1, 60))
    monkeypatch.setattr("services.common.messaging.consumer.random.uniform", max)
    longest = hidden_after(memory, monkeypatch, ConnectionError(), range(1, 60))

    earliest = accumulate(shortest, initial=0)
    early = [pause for pause, tried in zip(longest, earliest, strict=False) if tried < timeout - 60]
    assert early
    assert max(early) <= 60


def test_given_an_outage_when_a_message_is_retried_then_its_tries_outlast_the_timeout_of_a_paid_order(
    memory: MemoryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise, an outage that the workflow waits for would still undo the orders in progress."""
    waits = stacks.document("saga")["Parameters"]
    for service in SERVICES:
        tries = stacks.document(service)["Resources"]["Tasks"]["Properties"]["RedrivePolicy"][
            "maxReceiveCount"
        ]
        monkeypatch.setattr("services.common.messaging.consumer.random.uniform", min)
        shortest = hidden_after(memory, monkeypatch, ConnectionError(), range(1, tries))
        monkeypatch.setattr("services.common.messaging.consumer.random.uniform", max)
        longest = hidden_after(memory, monkeypatch, ConnectionError(), range(1, tries))

        assert sum(shortest) > waits["PaidTaskTimeoutSeconds"]["Default"]
        assert sum(longest) < waits["FinalTaskTimeoutSeconds"]["Default"]
    assert waits["TaskTimeoutSeconds"]["Default"] < waits["PaidTaskTimeoutSeconds"]["Default"]


def refused(code: str, *reasons: str) -> ClientError:
    response: Any = {"Error": {"Code": code}, "CancellationReasons": [{"Code": reason} for reason in reasons]}
    return ClientError(response, "TransactWriteItems")


PERMANENT = [
    PermanentError("repair the row"),
    NotFound("no order of that id"),
    KeyError("items"),
    ValueError("no time"),
    TypeError(),
    OverflowError("date value out of range"),
    RecursionError(),
    InvalidValue("the key is too long"),
]


@pytest.mark.parametrize("error", PERMANENT, ids=repr)
def test_given_a_permanent_error_when_a_message_is_retried_then_it_is_a_dead_letter_within_two_minutes(
    memory: MemoryQueue, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    tries = stacks.document("order")["Resources"]["Tasks"]["Properties"]["RedrivePolicy"]["maxReceiveCount"]

    assert sum(hidden_after(memory, monkeypatch, error, range(1, tries))) <= 120


def test_given_a_slow_handler_when_a_message_is_in_progress_then_it_stays_hidden(
    memory: MemoryQueue, service: Service, run: Callable[..., object], eventually: Eventually
) -> None:
    service.may_end.clear()
    run(visibility=1)
    memory.send(work("1"))
    eventually(lambda: service.got)
    (first,) = [until for until, _ in memory.hidden.values()]

    eventually(lambda: [until for until, _ in memory.hidden.values()] != [first])
    service.may_end.set()

    eventually(lambda: memory.deleted == [work("1")])
    assert service.got == ["1"]


def test_given_a_queue_that_takes_long_to_be_measured_then_messages_stay_hidden_and_the_consumer_can_stop(
    memory: MemoryQueue,
    service: Service,
    stop: threading.Event,
    run: Callable[..., threading.Thread],
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = threading.Event()

    def depth() -> Depth:
        answered.wait(20)
        return Depth(0, 0, 0)

    monkeypatch.setattr(memory, "depth", depth)
    service.may_end.clear()
    thread = run(visibility=1)
    memory.send(work("1"))
    eventually(lambda: service.got)
    (first,) = [until for until, _ in memory.hidden.values()]

    eventually(lambda: [until for until, _ in memory.hidden.values()] != [first])
    service.may_end.set()
    stop.set()
    thread.join(5)

    assert (thread.is_alive(), memory.deleted) == (False, [work("1")])
    answered.set()


def test_given_two_threads_when_five_messages_wait_then_only_two_are_received(
    memory: MemoryQueue, service: Service, run: Callable[..., object], eventually: Eventually
) -> None:
    service.may_end.clear()
    for number in range(5):
        memory.send(work(str(number)))
    run(threads=2)

    eventually(lambda: len(service.got) == 2)
    assert len(memory.hidden) == 2
    service.may_end.set()
    eventually(lambda: len(memory.deleted) == 5)


def test_given_a_message_in_progress_when_the_consumer_shuts_down_then_it_completes_and_no_other_starts(
    memory: MemoryQueue,
    service: Service,
    stop: threading.Event,
    run: Callable[..., threading.Thread],
    eventually: Eventually,
) -> None:
    service.may_end.clear()
    thread = run(threads=1)
    memory.send(work("1"))
    memory.send(work("2"))
    eventually(lambda: service.got)

    stop.set()
    service.may_end.set()
    thread.join(10)

    assert not thread.is_alive()
    assert memory.deleted == [work("1")]
    assert service.got == ["1"]


def test_given_a_message_that_arrives_during_the_shutdown_then_it_is_handled_at_its_first_delivery(
    memory: MemoryQueue,
    service: Service,
    stop: threading.Event,
    run: Callable[..., threading.Thread],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A scale-in stops a consumer while its request for messages is in progress, which nothing can cancel."""
    receive, hidden = memory.receive, []

    def arrives_late(limit: int, wait: int) -> list[Message]:
        stop.set()
        return receive(limit, wait)

    monkeypatch.setattr(memory, "receive", arrives_late)
    monkeypatch.setattr(memory, "hide", lambda _message, seconds: hidden.append(seconds))
    for order_id in ("1", "2"):
        memory.send(work(order_id))

    run(threads=2).join(10)

    assert sorted(service.got) == ["1", "2"]
    assert sorted(memory.deleted) == [work("1"), work("2")]
    assert hidden == [], "none was returned to the queue"


def test_given_an_unavailable_queue_when_it_recovers_then_the_consumer_continues(
    memory: MemoryQueue,
    run: Callable[[], object],
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receive, failed = memory.receive, threading.Event()

    def away_once(limit: int, wait: int) -> list[Message]:
        if not failed.is_set():
            failed.set()
            raise ConnectionError
        return receive(limit, wait)

    monkeypatch.setattr(memory, "receive", away_once)
    run()
    memory.send(work("1"))

    eventually(lambda: memory.deleted == [work("1")])
    assert failed.is_set()


@pytest.mark.parametrize(
    ("error", "is_ready"),
    [
        (ConnectionError("no table"), False),
        (refused("ResourceNotFoundException: no table"), False),
        (refused("TransactionCanceledException: no table", "ThrottlingError"), False),
        (Unanswered("no carrier"), True),
        *((error, True) for error in PERMANENT),
    ],
    ids=repr,
)
def test_given_a_handler_that_keeps_failing_when_readiness_is_checked_then_only_dependency_failures_count(
    memory: MemoryQueue, monkeypatch: pytest.MonkeyPatch, error: Exception, is_ready: bool
) -> None:
    def fail(_message: Mapping[str, Any]) -> None:
        raise error

    consumer = Consumer(memory, {"Work": fail})
    for name in ("1", "2"):
        consumer.process(Message(name, name, work(name), 1))
    consumer.ready()

    monkeypatch.setattr(progress, "PATIENCE_SECONDS", -1.0)

    with nullcontext() if is_ready else pytest.raises(progress.NoProgress, match="no table"):
        consumer.ready()


def test_given_a_message_with_an_unknown_task_when_it_fails_then_it_creates_no_time_series(
    memory: MemoryQueue,
) -> None:
    counter = metrics.MESSAGES.labels("memory", "unknown", "failed")
    before = counter._value.get()

    Consumer(memory, {}).process(Message("1", "1", '{"task": "made-up"}', 1))

    assert counter._value.get() == before + 1


def test_given_a_message_of_an_order_when_its_handler_fails_then_the_log_contains_the_order_id(
    memory: MemoryQueue, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.failures = 1

    Consumer(memory, {"Work": service.handle}).process(Message("1", "1", work("order-1"), 1))

    (line,) = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["event"], line["order_id"]) == ("message_failed", "order-1")
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
