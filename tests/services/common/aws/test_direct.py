"""Calls that are sent directly: AWS receives what botocore would send, and callers get what botocore would return or raise."""

import json
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.session import Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.common.aws import clients
from services.common.aws.direct import OPERATIONS, send_directly
from services.common.runtime.settings import ServiceSettings
from services.common.telemetry import tracing
from tests.services.spans import recording

KEYS = ("AKIDEXAMPLE", "secret", "session")
ITEM = {"pk": {"S": "ORDER#1"}, "n": {"N": "3"}, "é": {"L": [{"BOOL": True}, {"NULL": True}, {"M": {}}]}}
KEY = {"pk": {"S": "ORDER#1"}}
QUEUE = "http://localhost/000000000000/tasks"
ARN = "arn:aws:states:eu-central-1:000000000000:stateMachine:orders"
# Operation -> parameters and response. The values have every form that the shop uses.
EXAMPLES: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "BatchGetItem": (
        {"RequestItems": {"t": {"Keys": [KEY], "ConsistentRead": False}}},
        {"Responses": {"t": [ITEM]}, "UnprocessedKeys": {}},
    ),
    "BatchWriteItem": (
        {"RequestItems": {"t": [{"DeleteRequest": {"Key": KEY}}]}},
        {"UnprocessedItems": {"t": [{"DeleteRequest": {"Key": KEY}}]}},
    ),
    "DeleteItem": ({"TableName": "t", "Key": KEY}, {}),
    "GetItem": ({"TableName": "t", "Key": KEY, "ConsistentRead": True}, {"Item": ITEM}),
    "PutItem": (
        {"TableName": "t", "Item": ITEM, "ConditionExpression": "attribute_not_exists(pk)"},
        {"Attributes": None},
    ),
    "Query": (
        {
            "TableName": "t",
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": "OUTBOX#0"}},
            "Limit": 50,
        },
        {"Items": [ITEM], "Count": 1, "ScannedCount": 1, "LastEvaluatedKey": KEY},
    ),
    "TransactWriteItems": (
        {"TransactItems": [{"Put": {"TableName": "t", "Item": ITEM}}], "ClientRequestToken": "1"},
        {},
    ),
    "UpdateItem": (
        {"TableName": "t", "Key": KEY, "UpdateExpression": "ADD n :one", "ReturnValues": "ALL_NEW"},
        {"Attributes": ITEM},
    ),
    "ChangeMessageVisibility": (
        {"QueueUrl": QUEUE, "ReceiptHandle": "r", "VisibilityTimeout": 30},
        {},
    ),
    "DeleteMessageBatch": (
        {"QueueUrl": QUEUE, "Entries": [{"Id": "0", "ReceiptHandle": "r"}]},
        {"Successful": [{"Id": "0"}], "Failed": []},
    ),
    "GetQueueAttributes": (
        {"QueueUrl": QUEUE, "AttributeNames": ["QueueArn"]},
        {"Attributes": {"QueueArn": "arn:aws:sqs:eu-central-1:000000000000:tasks"}},
    ),
    "ReceiveMessage": (
        {
            "QueueUrl": QUEUE,
            "MaxNumberOfMessages": 10,
            "WaitTimeSeconds": 5,
            "MessageSystemAttributeNames": ["SentTimestamp"],
        },
        {
            "Messages": [
                {
                    "MessageId": "m",
                    "ReceiptHandle": "r",
                    "Body": '{"task": "é"}',
                    "Attributes": {"SentTimestamp": "1"},
                    "MessageAttributes": {"traceparent": {"DataType": "String", "StringValue": "00"}},
                }
            ]
        },
    ),
    "SendMessage": (
        {
            "QueueUrl": QUEUE,
            "MessageBody": "{}",
            "MessageAttributes": {"traceparent": {"DataType": "String", "StringValue": "00"}},
        },
        {"MessageId": "m"},
    ),
    "SendTaskFailure": ({"taskToken": "t", "error": "OutOfStock", "cause": "none left"}, {}),
    "StartExecution": (
        {"stateMachineArn": ARN, "name": "n", "input": '{"order_id": "é"}', "traceHeader": "Root=1"},
        {"executionArn": ARN, "startDate": 1767225600.5},
    ),
    "SendTaskSuccess": ({"taskToken": "t", "output": '{"reserved_at": "2026"}'}, {}),
}
SERVICE_OF = {operation: service for service, operations in OPERATIONS.items() for operation in operations}
REFUSED = {
    "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
    "Message": "cancelled",
    "CancellationReasons": [{"Code": "ConditionalCheckFailed", "Item": KEY}, {"Code": "None"}],
}


