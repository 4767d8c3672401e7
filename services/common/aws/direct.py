"""Sends the most frequent AWS calls directly: as JSON over a kept connection, without the general steps of botocore.

botocore resolves the endpoint, validates, serializes, signs and parses each call anew, which takes about five times the CPU of
the HTTP request itself. The first call of each operation is sent by botocore. Later ones repeat its URL and its headers, which
depend on the configuration only, with the new parameters and a new signature. Anything else than a successful response is
passed to botocore as the response to its own first attempt, so that it alone decides about retries and errors.

See docs/adr/0025.
"""

import hashlib
import hmac
import ssl
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, wraps
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from socket import SO_KEEPALIVE, SOL_SOCKET
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit
from uuid import uuid4

import orjson
from botocore.awsrequest import AWSResponse, HTTPHeaders
from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)
from botocore.httpsession import get_cert_path
from botocore.parsers import create_parser
from botocore.utils import get_environ_proxies
from urllib3.util import wait_for_read

from services.common.aws import spans

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from botocore.client import BaseClient
    from botocore.credentials import Credentials

    from services.common.aws.clients import Name

# Their parameters and results are JSON as they are, apart from times in a result.
OPERATIONS: Final[Mapping["Name", frozenset[str]]] = {
    "dynamodb": frozenset(
        {
            "BatchGetItem",
            "BatchWriteItem",
            "DeleteItem",
            "GetItem",
            "PutItem",
            "Query",
            "TransactWriteItems",
            "UpdateItem",
        }
    ),
    "sqs": frozenset(
        {
            "ChangeMessageVisibility",
            "DeleteMessageBatch",
            "GetQueueAttributes",
            "ReceiveMessage",
            "SendMessage",
        }
    ),
    "stepfunctions": frozenset({"SendTaskFailure", "SendTaskSuccess", "StartExecution"}),
}
WITH_TIMES: Final = frozenset({"StartExecution"})
ALGORITHM: Final = "AWS4-HMAC-SHA256"
CHECKSUM: Final = "x-amz-crc32"
# Headers of a request that differ from call to call, or that the connection adds.
_OF_ONE_CALL: Final = frozenset(
    {
        "amz-sdk-invocation-id",
        "authorization",
        "content-length",
        "x-amz-date",
        "x-amz-security-token",
    }
)
_UNSIGNED: Final = frozenset({"user-agent"})


@dataclass(frozen=True)
class Target:
    """The part of a request that all calls of an operation have in common.

    Args:
        url: URL of the endpoint, without a path.
        headers: headers by lowercase name, with the host.
        region: region of the signature.
        service: service of the signature.
        tokens: parameters by which AWS recognizes a repeated call, which the SDK generates.
    """

    url: str
    headers: Mapping[str, str]
    region: str
    service: str
    tokens: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Response:
    """A response of AWS."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the call succeeded, and its response arrived intact."""
        checksum = self.headers.get(CHECKSUM)
        return self.status == HTTPStatus.OK and (checksum is None or int(checksum) == zlib.crc32(self.body))

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        """The body, as botocore reads that of `AWSResponse.raw`."""
        yield self.body


def send_directly(
    client: "BaseClient", service: "Name", credentials: "Credentials | None", ca_bundle: str | None = None
) -> None:
    """Replaces the methods of a client for frequent operations by ones that send the calls directly.

    Args:
        client: a botocore client. It remains safe to share between threads.
        service: name of its service.
        credentials: credentials that the client signs with. Without any, botocore sends each call, and reports that they are missing.
        ca_bundle: file with the certificate authorities to trust; by default, those of botocore.
    """
    if credentials is None:
        return
    direct = _DirectCalls(client, service, credentials, ca_bundle)
    for method, operation in client.meta.method_to_api_mapping.items():
        if operation in OPERATIONS.get(service, ()):
            setattr(client, method, direct.of(operation, getattr(client, method)))


