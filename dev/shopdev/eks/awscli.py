"""The AWS CLI: the program that also gets the tokens of the cluster's kubeconfig, which only it can write."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping

from shopdev.checkout import ROOT
from shopdev.cloudformation import stacks
from shopdev.cloudformation.account import AwsError, advice, outputs_of


class AwsCli:
    """The AWS CLI with one environment.

    Args:
        environment: environment of its commands, with AWS_REGION and the credentials.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        if region := environment.get("AWS_REGION"):
            # Version 1 of the CLI reads only this name, SDKs in containers only the other.
            self._environment["AWS_DEFAULT_REGION"] = region
        self._program = _program()

    @property
    def region(self) -> str:
        """Name of the region."""
        return self._environment.get("AWS_DEFAULT_REGION", "the region of the AWS profile")

    def run(self, service: str, *arguments: str) -> str:
        """Run `aws SERVICE …` and return its output.

        Raises:
            AwsError: with what to do about it.
        """
        done = subprocess.run(
            [self._program, service, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AwsError(advice(done.stderr or done.stdout))
        return done.stdout

    def outputs(self, prefix: str) -> stacks.Outputs:
        """Stack -> output -> value, for the existing stacks of the shop."""
        found = json.loads(self.run("cloudformation", "describe-stacks", "--output", "json"))["Stacks"]
        by_name = {each["StackName"]: outputs_of(each) for each in found}
        return {stack: by_name[name] for stack in stacks.ALL if (name := f"{prefix}-{stack}") in by_name}


def _program() -> str:
    folder = ROOT / ".venv-awscli"
    own = folder / "Scripts" / "aws.cmd" if sys.platform == "win32" else folder / "bin" / "aws"
    found = str(own) if own.exists() else shutil.which("aws")
    if found is None:
        raise AwsError("the AWS CLI is not installed: run dev/bootstrap, or add `aws` to PATH")
    return found
