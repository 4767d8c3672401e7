"""The clients of AWS: a rejected value raises the error of the port, and any other failure the error of botocore."""

import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any, ClassVar

import pytest
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from services.common.aws import clients, consumer_process
from services.common.messaging.consumer import Consumer
from services.common.messaging.permanent import is_permanent
from services.common.runtime.settings import ServiceSettings
from services.common.values.errors import InvalidValue
from services.order import consumer as order_consumer
from services.order.config import Settings
from tests.services.memory import MemoryOutbox
from tests.waiting import wait_for


def refused(code: str, *reasons: str) -> ClientError:
    response: Any = {"Error": {"Code": code}, "CancellationReasons": [{"Code": reason} for reason in reasons]}
    return ClientError(response, "TransactWriteItems")


def raised_by_put_item(monkeypatch: pytest.MonkeyPatch, error: Exception) -> Exception:
    class Failing:
        class meta:  # noqa: N801 - botocore's name
            method_to_api_mapping: ClassVar = {"put_item": "PutItem"}

        def put_item(self, **_parameters: Any) -> None:
            raise error

    monkeypatch.setattr(clients, "_connect", lambda *_: Failing())
    settings = ServiceSettings(table="t", tasks_queue_url="q", events_topic_arn="a", aws_region="us-east-1")
    with pytest.raises(Exception) as raised:  # noqa: PT011 - the caller inspects it
        clients.client("dynamodb", settings).put_item(TableName="t", Item={})
    return raised.value


class Resetting(BaseHTTPRequestHandler):
    """An SQS that receives requests, and closes the connection instead of answering."""

    requests: ClassVar[list[tuple[str, str]]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        self.requests.append((operation, self.headers["amz-sdk-request"].partition(";")[0]))
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def resetting(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Settings, list[tuple[str, str]]]]:
    """Settings with an SQS that answers nothing; and the operation and attempt of each request that it received."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    requests: list[tuple[str, str]] = []
    handler = type("Handler", (Resetting,), {"requests": requests})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        for name in ("TABLE", "TOKENS_TABLE", "EVENTS_TOPIC_ARN", "STATE_MACHINE_ARN"):
            monkeypatch.setenv(name, "none")
        for name in ("TASKS_QUEUE_URL", "EVENTS_QUEUE_URL"):
            monkeypatch.setenv(name, f"{url}/000000000000/none")
        yield Settings.load(), requests
        server.shutdown()
        thread.join()


def consumers_of(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, process: Callable[[], None]
) -> Sequence[Consumer]:
    """The consumers that a process would run."""
    started: list[Consumer] = []
    monkeypatch.setattr(module, "run_workers", lambda _settings, workers, **_: started.extend(workers))
    process()
    return started


def receive_twice(consumer: Consumer, requests: list[tuple[str, str]]) -> set[str]:
    """Runs a consumer until it has sent two requests for messages, and returns which attempts they were."""
    requests.clear()
    stop = threading.Event()
    thread = threading.Thread(target=consumer.run, args=(stop,))
    thread.start()
    wait_for(lambda: [name for name, _ in requests].count("ReceiveMessage") > 1)
    stop.set()
    thread.join()
    attempts = {attempt for name, attempt in requests if name == "ReceiveMessage"}
    # It measures the queue in a thread of its own.
    wait_for(lambda: not any(each.name.endswith("measurer") for each in threading.enumerate()))
    return attempts


@pytest.mark.parametrize("process", ["order", "any other service"])
def test_given_a_lost_answer_when_messages_are_received_then_no_further_ones_are_hidden_by_a_retry(
    monkeypatch: pytest.MonkeyPatch,
    resetting: tuple[Settings, list[tuple[str, str]]],
    process: str,
) -> None:
    settings, requests = resetting
    if process == "order":
        consumers = consumers_of(monkeypatch, order_consumer, order_consumer.main)
    else:
        consumers = consumers_of(
            monkeypatch,
            consumer_process,
            lambda: consumer_process.run_tasks(settings, lambda _: {}, MemoryOutbox()),
        )

    assert consumers
    for each in consumers:
        assert receive_twice(each, requests) == {"attempt=1"}


def test_given_a_lost_answer_when_a_message_is_deleted_then_the_request_is_retried(
    resetting: tuple[Settings, list[tuple[str, str]]],
) -> None:
    settings, requests = resetting

    with pytest.raises(BotoCoreError):
        clients.client("sqs", settings).delete_message(
            QueueUrl=settings.tasks_queue_url, ReceiptHandle="receipt"
        )

    assert requests == [("DeleteMessage", f"attempt={n + 1}") for n in range(1 + clients.RETRIES)]


@pytest.mark.parametrize(
    "error",
    [
        refused("ValidationException"),
        refused("TransactionCanceledException", "None", "ValidationError"),
        ParamValidationError(report="not a string"),
    ],
    ids=str,
)
def test_given_a_value_that_dynamodb_rejects_when_it_is_written_then_a_permanent_error_of_the_port_is_raised(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    found = raised_by_put_item(monkeypatch, error)

    assert isinstance(found, InvalidValue)
    assert is_permanent(found)
    assert found.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        refused("ConditionalCheckFailedException"),
        refused("TransactionCanceledException", "ConditionalCheckFailed", "None"),
        refused("TransactionCanceledException", "ConditionalCheckFailed", "ValidationError"),
        refused("ThrottlingException"),
        ConnectionError("reset"),
    ],
    ids=str,
)
def test_given_any_other_failure_when_an_item_is_written_then_the_error_is_raised_unchanged(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    assert raised_by_put_item(monkeypatch, error) is error
