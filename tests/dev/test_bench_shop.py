"""The pure parts of the benchmark of the shop, and the two servers that record and repeat AWS calls."""

import gzip
import json
from argparse import ArgumentTypeError
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx
import pytest

from shopdev.bench.shop.calls import Call, Message, call_of, counted, is_empty_poll, structured
from shopdev.bench.shop.cli import parsed, sections_of
from shopdev.bench.shop.consumers import Step, Used, due, growth, percentiles
from shopdev.bench.shop.search import batches
from shopdev.bench.shop.sink import spans
from shopdev.bench.shop.telemetry import series
from shopdev.bench.shop.where import FIRST, START, Spent, rows_of, samples, stages_of
from shopdev.bench.shop.wire import Recorder, Repeater

OK = Message("HTTP/1.1 200 OK", {"content-type": "application/x-amz-json-1.0"}, b"{}")
AGENT = "Boto3/1.42 md/Botocore#1.42 app/order-relay"


def asked(target: str, body: bytes = b"{}", **headers: str) -> Message:
    return Message("POST / HTTP/1.1", {"x-amz-target": target, "user-agent": AGENT, **headers}, body)


def test_given_a_request_of_the_json_protocol_then_its_call_names_the_process_and_the_operation() -> None:
    call = call_of(asked("DynamoDB_20120810.GetItem", b'{"TableName": "t"}'), OK)

    assert call is not None
    assert (call.process, call.client, call.operation) == ("order-relay", "dynamodb", "GetItem")
    assert call.parameters == {"TableName": "t"}
    assert call.response.endswith(b"content-length: 2\r\n\r\n{}")


def test_given_a_compressed_request_then_its_call_has_the_parameters() -> None:
    packed = gzip.compress(b'{"name": "n"}')
    call = call_of(asked("AWSStepFunctions.StartExecution", packed, **{"content-encoding": "gzip"}), OK)

    assert call is not None
    assert call.parameters == {"name": "n"}


def test_given_a_form_of_sns_then_its_call_has_lists_and_maps() -> None:
    form = (
        b"Action=PublishBatch&Version=2010-03-31&TopicArn=arn"
        b"&PublishBatchRequestEntries.member.2.Id=b"
        b"&PublishBatchRequestEntries.member.1.Id=a"
        b"&PublishBatchRequestEntries.member.1.MessageAttributes.entry.1.Name=type"
        b"&PublishBatchRequestEntries.member.1.MessageAttributes.entry.1.Value.DataType=String"
        b"&PublishBatchRequestEntries.member.1.MessageAttributes.entry.1.Value.StringValue=x"
    )
    request = Message(
        "POST / HTTP/1.1", {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}, form
    )

    call = call_of(request, OK)

    assert call is not None
    assert (call.client, call.operation) == ("sns", "PublishBatch")
    assert call.parameters == {
        "TopicArn": "arn",
        "PublishBatchRequestEntries": [
            {"Id": "a", "MessageAttributes": {"type": {"DataType": "String", "StringValue": "x"}}},
            {"Id": "b"},
        ],
    }


def test_given_ten_members_then_they_keep_the_order_of_their_numbers() -> None:
    assert structured({f"Ids.member.{number}": str(number) for number in (10, 9, 2, 1)}) == {
        "Ids": ["1", "2", "9", "10"]
    }


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        (Message("GET /pool/.well-known/jwks.json HTTP/1.1", {}, b""), OK),
        (asked("DynamoDB_20120810.GetItem"), Message("HTTP/1.1 500 Internal Server Error", {}, b"")),
    ],
)
def test_given_another_request_or_a_failure_then_it_is_not_a_call(
    request_: Message, response: Message
) -> None:
    assert call_of(request_, response) is None


def test_given_calls_when_they_are_counted_then_polls_without_a_message_are_separate() -> None:
    def received(body: bytes) -> Call:
        return Call("consumer", "sqs", "ReceiveMessage", {}, body)

    calls = [received(b"{}"), received(b'{"Messages":[]}'), received(b"{}")]

    assert [is_empty_poll(call) for call in calls] == [True, False, True]
    assert counted(calls, orders=2) == [
        ("consumer", "ReceiveMessage (no message)", "1.00"),
        ("consumer", "ReceiveMessage", "0.50"),
    ]


def test_given_an_export_when_its_spans_are_counted_then_those_of_every_scope_are_included() -> None:
    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    span = field(1, b"0123456789abcdef") + b"\x38\x05" + b"\x39" + bytes(8)
    scope = field(1, b"") + field(2, span) + field(2, span)
    export = field(1, field(1, b"resource") + field(2, scope)) + field(1, field(2, field(2, span)))

    assert spans(export) == 3
    assert spans(b"") == 0


def test_given_the_text_of_prometheus_then_every_sample_is_a_series() -> None:
    assert series('# HELP a A.\n# TYPE a counter\na{b="1"} 1\na{b="2"} 1\n\n') == 2


def test_given_a_list_of_sections_then_they_are_measured_in_the_order_of_the_benchmark() -> None:
    assert sections_of("telemetry, orders") == ["orders", "telemetry"]
    with pytest.raises(ArgumentTypeError, match="no section speed; there are orders"):
        sections_of("speed,orders")


