"""The spans of the seams of a service: attributes by the semantic conventions, and no personal data."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any
from unittest.mock import Mock

import httpx
import orjson
import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders
from flask.testing import FlaskClient
from flask_openapi3.blueprint import APIBlueprint
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from services.common.aws import clients
from services.common.aws.executions import start_execution
from services.common.aws.sns import SnsPublisher
from services.common.aws.sqs import SqsQueue
from services.common.http import web
from services.common.http.outgoing import TracedTransport
from services.common.messaging.consumer import Consumer, Message
from services.common.messaging.events import Event
from services.common.messaging.outbox import OutboxMessage, OutboxRecord
from services.common.messaging.relay import Relay
from services.common.runtime.breaker import CallFailed, CircuitOpen, Guard, Limits
from services.common.runtime.settings import ServiceSettings
from services.common.telemetry import invocation, logs, propagation, tracing
from services.common.values.errors import NotFound
from tests.services.common.messaging.queues import MemoryQueue
from tests.services.memory import MemoryOutbox
from tests.services.spans import Recorded, recording

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
OTHER = f"00-{'1' * 32}-{'2' * 16}-01"
ORDER = "0193e2b0-7c7b-7cc3-98c4-dc0c0c07398f"
SECRETS = ("4111111111111111", "tok_secret", "ada@example.com", "Evergreen Terrace", "Bearer abc")


class Path(web.Parameters):
    order_id: str


@pytest.fixture
def client() -> FlaskClient:
    api = APIBlueprint("things", __name__)

    @api.get("/things/<string:order_id>")
    def show(path: Path) -> Any:
        logs.concerns(order_id=path.order_id)
        if path.order_id == "bug":
            raise RuntimeError("tok_secret")
        if path.order_id == "missing":
            raise NotFound("4111111111111111")
        return web.json_response({})

    return web.create_app(name="things", version="1", apis=[api], ready={}).test_client()


def test_given_a_request_when_it_is_answered_then_its_span_has_the_route_and_neither_path_nor_query(
    client: FlaskClient, recorded: Recorded
) -> None:
    client.get(f"/things/{ORDER}?q=ada@example.com", headers={"traceparent": TRACEPARENT})

    (span,) = recorded.spans
    assert (span.trace_id, span.parent_id, span.kind) == (TRACE, SPAN, "server")
    assert span.name == "GET /things/{order_id}"
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/things/{order_id}",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "shop.order.id": ORDER,
    }


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/things/bug", HTTPStatus.INTERNAL_SERVER_ERROR, "RuntimeError"),
        ("/things/missing", HTTPStatus.NOT_FOUND, None),
        ("/4111111111111111", HTTPStatus.NOT_FOUND, None),
    ],
)
def test_given_a_request_that_fails_when_it_is_answered_then_only_an_error_of_the_server_fails_its_span(
    client: FlaskClient, recorded: Recorded, path: str, status: int, error: str | None
) -> None:
    answer = client.get(path, headers={"Authorization": "Bearer abc", "User-Agent": "ada@example.com"})

    (span,) = recorded.spans
    assert span.attributes["http.response.status_code"] == status
    assert (span.failed, span.attributes.get("error.type")) == (error is not None, error)
    assert answer.json is not None
    assert answer.json["trace_id"] == span.trace_id
    assert not any(secret in repr(span) for secret in SECRETS)


def test_given_a_probe_when_it_is_answered_then_it_has_no_span(
    client: FlaskClient, recorded: Recorded
) -> None:
    client.get("/healthz")
    client.get("/readyz")

    assert recorded.spans == []


def test_given_a_request_to_another_service_when_it_is_sent_then_the_service_learns_its_span(
    recorded: Recorded,
) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["traceparent"])
        return httpx.Response(404)

    http = httpx.Client(transport=TracedTransport(httpx.MockTransport(answer)))
    with tracing.traced("work"):
        http.get("http://payment:8080/payments/1?card=4111111111111111")

    span = recorded.named("GET")
    assert span.kind == "client"
    assert seen[0].split("-")[1:3] == [span.trace_id, span.span_id]
    assert span.attributes == {
        "http.request.method": "GET",
        "server.address": "payment",
        "server.port": 8080,
        "http.response.status_code": 404,
        "error.type": "404",
    }


def a_message(body: dict[str, Any], **fields: Any) -> Message:
    return Message("m1", "r1", orjson.dumps(body).decode(), fields.pop("deliveries", 1), **fields)


def consumer(handler: Callable[[Any], Any]) -> Consumer:
    return Consumer(MemoryQueue(), {"Work": handler})


@pytest.mark.parametrize(
    ("message", "parent"),
    [
        (a_message({"task": "Work", "order_id": ORDER, "traceparent": TRACEPARENT}), SPAN),
        (
            a_message(
                {"task": "Work", "order_id": ORDER, "traceparent": TRACEPARENT},
                traceparent=f"00-{TRACE}-{'3' * 16}-01",
            ),
            "3" * 16,
        ),
        (
            a_message(
                {"task": "Work", "order_id": ORDER, "traceparent": TRACEPARENT},
                xray=f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={'4' * 16};Sampled=1",
            ),
            "4" * 16,
        ),
    ],
    ids=["its body", "its attribute", "the header of AWS"],
)
def test_given_a_message_when_it_is_processed_then_its_span_is_below_the_one_that_sent_it(
    recorded: Recorded, message: Message, parent: str
) -> None:
    assert consumer(lambda _: None).process(message)

    span = recorded.named("process Work")
    assert (span.trace_id, span.parent_id, span.kind, span.failed) == (TRACE, parent, "consumer", False)
    assert span.attributes == {
        "messaging.system": "aws_sqs",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "memory",
        "messaging.message.id": "m1",
        "shop.message.deliveries": 1,
        "shop.order.id": ORDER,
    }


def test_given_a_message_that_fails_when_it_is_processed_then_its_span_fails_without_the_text_of_the_error(
    recorded: Recorded,
) -> None:
    handler = Mock(side_effect=RuntimeError("tok_secret"))

    assert not consumer(handler).process(
        a_message({"task": "Work", "order_id": "ada@example.com", "traceparent": TRACEPARENT}, deliveries=2)
    )

    span = recorded.named("process Work")
    assert (span.failed, span.attributes["error.type"]) == (True, "RuntimeError")
    assert span.attributes["shop.message.deliveries"] == 2
    assert not any(secret in repr(span) for secret in SECRETS)


def test_given_a_message_of_an_unknown_kind_when_it_is_processed_then_its_name_is_not_that_of_the_span(
    recorded: Recorded,
) -> None:
    consumer(lambda _: None).process(a_message({"task": "4111111111111111"}))

    assert recorded.named("process unknown").failed


def test_given_an_outbox_record_when_one_of_two_relays_sends_it_then_one_span_continues_its_trace(
    recorded: Recorded,
) -> None:
    outbox, sent = MemoryOutbox(), []
    relays = [Relay(outbox, {"work": lambda _: sent.append(tracing.traceparent())}) for _ in range(2)]
    record = OutboxRecord((OutboxMessage("work", {}),), TRACEPARENT)
    outbox.add(record)

    assert [relay.relay(record) for relay in relays] == [True, False]

    span = recorded.named("relay")
    assert (span.trace_id, span.parent_id) == (TRACE, SPAN)
    assert [each.split("-")[2] for each in sent] == [span.span_id]


def an_event(traceparent: str) -> Event:
    return Event("thing.made.v1", "/things", "1", {"address": "Evergreen Terrace"}, traceparent=traceparent)


def test_given_events_of_two_traces_when_they_are_published_at_once_then_each_has_a_span_in_its_own_trace(
    recorded: Recorded,
) -> None:
    sns = Mock()
    sns.publish_batch.return_value = {}
    publisher = SnsPublisher(sns, "arn:aws:sns:eu-central-1:1:things")
    with tracing.traced("work", propagation.remote(TRACEPARENT)):
        publisher.publish([an_event(TRACEPARENT), an_event(OTHER)])

    # The last one that began ends first.
    spans = [each for each in reversed(recorded.spans) if each.name == "publish thing.made.v1"]
    entries = sns.publish_batch.call_args.kwargs["PublishBatchRequestEntries"]
    named = [each["MessageAttributes"]["traceparent"]["StringValue"].split("-") for each in entries]
    assert [(each.trace_id, each.parent_id) for each in spans] == [(TRACE, SPAN), ("1" * 32, "2" * 16)]
    assert [each[1:3] for each in named] == [[each.trace_id, each.span_id] for each in spans]
    assert {(each.kind, each.attributes["messaging.batch.message_count"]) for each in spans} == {
        ("producer", 2)
    }
    assert "Evergreen" not in repr(spans)


def test_given_a_batch_that_fails_when_it_is_published_then_the_span_of_each_event_has_failed(
    recorded: Recorded,
) -> None:
    sns = Mock()
    sns.publish_batch.side_effect = ConnectionError
    publisher = SnsPublisher(sns, "arn:aws:sns:eu-central-1:1:things")

    with pytest.raises(ConnectionError):
        publisher.publish([an_event(TRACEPARENT), an_event(OTHER)])

    assert [each.failed for each in recorded.spans] == [True, True]


def test_given_a_message_that_is_sent_when_it_is_recorded_then_it_names_the_span_in_both_formats(
    recorded: Recorded,
) -> None:
    sqs = Mock()
    with tracing.traced("work"):
        SqsQueue(sqs, "http://sqs/1/things").send("4111111111111111")

    span, sent = recorded.named("send"), sqs.send_message.call_args.kwargs
    w3c = propagation.remote(sent["MessageAttributes"]["traceparent"]["StringValue"])
    xray = propagation.remote(xray=sent["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"])
    assert [each and (f"{each.span_id:016x}", each.trace_flags.sampled) for each in (w3c, xray)] == [
        (span.span_id, True)
    ] * 2
    assert "4111" not in repr(span)


@pytest.mark.parametrize(("given", "is_own"), [(TRACEPARENT, True), (OTHER, False)])
def test_given_an_execution_when_it_starts_then_its_steps_are_below_the_call_unless_they_belong_to_another_trace(
    recorded: Recorded, given: str, *, is_own: bool
) -> None:
    stepfunctions = Mock()
    with tracing.traced("work", propagation.remote(TRACEPARENT)):
        start_execution(stepfunctions, "arn", "name", {"order_id": ORDER, "traceparent": given})

    span, sent = recorded.named("SFN.StartExecution"), stepfunctions.start_execution.call_args.kwargs
    passed = orjson.loads(sent["input"])["traceparent"]
    assert (passed.split("-")[2] == span.span_id) == is_own
    assert ("traceHeader" in sent) == is_own
    assert len(span.links) == (0 if is_own else 1)
    if not is_own:
        assert passed == given


def test_given_a_guarded_call_when_it_is_retried_then_its_span_counts_the_attempts(
    recorded: Recorded,
) -> None:
    ask = Mock(side_effect=[CallFailed(), 5])

    guard = Guard("carrier", Limits(longest_pause=0.001))
    with tracing.traced("work"):
        assert guard.call(ask) == 5

    span = recorded.named("call carrier")
    assert span.attributes == {"shop.guard.result": "done", "shop.guard.attempts": 2}


def test_given_an_open_circuit_when_a_call_is_refused_then_its_span_fails_without_an_attempt(
    recorded: Recorded,
) -> None:
    guard = Guard("carrier", Limits(tries=1, failures=1))
    with pytest.raises(CallFailed):
        guard.call(Mock(side_effect=CallFailed()))
    with tracing.traced("work"), pytest.raises(CircuitOpen):
        guard.call(lambda: None)

    span = recorded.named("call carrier")
    assert span.failed
    assert span.attributes["shop.guard.result"] == "circuit_open"
    assert span.attributes["shop.guard.attempts"] == 0


class Refused(Exception):
    """The stubbed HTTP request of botocore."""


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client whose HTTP requests get the responses in `answers`."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    settings = ServiceSettings(
        table="t",
        tasks_queue_url="q",
        events_topic_arn="a",
        aws_region="eu-central-1",
        aws_endpoint_url="http://aws.invalid",
    )
    client: Any = clients.client("dynamodb", settings)
    client.get_item  # noqa: B018 - the first use creates the client
    client.answers = []

    def send(request: Any, **_: Any) -> Any:
        status, body = client.answers.pop(0)

        class Raw:
            def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
                yield body

        return AWSResponse(request.url, status, HTTPHeaders(), Raw())

    client.meta.events.register("before-send", send)
    return client


def test_given_an_aws_call_in_recorded_work_when_it_is_answered_then_its_span_names_the_table_and_no_values(
    recorded: Recorded, dynamodb: Any
) -> None:
    dynamodb.answers[:] = [(200, b"{}")]
    with tracing.traced("work"):
        dynamodb.get_item(TableName="orders", Key={"pk": {"S": "ada@example.com"}})

    span = recorded.named("DynamoDB.GetItem")
    assert span.kind == "client"
    assert span.attributes == {
        "rpc.system": "aws-api",
        "rpc.service": "DynamoDB",
        "rpc.method": "GetItem",
        "db.system.name": "aws.dynamodb",
        "db.operation.name": "GetItem",
        "db.collection.name": "orders",
    }


@pytest.mark.parametrize(
    ("code", "failed"), [("ConditionalCheckFailedException", False), ("ResourceNotFoundException", True)]
)
def test_given_an_aws_call_that_is_refused_when_it_is_answered_then_its_span_has_the_code_and_a_condition_is_no_failure(
    recorded: Recorded, dynamodb: Any, code: str, *, failed: bool
) -> None:
    dynamodb.answers[:] = [(400, orjson.dumps({"__type": f"x#{code}", "message": "tok_secret"}))]
    with tracing.traced("work"), pytest.raises(Exception, match=code):
        dynamodb.get_item(TableName="orders", Key={"pk": {"S": "1"}})

    span = recorded.named("DynamoDB.GetItem")
    assert (span.failed, span.attributes["error.type"]) == (failed, code)
    assert "tok_secret" not in repr(span)


def test_given_no_work_in_progress_when_aws_is_polled_then_the_call_has_no_span(
    recorded: Recorded, dynamodb: Any
) -> None:
    dynamodb.answers[:] = [(200, b"{}")]
    dynamodb.get_item(TableName="orders", Key={"pk": {"S": "1"}})

    assert recorded.spans == []


def test_given_a_batch_of_a_function_when_a_message_is_processed_then_it_continues_its_trace_and_links_the_invocation(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root=1-{'5' * 8}-{'5' * 24};Parent={'6' * 16};Sampled=1")
    record = {
        "messageId": "m1",
        "messageAttributes": {"traceparent": {"stringValue": TRACEPARENT, "dataType": "String"}},
        "attributes": {"ApproximateReceiveCount": "3"},
    }

    @invocation.traced("sales", "pubsub")
    def handler(_event: Any, _context: Any) -> None:
        with invocation.processing("sales", record):
            pass

    handler({}, None)

    invoked, processed = recorded.named("sales"), recorded.named("process sales")
    assert (invoked.trace_id, invoked.parent_id) == ("5" * 32, "6" * 16)
    assert invoked.attributes["faas.trigger"] == "pubsub"
    assert (processed.trace_id, processed.parent_id) == (TRACE, SPAN)
    assert processed.links == ((invoked.trace_id, invoked.span_id),)
    assert processed.attributes["shop.message.deliveries"] == 3


def test_given_a_sampled_parent_when_a_ratio_of_zero_applies_then_the_parent_decides() -> None:
    with recording(ALWAYS_ON) as recorded:
        with tracing.traced("work", propagation.remote(TRACEPARENT)):
            pass

        assert len(recorded.spans) == 1
