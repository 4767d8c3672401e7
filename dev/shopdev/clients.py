"""Typed boto3 clients of the AWS emulator."""

from functools import cached_property
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from shopdev.aws_environment import EMULATOR_KEY, REGION

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


class Clients:
    """boto3 clients for one endpoint, created on first use. Threads may share them.

    Args:
        endpoint: address of the emulator.
        key: id and secret of the access key; by default, those of the account's owner.
    """

    def __init__(self, endpoint: str, key: tuple[str, str] = (EMULATOR_KEY, EMULATOR_KEY)) -> None:
        self.endpoint = endpoint
        self.session = boto3.session.Session(
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
        return self.session.client("apigatewayv2", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def cloudtrail(self) -> "CloudTrailClient":
        """CloudTrail, which the emulator records only with CLOUDTRAIL_RECORDING=1."""
        return self.session.client("cloudtrail", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def cloudformation(self) -> "CloudFormationClient":
        """CloudFormation."""
        return self.session.client("cloudformation", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        """DynamoDB."""
        return self.session.client("dynamodb", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def dynamodbstreams(self) -> "DynamoDBStreamsClient":
        """DynamoDB Streams."""
        return self.session.client("dynamodbstreams", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def cognito(self) -> "CognitoIdentityProviderClient":
        """Cognito's user pools."""
        return self.session.client("cognito-idp", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def functions(self) -> "LambdaClient":
        """Lambda."""
        return self.session.client("lambda", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def iam(self) -> "IAMClient":
        """IAM."""
        return self.session.client("iam", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def s3(self) -> "S3Client":
        """S3."""
        return self.session.client("s3", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def servicediscovery(self) -> "ServiceDiscoveryClient":
        """Cloud Map."""
        return self.session.client("servicediscovery", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def sns(self) -> "SNSClient":
        """SNS."""
        return self.session.client("sns", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def sqs(self) -> "SQSClient":
        """SQS."""
        return self.session.client("sqs", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def stepfunctions(self) -> "SFNClient":
        """Step Functions."""
        return self.session.client("stepfunctions", endpoint_url=self.endpoint, config=self._config)