def test_given_quick_then_it_measures_little() -> None:
    assert parsed(["--quick", "--only", "orders"]).number < parsed([]).number


def test_given_products_of_the_search_then_they_are_different_and_fit_into_transactions() -> None:
    found = list(batches(250))

    assert len({product.sku for batch in found for product in batch}) == 250
    assert max(map(len, found)) < 100


class _Emulator(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer in two chunks."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b'4\r\n{"a"\r\n4\r\n: 1}\r\n0\r\n\r\n')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Print nothing."""


@pytest.fixture
def emulator_port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), _Emulator)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def test_given_a_recorder_when_calls_pass_through_it_then_a_repeater_gives_the_same_answers(
    emulator_port: int,
) -> None:
    headers = {"X-Amz-Target": "AmazonSQS.ReceiveMessage", "User-Agent": AGENT}
    with Recorder(emulator_port) as recorder, httpx.Client(headers=headers, trust_env=False) as http:
        passed = [http.post(recorder.url, json={"n": number}).json() for number in range(2)]
    with (
        Repeater([call.response for call in recorder.calls]) as repeater,
        httpx.Client(trust_env=False) as http,
    ):
        repeated = [http.post(repeater.url, json={}).json() for _ in range(3)]

    assert passed == [{"a": 1}] * 2
    assert [json.loads(json.dumps(dict(call.parameters))) for call in recorder.calls] == [{"n": 0}, {"n": 1}]
    assert repeated == [{"a": 1}] * 3


def step(rate: float, emulator: float, machine: float, replicas: int = 1) -> Step:
    """A step of ten seconds on two processors."""
    return Step(replicas, int(rate * 10), 10, Used(5, emulator * 10, 1, machine * 10), 10, 2)


@pytest.mark.parametrize(
    ("emulator", "machine", "expected"),
    [
        (0.95, 1.9, "the emulator, which uses one processor"),
        (0.5, 1.9, "the processors"),
        (0.5, 1.2, "the consumers, which wait"),
    ],
)
def test_given_the_used_processors_then_a_step_names_its_limit(
    emulator: float, machine: float, expected: str
) -> None:
    assert step(10, emulator, machine).limit == expected


@pytest.mark.parametrize(
    ("rate", "machine", "met"), [(20, 1.2, "must"), (11, 1.9, "must"), (11, 1.2, "MISSED")]
)
def test_given_twice_as_many_consumers_then_the_throughput_grows_unless_something_else_limits_it(
    rate: float, machine: float, met: str
) -> None:
    row = growth(step(10, 0.5, 1.2), step(rate, 0.5, machine, replicas=2))

    assert row[0] == "throughput with 2 ÷ 1 processes of each consumer"
    assert row[-1] == met


def test_given_an_open_load_then_its_requests_are_due_in_order_at_its_rate() -> None:
    times = due(5.0, 1000)

    assert times == sorted(times) == due(5.0, 1000)
    assert 160 < times[-1] < 240


def test_given_durations_then_their_percentiles_are_shown() -> None:
    assert percentiles([float(value) for value in range(1, 101)], "ms") == "51, 96, 100 ms"


def test_given_the_history_of_a_workflow_then_the_stages_add_up_to_the_time_until_the_order_was_completed() -> (
    None
):
    at = datetime(2026, 11, 1, tzinfo=UTC)

    def event(kind: str, milliseconds: int, name: str = "") -> dict[str, object]:
        moment = {"type": kind, "timestamp": at + timedelta(milliseconds=milliseconds)}
        return {**moment, "stateEnteredEventDetails": {"name": name}} if name else moment

    stages = stages_of(
        at,
        [
            event("ExecutionStarted", 10),
            event("PassStateEntered", 15, "NothingToUndo"),
            event("TaskStateEntered", 30, "ReserveStock"),
            event("TaskStateExited", 60),
            event("TaskStateEntered", 60, "CheckOrder"),
            event("TaskStateExited", 100),
            event("ExecutionSucceeded", 110),
        ],
    )

    assert stages == {START: 10, FIRST: 20, "ReserveStock": 30, "CheckOrder": 40}
    assert list(rows_of([stages], {"CheckOrder": Spent(5, 15)})) == [
        (START, "10 ms", "10%", "", "", "10 ms"),
        (FIRST, "20 ms", "20%", "", "", "20 ms"),
        ("ReserveStock", "30 ms", "30%", "", "", "30 ms"),
        ("CheckOrder", "40 ms", "40%", "5 ms", "15 ms", "20 ms"),
        ("sum", "100 ms", "100%", "", "", ""),
    ]


def test_given_metrics_then_the_samples_with_a_label_are_added() -> None:
    text = '# HELP a b\na_sum{queue="x-tasks"} 1.5\na_sum{queue="y-tasks"} 2\na_sum{queue="x-facts"} 4\nb_sum 8\n'

    assert samples(text, "a_sum", "-tasks") == 3.5
    assert samples(text, "b_sum", "") == 8