@dataclass(frozen=True)
class Request:
    headers: Mapping[str, str]
    body: bytes
    connection: int

    @property
    def attempt(self) -> str:
        return next(
            part for part in self.headers["amz-sdk-request"].split("; ") if part.startswith("attempt=")
        )


@dataclass(frozen=True)
class Reply:
    body: bytes = b"{}"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    closes: bool = False


LOST = Reply(status=0)


class Aws:
    """An endpoint that records requests, and sends the next reply to each; the last one again and again."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.server = server
        self.requests: list[Request] = []
        self.replies: list[Reply] = [Reply()]

    @property
    def url(self) -> str:
        scheme = "https" if isinstance(self.server.socket, ssl.SSLSocket) else "http"
        return f"{scheme}://localhost:{self.server.server_port}"

    def answers(self, *replies: Reply) -> None:
        self.requests.clear()
        self.replies[:] = replies


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Aws]:
    aws: Aws

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            aws.requests.append(Request(headers, body, self.client_address[1]))
            reply = aws.replies.pop(0) if len(aws.replies) > 1 else aws.replies[0]
            self.close_connection = reply.closes or reply is LOST
            if reply is LOST:
                return
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True  # a kept connection does not delay the end

    with Server(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        aws = Aws(server)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield aws
        server.shutdown()
        thread.join()


@pytest.fixture
def aws() -> Iterator[Aws]:
    with serving() as aws:
        yield aws


@pytest.fixture(scope="module")
def session() -> Session:
    session = Session()
    session.set_credentials(*KEYS)
    return session


@pytest.fixture
def connect(aws: Aws, session: Session, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Creates a client as the services do."""
    monkeypatch.setattr(clients, "_session", lambda: session)
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)

    def connect(service: clients.Name, retries: int = clients.RETRIES) -> Any:
        settings = ServiceSettings(
            table="t",
            tasks_queue_url=QUEUE,
            events_topic_arn="a",
            aws_region="eu-central-1",
            aws_endpoint_url=aws.url,
        )
        return clients._connect(service, settings, retries)

    return connect


def called(client: Any, operation: str, parameters: Mapping[str, Any]) -> Any:
    method = next(name for name, each in client.meta.method_to_api_mapping.items() if each == operation)
    return getattr(client, method)(**parameters)


def warm(connect: Callable[..., Any], aws: Aws, operation: str, *replies: Reply, **options: Any) -> Any:
    """A client that sends the operation directly from now on."""
    client = connect(SERVICE_OF[operation], **options)
    aws.answers(Reply())
    called(client, operation, EXAMPLES[operation][0])
    aws.answers(*replies)
    return client


def test_given_the_operations_that_are_sent_directly_then_each_has_an_example() -> None:
    assert EXAMPLES.keys() == SERVICE_OF.keys()


@pytest.mark.parametrize("operation", EXAMPLES)
def test_given_a_call_when_it_is_sent_directly_then_request_and_result_are_those_of_botocore(
    connect: Callable[..., Any], aws: Aws, operation: str
) -> None:
    parameters, result = EXAMPLES[operation]
    client = connect(SERVICE_OF[operation])
    aws.answers(Reply(json.dumps(result).encode()))

    expected, found = called(client, operation, parameters), called(client, operation, parameters)

    first, second = aws.requests
    assert first.connection != second.connection, "the second call was not sent directly"
    assert json.loads(second.body) == json.loads(first.body)
    of_one_call = {"amz-sdk-invocation-id", "authorization", "content-length", "x-amz-date"}
    assert {name: value for name, value in second.headers.items() if name not in of_one_call} == {
        name: value for name, value in first.headers.items() if name not in of_one_call
    }
    for result in (expected, found):
        assert result["ResponseMetadata"]["HTTPHeaders"].pop("date")
    assert found == expected


