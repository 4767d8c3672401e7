"""An AWS account, or the emulator in its place: its stacks, and errors that say what to do next."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from shopdev import environment_file
from shopdev.cloudformation import stacks
from shopdev.console import CommandError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef, StackTypeDef
    from mypy_boto3_s3 import S3Client

# The events with which an operation on a stack begins.
BEGINNINGS = frozenset({"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"})

# What AWS or its client reports -> what to do.
ADVICE: Sequence[tuple[str, str]] = (
    (
        r"Unable to locate credentials|Partial credentials|InvalidClientTokenId",
        "no valid AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    (
        r"ExpiredToken|Token has expired|SSO.*(expired|invalid)",
        "the AWS credentials have expired: log in again",
    ),
    (
        r"Parameters: \[(?P<names>[^\]]+)\] must have values",
        "{names} must have a value: add it to the parameters file, or use --set NAME=VALUE",
    ),
    (
        r"region_name '(?P<region>[^']+)' doesn't match|Invalid region|is not a valid region",
        "invalid AWS region: set AWS_REGION to one, e.g. AWS_REGION=eu-central-1",
    ),
    (r"must specify a region", "no AWS region: set AWS_REGION, e.g. AWS_REGION=eu-central-1"),
    (
        r'Could not connect to the endpoint URL: "(?P<url>[^"]+)"',
        "{url} does not respond: check AWS_REGION, or AWS_ENDPOINT_URL and that the emulator is running",
    ),
    (r"AccessDenied|is not authorized to perform", "the credentials lack a permission: {message}"),
)


class AwsError(CommandError):
    """AWS refuses a request; the message is one line that says what to do next."""


class Account:
    """The stacks of one account and region.

    Args:
        session: credentials and region.
        endpoint: address of the emulator; None for AWS.
    """

    def __init__(self, session: boto3.Session, endpoint: str | None = None) -> None:
        self.session = session
        self.endpoint = endpoint

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Account":
        """The account of this process's credentials, in the region AWS_REGION, or the emulator at AWS_ENDPOINT_URL."""
        session = boto3.Session(region_name=environment.get("AWS_REGION"))
        return cls(session, environment.get("AWS_ENDPOINT_URL") or None)

    @property
    def region(self) -> str:
        """Name of the region."""
        return self.session.region_name or "the region of the AWS profile"

    @property
    def local(self) -> bool:
        """Whether it is an emulator."""
        return self.endpoint is not None

    @cached_property
    def cloudformation(self) -> "CloudFormationClient":
        """CloudFormation."""
        made: CloudFormationClient = self.client("cloudformation")
        return made

    @cached_property
    def s3(self) -> "S3Client":
        """S3."""
        made: S3Client = self.client("s3")
        return made

    def client(self, service: str) -> Any:
        """A client of a service, by its name in boto3."""
        return self.session.client(service, endpoint_url=self.endpoint)  # type: ignore[call-overload]  # any name

    def describe(self, prefix: str) -> dict[str, "StackTypeDef"]:
        """Stack -> its description, for the existing stacks of the shop.

        Raises:
            AwsError: when AWS refuses or does not respond.
        """
        with advising():
            pages = self.cloudformation.get_paginator("describe_stacks").paginate()
            by_name = {each["StackName"]: each for page in pages for each in page["Stacks"]}
        return {stack: by_name[name] for stack in stacks.ALL if (name := f"{prefix}-{stack}") in by_name}

    def first_failure(self, name: str) -> str:
        """The reason of the first resource that failed in the last operation on a stack; empty if none did."""
        reason = ""
        for event in self._events(name):  # newest first
            status, why = event["ResourceStatus"], event.get("ResourceStatusReason", "")
            if status.endswith("_FAILED") and "ancelled" not in why:
                reason = f"{event['LogicalResourceId']}: {why or status}"
            if event["LogicalResourceId"] == name and status in BEGINNINGS:
                break
        return reason

    def last_event(self, name: str) -> str:
        """The newest event of a stack: a resource and its status."""
        for event in self._events(name):
            return f"{event['LogicalResourceId']} {event['ResourceStatus']}"
        return "not started yet"

    def _events(self, name: str) -> Iterator[Mapping[str, Any]]:
        try:
            for page in self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=name):
                yield from page["StackEvents"]
        except (BotoCoreError, ClientError):  # the events only explain; their absence is no error of its own
            return


@contextmanager
def advising() -> Iterator[None]:
    """Turn the errors of boto3 into errors that say what to do.

    Raises:
        AwsError: in place of an error of boto3.
    """
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise AwsError(advice(str(error))) from error


def advice(reported: str) -> str:
    """One line for an error of AWS or of its client."""
    message = " ".join(reported.split())
    for pattern, text in ADVICE:
        if found := re.search(pattern, message):
            return text.format(message=message, **found.groupdict())
    return re.sub(r"^An error occurred \((\w+)\) when calling the (\w+) operation: ", r"\2: ", message)


def parameters_of(description: Mapping[str, Any]) -> dict[str, str]:
    """Parameter -> value, from the description of a stack."""
    return {each["ParameterKey"]: each["ParameterValue"] for each in description.get("Parameters", [])}


def request_parameters(given: Mapping[str, str], kept: Iterable[str]) -> "list[ParameterTypeDef]":
    """Parameters of a request: those with a new value, and the names of those that keep theirs."""
    new: list[ParameterTypeDef] = [
        {"ParameterKey": name, "ParameterValue": value} for name, value in given.items()
    ]
    old: list[ParameterTypeDef] = [{"ParameterKey": name, "UsePreviousValue": True} for name in sorted(kept)]
    return new + old


def outputs_of(description: Mapping[str, Any]) -> dict[str, str]:
    """Output -> value, from the description of a stack."""
    return {each["OutputKey"]: each["OutputValue"] for each in description.get("Outputs", [])}


def read_environment(file: Path | None) -> dict[str, str]:
    """The environment of this process, and over it the KEY=VALUE lines of a file such as .dev/env.

    Raises:
        AwsError: when the file cannot be read.
    """
    if file is None:
        return dict(os.environ)
    try:
        found = environment_file.parse(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise AwsError(f"cannot read {file}: {error.strerror}") from error
    return dict(os.environ) | found
