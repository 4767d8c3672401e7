"""The AWS emulator as a process, and typed clients for it."""

import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import httpx
from botocore.config import Config

from shopdev.checkout import ROOT
from shopdev.cloudformation import functions, stacks
from shopdev.ports import free_port
from shopdev.processes.process import POLL, Process, ProcessError, Sink

if TYPE_CHECKING:
    from mypy_boto3_apigatewayv2 import ApiGatewayV2Client
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudtrail import CloudTrailClient
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_servicediscovery import ServiceDiscoveryClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

REGION = "us-east-1"
READY_WITHIN = 30.0


class Clients:
    """boto3 clients for one endpoint, made when first used. They are safe to share between threads.

    Args:
        endpoint: where AWS answers.
        key: id and secret of the access key; that of the account's owner by default.
    """

    def __init__(
        self, endpoint: str, key: tuple[str, str] = (stacks.EMULATOR_KEY, stacks.EMULATOR_KEY)
    ) -> None:
        self.endpoint = endpoint
        self._session = boto3.session.Session(
            aws_access_key_id=key[0], aws_secret_access_key=key[1], region_name=REGION
        )
        self._config = Config(
            connect_timeout=2,
            read_timeout=30,
            retries={"mode": "standard", "max_attempts": 3},
            max_pool_connections=50,
            inject_host_prefix=False,
        )

    @cached_property
    def apigatewayv2(self) -> "ApiGatewayV2Client":
        """API Gateway's HTTP APIs."""
        return self._session.client("apigatewayv2", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def cloudtrail(self) -> "CloudTrailClient":
        """CloudTrail, which only an emulator with CLOUDTRAIL_RECORDING=1 keeps."""
        return self._session.client("cloudtrail", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def cloudformation(self) -> "CloudFormationClient":
        """CloudFormation."""
        return self._session.client("cloudformation", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        """DynamoDB."""
        return self._session.client("dynamodb", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def dynamodbstreams(self) -> "DynamoDBStreamsClient":
        """DynamoDB Streams."""
        return self._session.client("dynamodbstreams", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def cognito(self) -> "CognitoIdentityProviderClient":
        """Cognito's user pools."""
        return self._session.client("cognito-idp", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def functions(self) -> "LambdaClient":
        """Lambda."""
        return self._session.client("lambda", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def iam(self) -> "IAMClient":
        """IAM."""
        return self._session.client("iam", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def s3(self) -> "S3Client":
        """S3."""
        return self._session.client("s3", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def servicediscovery(self) -> "ServiceDiscoveryClient":
        """Cloud Map."""
        return self._session.client("servicediscovery", endpoint_url=self.endpoint, config=self._config)

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


class AwsServer:
    """An implementation of AWS as a process on loopback. It keeps nothing: each start is an empty AWS account.

    Args:
        name: of the process, before each line that it prints.
        port: where it listens.
        health: the path that answers once it is ready.
    """

    process: Process

    def __init__(self, name: str, port: int, health: str) -> None:
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        self._health = health
        self._home = tempfile.TemporaryDirectory(prefix=f"shop-{name}-", ignore_cleanup_errors=True)

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

    def stop(self) -> None:
        """End it and forget everything."""
        self.process.stop(grace=5.0)
        self._home.cleanup()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.endpoint}{self._health}", timeout=1).is_success
        except httpx.TransportError:
            return False


class Emulator(AwsServer):
    """The emulator of AWS that the shop runs on without an account.

    Args:
        sink: gets what it prints.
        port: where it listens; a free one by default.
        wait_scale: what the seconds of a state machine's retries and waits are multiplied with; tests make them short.
        environment: settings of its own, e.g. `AUTH=true` has it enforce IAM policies.
    """

    def __init__(
        self,
        sink: Sink,
        port: int | None = None,
        wait_scale: float = 1.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__("aws", port or free_port(), "/_ministack/health")
        settings = {**self._environment(wait_scale), **(environment or {})}
        self.process = Process("aws", [str(_program())], settings, sink, Path(self._home.name))

    def deploy(
        self, prefix: str, values: Mapping[str, str], chosen: Sequence[str] = stacks.WITHOUT_FUNCTIONS
    ) -> stacks.Outputs:
        """Create stacks, within a second, and answer their outputs: stack -> output -> value.

        Args:
            prefix: first part of every name.
            values: parameters over those of manifests/aws/parameters/local.json; each stack gets those that it
                declares, and one that lacks its parameter is left out.
            chosen: which stacks.

        Raises:
            ProcessError: when a stack is not created.
            NotBuilt: when a function's code is missing.
        """
        values = {**stacks.chosen_for("local"), **values}
        outputs: dict[str, dict[str, str]] = {}
        code: dict[str, str] = {}
        for stack in chosen:
            given = values
            if stack in stacks.ONE_OF and not any(values.get(name) for name in stacks.ONE_OF[stack]):
                continue
            if stack in stacks.WITH_CODE:
                code = code or self._upload_functions(outputs["artifacts"]["BucketName"])
                given = {**values, **code, "EndpointUrl": self.endpoint}
            outputs[stack] = self._create(prefix, stack, given)
        return outputs

    def _upload_functions(self, bucket: str) -> dict[str, str]:
        keys = functions.keys()
        for file, key in keys.items():
            self.clients.s3.upload_file(str(file), bucket, key)
        return functions.parameters(keys)

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
        "AWS_ACCESS_KEY_ID": stacks.EMULATOR_KEY,
        "AWS_SECRET_ACCESS_KEY": stacks.EMULATOR_KEY,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _program() -> Path:
    folder = ROOT / ".venv-local-aws"
    return folder / "Scripts" / "ministack.exe" if sys.platform == "win32" else folder / "bin" / "ministack"