def test_given_a_request_that_was_sent_directly_then_botocore_signs_it_in_the_same_way(
    connect: Callable[..., Any], aws: Aws
) -> None:
    client = warm(connect, aws, "SendMessage", Reply())

    called(client, "SendMessage", EXAMPLES["SendMessage"][0])

    (sent,) = aws.requests
    listed = sent.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    request = AWSRequest("POST", aws.url, data=sent.body, headers={n: sent.headers[n] for n in listed})
    request.context["timestamp"] = sent.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(*KEYS), "sqs", "eu-central-1")
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert sent.headers["authorization"].endswith(f"Signature={signer.signature(text, request)}")
    assert {"host", "x-amz-date", "x-amz-target", "x-amz-security-token", "content-type"} <= set(listed)


def test_given_credentials_that_were_renewed_when_a_call_is_sent_directly_then_it_is_signed_with_the_new_ones(
    aws: Aws, session: Session
) -> None:
    class Renewed(Credentials):
        def get_frozen_credentials(self) -> Any:
            return Credentials(f"KEY{len(aws.requests)}", "secret").get_frozen_credentials()

    client = session.create_client("sqs", "eu-central-1", endpoint_url=aws.url)
    send_directly(client, "sqs", Renewed(*KEYS))

    for _ in range(3):
        called(client, "SendMessage", EXAMPLES["SendMessage"][0])

    assert [each.headers["authorization"].partition("KEY")[2][:1] for each in aws.requests[1:]] == ["1", "2"]
    assert "x-amz-security-token" not in aws.requests[-1].headers


def test_given_a_refusal_when_a_call_is_sent_directly_then_the_error_is_that_of_botocore_after_one_request(
    connect: Callable[..., Any], aws: Aws
) -> None:
    refusal = Reply(json.dumps(REFUSED).encode(), 400)
    parameters = EXAMPLES["TransactWriteItems"][0]
    client = connect("dynamodb")
    aws.answers(refusal)
    errors = []
    for _ in range(2):
        with pytest.raises(client.exceptions.TransactionCanceledException) as raised:
            client.transact_write_items(**parameters)
        errors.append(raised.value.response)

    expected, found = errors
    for response in errors:
        for varying in ("HTTPHeaders", "RequestId"):
            response["ResponseMetadata"].pop(varying, None)
    assert found == expected
    assert found["CancellationReasons"] == REFUSED["CancellationReasons"]
    assert [each.attempt for each in aws.requests] == ["attempt=1"] * 2


@pytest.mark.parametrize(
    "failed",
    [
        Reply(b"<html>", 503),
        Reply(b'{"__type": "ThrottlingException"}', 400),
        Reply(b"{}", headers={"x-amz-crc32": "1"}),
        LOST,
    ],
    ids=["unavailable", "throttled", "damaged", "lost"],
)
def test_given_a_passing_failure_when_a_call_was_sent_directly_then_botocore_sends_the_second_attempt_with_the_same_token(
    connect: Callable[..., Any], aws: Aws, failed: Reply
) -> None:
    parameters = {"TransactItems": EXAMPLES["TransactWriteItems"][0]["TransactItems"]}
    client = warm(connect, aws, "TransactWriteItems", failed, Reply())

    client.transact_write_items(**parameters)

    assert [each.attempt for each in aws.requests] == ["attempt=1", "attempt=2"]
    tokens = {json.loads(each.body)["ClientRequestToken"] for each in aws.requests}
    assert len(tokens) == 1
    client.transact_write_items(**parameters)
    assert json.loads(aws.requests[-1].body)["ClientRequestToken"] not in tokens


@pytest.mark.parametrize("retries", [0, clients.RETRIES])
@pytest.mark.parametrize("failed", [Reply(b"{}", 500), LOST], ids=["unavailable", "lost"])
def test_given_a_lasting_failure_when_a_call_is_sent_directly_then_there_are_as_many_attempts_as_configured(
    connect: Callable[..., Any], aws: Aws, failed: Reply, retries: int
) -> None:
    client = warm(connect, aws, "ReceiveMessage", failed, retries=retries)

    with pytest.raises((BotoCoreError, ClientError)):
        called(client, "ReceiveMessage", EXAMPLES["ReceiveMessage"][0])

    assert [each.attempt for each in aws.requests] == [f"attempt={n + 1}" for n in range(1 + retries)]