class _DirectCalls:
    """The direct calls of one client."""

    def __init__(
        self, client: "BaseClient", service: "Name", credentials: "Credentials", ca_bundle: str | None
    ) -> None:
        self._client = client
        self._service = service
        self._credentials = credentials
        self._ca_bundle = ca_bundle
        self._targets: dict[str, Target] = {}
        self._config = cast("Any", client.meta.config)
        self._idle = deque[HTTPConnection](maxlen=self._config.max_pool_connections)
        # The outcome of the attempt that botocore takes over in this thread.
        self._failed = threading.local()
        events: Any = client.meta.events
        events.register("before-send", self._before_send)

    def of(self, operation: str, by_botocore: Callable[..., Any]) -> Callable[..., Any]:
        """The function that calls an operation, given the method of the client."""

        @wraps(by_botocore)
        def call(**parameters: Any) -> Any:
            target = self._targets.get(operation)
            if target is None:
                return by_botocore(**parameters)
            for name in target.tokens:
                parameters.setdefault(name, str(uuid4()))
            try:
                body = orjson.dumps(parameters)
            except TypeError:  # botocore names the invalid parameter
                return by_botocore(**parameters)
            span = spans.begin(self._service, operation, parameters)
            outcome = self._outcome(target, body)
            if isinstance(outcome, Response) and outcome.is_success:
                if span is not None:
                    span.end()
                return self._result(operation, outcome)
            self._failed.outcome = outcome
            try:
                return by_botocore(**parameters)  # with a span of its own
            finally:
                self._failed.outcome = None

        return call

    def _before_send(self, request: "AWSPreparedRequest", event_name: str, **_: Any) -> AWSResponse | None:
        """Answers the first attempt of a call that was sent, or learns from a call that botocore sends."""
        outcome: Response | HTTPClientError | None = getattr(self._failed, "outcome", None)
        self._failed.outcome = None
        if isinstance(outcome, Response):
            return AWSResponse(
                request.url, outcome.status, HTTPHeaders.from_pairs(outcome.headers.items()), outcome
            )
        if outcome is not None:
            raise outcome
        operation = event_name.rpartition(".")[2]
        model = self._client.meta.service_model.operation_model(operation)
        target = target_of(request, tuple(model.idempotent_members))
        if target is not None and not get_environ_proxies(request.url):
            self._targets.setdefault(operation, target)
        return None

    def _outcome(self, target: Target, body: bytes) -> Response | Exception:
        """Sends a request once. Returns the response, or the error of botocore for a failed connection."""
        try:
            connection = self._connection(target.url)
        except OSError as error:
            return EndpointConnectionError(endpoint_url=target.url, error=error)
        try:
            # One system call for the head and the body; http.client takes two.
            connection.sock.sendall(_encoded(signed(target, body, self._credentials), body))
            received = HTTPResponse(connection.sock, method="POST")
            received.begin()
            response = Response(received.status, received.headers, received.read())
        except TimeoutError as error:
            connection.close()
            return ReadTimeoutError(endpoint_url=target.url, error=error)
        except (OSError, HTTPException) as error:
            connection.close()
            return ConnectionClosedError(endpoint_url=target.url, error=error)
        if not received.will_close:
            self._idle.append(connection)
        return response

    def _result(self, operation: str, response: Response) -> dict[str, Any]:
        if operation in WITH_TIMES:
            model = self._client.meta.service_model
            answered = {"status_code": response.status, "headers": {}, "body": response.body, "context": {}}
            shape: Any = model.operation_model(operation).output_shape
            found: dict[str, Any] = create_parser(model.resolved_protocol).parse(answered, shape)
        else:
            # botocore leaves out null, too.
            content = orjson.loads(response.body or b"{}")
            found = {name: value for name, value in content.items() if value is not None}
        found["ResponseMetadata"] = {
            "HTTPStatusCode": response.status,
            "HTTPHeaders": {name.lower(): value for name, value in response.headers.items()},
            "RetryAttempts": 0,
        }
        return found

    def _connection(self, url: str) -> HTTPConnection:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took it
                break
            if not wait_for_read(connection.sock, 0):
                return connection
            connection.close()  # the server has closed it
        host, config = urlsplit(url), self._config
        if host.scheme == "https":
            connection = HTTPSConnection(
                host.hostname or "", host.port, timeout=config.connect_timeout, context=self._tls
            )
        else:
            connection = HTTPConnection(host.hostname or "", host.port, timeout=config.connect_timeout)
        connection.connect()
        connection.sock.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
        connection.sock.settimeout(config.read_timeout)
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        trusted: Any = self._ca_bundle or True
        return ssl.create_default_context(cafile=get_cert_path(trusted))


def target_of(request: "AWSPreparedRequest", tokens: tuple[str, ...] = ()) -> Target | None:
    """The part of a signed request that other calls of its operation share. None if it is not in the JSON protocol."""
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    url = urlsplit(request.url)
    algorithm, _, rest = headers.get("authorization", "").partition(" Credential=")
    if (url.path, url.query, algorithm) != ("/", "", ALGORITHM) or "x-amz-target" not in headers:
        return None
    _, _, region, service, _ = rest.partition(",")[0].rsplit("/", 4)
    kept = {name: value for name, value in headers.items() if name not in _OF_ONE_CALL}
    return Target(f"{url.scheme}://{url.netloc}", {**kept, "host": _host(url)}, region, service, tokens)


def signed(
    target: Target, body: bytes, credentials: "Credentials", at: float | None = None
) -> dict[str, str]:
    """The headers of a request, with its signature (AWS Signature Version 4).

    Args:
        target: the part that its operation determines.
        body: its body.
        credentials: credentials, which are refreshed if they are about to expire.
        at: Unix time in seconds; by default, now.
    """
    keys = credentials.get_frozen_credentials()
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    headers = {**target.headers, "x-amz-date": stamp}
    if keys.token:
        headers["x-amz-security-token"] = keys.token
    names = sorted(headers.keys() - _UNSIGNED)
    lines = "".join(f"{name}:{headers[name]}\n" for name in names)
    listed = ";".join(names)
    request = f"POST\n/\n\n{lines}\n{listed}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{stamp[:8]}/{target.region}/{target.service}/aws4_request"
    text = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = _signing_key(keys.secret_key, scope)
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers["authorization"] = (
        f"{ALGORITHM} Credential={keys.access_key}/{scope}, SignedHeaders={listed}, Signature={signature}"
    )
    return headers


def _encoded(headers: Mapping[str, str], body: bytes) -> bytes:
    everything = {**headers, "accept-encoding": "identity", "content-length": len(body)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in everything.items())
    return f"POST / HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body


@lru_cache(maxsize=16)  # one for each service and day
def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _host(url: Any) -> str:
    """The header Host: without the default port."""
    default = {"http": 80, "https": 443}[url.scheme]
    return str(url.hostname) if url.port in {None, default} else f"{url.hostname}:{url.port}"
