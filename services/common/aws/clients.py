"""The clients of AWS, or of an emulator at AWS_ENDPOINT_URL.

A client is created on first use. This reads credentials and a megabyte of API descriptions, while a process must start and
serve /healthz even if AWS is unavailable.
"""

import functools
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, overload

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from services.common.aws import dynamo, spans
from services.common.runtime.settings import AwsSettings
from services.common.telemetry import tracing
from services.common.values.errors import InvalidValue

if TYPE_CHECKING:
    from botocore.session import Session
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_servicediscovery import ServiceDiscoveryClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

Name = Literal["dynamodb", "s3", "secretsmanager", "servicediscovery", "sns", "sqs", "stepfunctions"]
CONNECT_SECONDS = 2
# A long poll of SQS takes up to 20 seconds.
READ_SECONDS: dict[Name, int] = {
    "dynamodb": 5,
    "s3": 10,
    "secretsmanager": 5,
    "servicediscovery": 2,
    "sns": 10,
    "sqs": 30,
    "stepfunctions": 10,
}
RETRIES = 3
# A session does not support creating clients in several threads.
_CREATING = threading.Lock()
_TEMPORARY_STATUS = 500
_TEMPORARY_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


class Secrets(Protocol):
    """The operations of AWS Secrets Manager that are used here."""

    def get_secret_value(self, *, SecretId: str) -> Mapping[str, Any]:  # noqa: N803 - AWS's name
        """The value of a secret, with its metadata."""


@overload
def client(name: Literal["dynamodb"], settings: AwsSettings) -> "DynamoDBClient": ...
@overload
def client(name: Literal["s3"], settings: AwsSettings) -> "S3Client": ...
@overload
def client(name: Literal["secretsmanager"], settings: AwsSettings) -> "Secrets": ...
@overload
def client(name: Literal["servicediscovery"], settings: AwsSettings) -> "ServiceDiscoveryClient": ...
@overload
def client(name: Literal["sns"], settings: AwsSettings) -> "SNSClient": ...
@overload
def client(name: Literal["sqs"], settings: AwsSettings) -> "SQSClient": ...
@overload
def client(name: Literal["stepfunctions"], settings: AwsSettings) -> "SFNClient": ...
def client(name: Name, settings: AwsSettings) -> Any:
    """A botocore client with timeouts and standard retries, created on first use. It is safe to share between threads.

    Its operations raise `InvalidValue` instead of botocore's error if the SDK or AWS rejects a value.
    """
    return cast("Any", _Lazy(name, settings, RETRIES))


def receiver(settings: AwsSettings) -> "SQSClient":
    """As `client`, for requests for messages: without retries.

    If an answer is lost, its messages stay hidden until their visibility timeout ends. Each retry would hide further ones and
    extend a shutdown by half a minute, without a line in the log. The consumer sends the next request.
    """
    return cast("SQSClient", _Lazy("sqs", settings, 0))


def is_temporary(error: BaseException) -> bool:
    """Whether a call to AWS failed for a temporary reason, so that a retry may succeed."""
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code in _TEMPORARY_CODES or status >= _TEMPORARY_STATUS or dynamo.is_passing(error)
    return isinstance(error, BotoCoreError)


class _Lazy:
    def __init__(self, service: Name, settings: AwsSettings, retries: int) -> None:
        self._service = service
        self._retries = retries
        self._settings = settings
        self._client: Any = None

    def __getattr__(self, name: str) -> Any:
        if self._client is None:
            with _CREATING:
                if self._client is None:
                    self._client = _connect(self._service, self._settings, self._retries)
        attribute = getattr(self._client, name)
        if name in self._client.meta.method_to_api_mapping:
            attribute = _raising_invalid_value(attribute)
        # An instance attribute is found without `__getattr__` from now on.
        self.__dict__[name] = attribute
        return attribute


def _raising_invalid_value(operation: Callable[..., Any]) -> Callable[..., Any]:
    """The operation, which raises `InvalidValue` if the SDK or AWS rejects a value."""

    @functools.wraps(operation)
    def call(*args: Any, **parameters: Any) -> Any:
        try:
            return operation(*args, **parameters)
        except ParamValidationError as error:
            raise InvalidValue(str(error)) from error
        except ClientError as error:
            if _is_invalid(error):
                raise InvalidValue(str(error)) from error
            raise

    return call


def _is_invalid(error: ClientError) -> bool:
    code = error.response.get("Error", {}).get("Code")
    # A transaction that also lost against another write is decided anew first.
    is_cancelled = "ValidationError" in dynamo.refusals(error) and not dynamo.is_overtaken(error)
    return code == "ValidationException" or is_cancelled


@functools.cache
def _session() -> "Session":
    """The session of this process. Each further one would keep its own copy of the API descriptions, several MiB per client."""
    from botocore.session import get_session  # noqa: PLC0415 - the import takes a tenth of a second, which would delay the start

    from services.common.aws.descriptions import loader  # noqa: PLC0415 - as above

    session = get_session()
    session.register_component("data_loader", loader(session.get_config_variable("data_path")))
    return session


def _connect(name: Name, settings: AwsSettings, retries: int) -> Any:
    from botocore.config import Config  # noqa: PLC0415 - as in `_session`

    from services.common.aws.direct import send_directly  # noqa: PLC0415 - as in `_session`

    session = _session()
    client = session.create_client(
        name,
        region_name=settings.aws_region,
        endpoint_url=settings.aws_endpoint_url,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS[name],
            retries={"mode": "standard", "max_attempts": retries},
            max_pool_connections=32,
            tcp_keepalive=True,
            # The host of an emulator has no subdomains.
            inject_host_prefix=settings.aws_endpoint_url is None,
        ),
    )
    # The events cost a microsecond each. A client is created after spans began to be recorded, if they are.
    if tracing.is_recording():
        spans.add_spans(client, name)
    send_directly(client, name, session.get_credentials(), session.get_config_variable("ca_bundle"))
    return client
