"""The AWS CLI: the same commands against AWS and, by AWS_ENDPOINT_URL, against the emulator.

The CLI and not an SDK: it brings every way of logging in that a team may use (profiles, SSO, roles), and a pipeline
runs the very same commands.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from shopdev import environment_file
from shopdev.checkout import ROOT
from shopdev.cloudformation import stacks
from shopdev.console import CommandError

# What `aws cloudformation deploy` says when the stack itself went wrong; anything else failed before that.
STACK_FAILED = "Failed to create/update the stack"
# Events of a stack with which an operation on it begins.
BEGINNINGS = frozenset({"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"})

# What the CLI says -> what to do.
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
        "no value for {names}: add it to the parameters file, or say --set NAME=VALUE",
    ),
    (
        r"region_name '(?P<region>[^']+)' doesn't match|Invalid region|is not a valid region",
        "that is no AWS region: set AWS_REGION to one, e.g. AWS_REGION=eu-central-1",
    ),
    (r"must specify a region", "no AWS region: set AWS_REGION, e.g. AWS_REGION=eu-central-1"),
    (
        r'Could not connect to the endpoint URL: "(?P<url>[^"]+)"',
        "{url} does not respond: check AWS_REGION, or AWS_ENDPOINT_URL and that the emulator is running",
    ),
    (r"AccessDenied|is not authorized to perform", "the credentials lack a right: {message}"),
)


class AwsError(CommandError):
    """A command failed; the message is one line and says what to do next."""


class AwsCli:
    """The AWS CLI with one environment. Several threads may use it at once.

    Args:
        environment: what it runs with; AWS_REGION and AWS_ENDPOINT_URL are honoured.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        if region := environment.get("AWS_REGION"):
            # Version 1 of the CLI reads only this name, SDKs in containers only the other.
            self._environment["AWS_DEFAULT_REGION"] = region
        self._program = _program()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    @property
    def region(self) -> str:
        """The region that is asked, as far as the environment says so."""
        return self._environment.get("AWS_DEFAULT_REGION", "the region of the AWS profile")

    @property
    def endpoint(self) -> str | None:
        """The emulator's address; None for AWS."""
        return self._environment.get("AWS_ENDPOINT_URL") or None

    @property
    def local(self) -> bool:
        """Whether an emulator is meant."""
        return self.endpoint is not None

    def run(self, *arguments: str, service: str = "cloudformation") -> str:
        """Run `aws SERVICE …` and answer what it prints.

        Raises:
            AwsError: with what to do about it.
        """
        if self._stopped:
            raise AwsError("interrupted")
        with subprocess.Popen(
            [self._program, service, *arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            self._running.add(process)
            try:
                said, complained = process.communicate()
            except BaseException:
                process.kill()
                raise
            finally:
                self._running.discard(process)
        if process.returncode:
            raise AwsError(_advice(complained or said))
        return said

    def stop(self) -> None:
        """End the commands that run, in whichever thread, and begin none any more; AWS goes on with what it was told."""
        self._stopped = True
        for process in list(self._running):
            process.terminate()

    def describe(self, prefix: str) -> dict[str, dict[str, object]]:
        """Stack -> its description, for those stacks of the shop that exist."""
        found = json.loads(self.run("describe-stacks", "--output", "json"))["Stacks"]
        by_name = {each["StackName"]: each for each in found}
        return {stack: by_name[name] for stack in stacks.ALL if (name := f"{prefix}-{stack}") in by_name}

    def first_failure(self, name: str) -> str:
        """Why the last operation on a stack failed: the reason of its first failed resource, or nothing."""
        try:
            said = self.run("describe-stack-events", "--stack-name", name, "--output", "json")
        except AwsError:
            return ""
        reason = ""
        for event in json.loads(said)["StackEvents"]:  # newest first, up to where the operation began
            status, why = event["ResourceStatus"], event.get("ResourceStatusReason", "")
            if status.endswith("_FAILED") and "ancelled" not in why:
                reason = f"{event['LogicalResourceId']}: {why or status}"
            if event["LogicalResourceId"] == name and status in BEGINNINGS:
                break
        return reason


def parameters_of(description: Mapping[str, object]) -> dict[str, str]:
    """Parameter -> value, of a stack's description."""
    return {each["ParameterKey"]: each["ParameterValue"] for each in _list(description.get("Parameters"))}


def outputs_of(description: Mapping[str, object]) -> dict[str, str]:
    """Output -> value, of a stack's description."""
    return {each["OutputKey"]: each["OutputValue"] for each in _list(description.get("Outputs"))}


def read_environment(file: Path | None) -> dict[str, str]:
    """This process's environment, and what a file of KEY=VALUE lines (such as .dev/env) adds to it.

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


def _advice(said: str) -> str:
    """One line for what the CLI printed."""
    message = " ".join(said.split())
    for pattern, advice in ADVICE:
        if found := re.search(pattern, message):
            return advice.format(message=message, **found.groupdict())
    return re.sub(r"^An error occurred \((\w+)\) when calling the (\w+) operation: ", r"\2: ", message)


def _list(value: object) -> list[dict[str, str]]:
    return value if isinstance(value, list) else []


def _program() -> str:
    folder = ROOT / ".venv-awscli"
    own = folder / "Scripts" / "aws.cmd" if sys.platform == "win32" else folder / "bin" / "aws"
    found = str(own) if own.exists() else shutil.which("aws")
    if found is None:
        raise AwsError("the AWS CLI is not installed: run dev/bootstrap, or add `aws` to PATH")
    return found