def test_given_a_correct_checksum_when_a_call_is_sent_directly_then_its_result_is_returned(
    connect: Callable[..., Any], aws: Aws
) -> None:
    body = b'{"Item": {"pk": {"S": "1"}}}'
    client = warm(connect, aws, "GetItem", Reply(body, headers={"x-amz-crc32": str(zlib.crc32(body))}))

    assert called(client, "GetItem", EXAMPLES["GetItem"][0])["Item"] == {"pk": {"S": "1"}}
    assert len(aws.requests) == 1


@pytest.mark.parametrize("invalid", [b"bytes", 1, "\ud800"], ids=repr)
def test_given_an_invalid_parameter_when_a_call_is_sent_directly_then_botocore_decides(
    connect: Callable[..., Any], aws: Aws, invalid: Any
) -> None:
    client = warm(connect, aws, "GetItem", Reply(b'{"__type": "SerializationException"}', 400))
    errors = (ParamValidationError, ClientError)

    with pytest.raises(errors) as found:
        client.get_item(TableName="t", Key={"pk": {"S": invalid}})
    with pytest.raises(errors) as expected:
        connect("dynamodb").get_item(TableName="t", Key={"pk": {"S": invalid}})

    assert str(found.value) == str(expected.value)
    aws.answers(Reply())
    assert called(client, "GetItem", EXAMPLES["GetItem"][0]).keys() == {"ResponseMetadata"}
    assert len(aws.requests) == 1, "the failure of one call was taken for that of the next one"


def test_given_several_calls_when_they_are_sent_directly_then_they_share_a_connection_until_aws_closes_it(
    connect: Callable[..., Any], aws: Aws
) -> None:
    client = warm(connect, aws, "GetItem", Reply(), Reply(closes=True), Reply())

    for _ in range(3):
        called(client, "GetItem", EXAMPLES["GetItem"][0])

    one, two, three = (each.connection for each in aws.requests)
    assert one == two != three
    assert {each.attempt for each in aws.requests} == {"attempt=1"}


def test_given_a_proxy_when_a_client_is_used_then_botocore_sends_all_calls(
    connect: Callable[..., Any], aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect("dynamodb")
    monkeypatch.setenv("http_proxy", aws.url)
    monkeypatch.setenv("no_proxy", "")

    for _ in range(2):
        called(client, "GetItem", EXAMPLES["GetItem"][0])

    assert all("amz-sdk-invocation-id" in each.headers for each in aws.requests)


def test_given_recorded_work_when_calls_are_sent_directly_then_each_has_one_span(
    connect: Callable[..., Any], aws: Aws
) -> None:
    with recording() as recorded:
        client = warm(connect, aws, "GetItem", Reply(), Reply(b"{}", 503), Reply())
        with tracing.traced("work"):
            for _ in range(2):
                called(client, "GetItem", EXAMPLES["GetItem"][0])

    assert [span.name for span in recorded.spans] == ["DynamoDB.GetItem", "DynamoDB.GetItem", "work"]
    assert recorded.spans[0].attributes == recorded.spans[1].attributes


def test_given_https_when_a_call_is_sent_directly_then_the_certificate_is_verified(
    session: Session, tmp_path: Path
) -> None:
    authority, other = (certificate(tmp_path / name) for name in ("authority", "other"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    with serving(context) as aws:
        for trusted, attempts in ((authority, ["attempt=1"]), (other, ["attempt=2"])):
            client = session.create_client(
                "dynamodb", "eu-central-1", endpoint_url=aws.url, verify=str(authority)
            )
            send_directly(client, "dynamodb", session.get_credentials(), str(trusted))
            called(client, "GetItem", EXAMPLES["GetItem"][0])
            aws.answers(Reply())
            called(client, "GetItem", EXAMPLES["GetItem"][0])
            # An attempt at an unknown server ends before the request is sent; botocore makes the next one.
            assert [each.attempt for each in aws.requests] == attempts


def certificate(file: Path) -> Path:
    """A certificate for localhost that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file
