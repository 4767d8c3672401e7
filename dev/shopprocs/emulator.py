"""The AWS emulator as a process, and typed clients for it."""

import os
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import httpx
from botocore.config import Config

from shopprocs import stacks
from shopprocs.process import POLL, Process, ProcessError, Sink, free_port

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
READY_WITHIN = 30.0
# The emulator takes any id and secret.
ACCESS_KEY = "test"


class Clients:
    """boto3 clients for one endpoint, made when first used. They are safe to share between threads.

    Args:
        endpoint: where AWS answers.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._session = boto3.session.Session(
            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=ACCESS_KEY, region_name=REGION
        )
        self._config = Config(
            connect_timeout=2,
            read_timeout=30,
            retries={"mode": "standard", "max_attempts": 3},
            max_pool_connections=50,
            inject_host_prefix=False,
        )

    @cached_property
    def cloudformation(self) -> "CloudFormationClient":
        """CloudFormation."""
        return self._session.client("cloudformation", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        """DynamoDB."""
        return self._session.client("dynamodb", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def sns(self) -> "SNSClient":
        """SNS."""
        return self._session.client("sns", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def sqs(self) -> "SQSClient":
        """SQS."""
        return self._session.client("sqs", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def stepfunctions(self) -> "SFNClient":
        """Step Functions."""
        return self._session.client("stepfunctions", endpoint_url=self.endpoint, config=self._config)


class Emulator:
    """One emulator on loopback. It keeps nothing: each start is an empty AWS account.

    Args:
        sink: gets what it prints.
        port: where it listens; a free one by default.
        wait_scale: what the seconds of a state machine's retries and waits are multiplied with; tests make them short.
    """

    def __init__(self, sink: Sink, port: int | None = None, wait_scale: float = 1.0) -> None:
        self.port = port or free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._home = tempfile.TemporaryDirectory(prefix="shop-aws-", ignore_cleanup_errors=True)
        self.process = Process(
            "aws", [str(_program())], self._environment(wait_scale), sink, Path(self._home.name)
        )

    @cached_property
    def clients(self) -> Clients:
        """boto3 clients for it."""
        return Clients(self.endpoint)

    @property
    def env(self) -> Mapping[str, str]:
        """What a process needs in its environment to talk to it."""
        return client_environment(self.endpoint)

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ProcessError: when it does not.
        """
        self.process.start()
        self.process.wait_until(self._answers, READY_WITHIN)

    def deploy(self, prefix: str, values: Mapping[str, str]) -> stacks.Outputs:
        """Create every stack, within a second, and answer their outputs: stack -> output -> value.

        Args:
            prefix: first part of every name.
            values: parameters; each stack gets those that it declares.

        Raises:
            ProcessError: when a stack is not created.
        """
        return {stack: self._create(prefix, stack, values) for stack in stacks.STACKS}

    def _create(self, prefix: str, stack: str, values: Mapping[str, str]) -> dict[str, str]:
        cloudformation = self.clients.cloudformation
        pairs = stacks.parameters(stack, {**values, "Prefix": prefix})
        name = f"{prefix}-{stack}"
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=stacks.template(stack),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in pairs.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        while (found := cloudformation.describe_stacks(StackName=name)["Stacks"][0])[
            "StackStatus"
        ] == "CREATE_IN_PROGRESS":
            time.sleep(POLL)
        if found["StackStatus"] != "CREATE_COMPLETE":
            raise ProcessError(f"stack {name}: {found['StackStatus']}, {found.get('StackStatusReason', '')}")
        return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}

    def stop(self) -> None:
        """End it and forget everything."""
        self.process.stop(grace=5.0)
        self._home.cleanup()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.endpoint}/_ministack/health", timeout=1).is_success
        except httpx.TransportError:
            return False

    def _environment(self, wait_scale: float) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": self._home.name,
            "TMPDIR": self._home.name,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "EDGE_PORT": str(self.port),
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "IOT_MTLS_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
            "SFN_WAIT_SCALE": str(wait_scale),
            **{name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ},
        }


def client_environment(endpoint: str) -> dict[str, str]:
    """What any AWS SDK needs in its environment to talk to an emulator at `endpoint`."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _program() -> Path:
    folder = ROOT / ".venv-local-aws"
    return folder / "Scripts" / "ministack.exe" if sys.platform == "win32" else folder / "bin" / "ministack"
