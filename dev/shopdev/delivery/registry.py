"""The registry of images: ECR, whose API answers questions about images, or another one, which only the engine uses."""

import base64
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from shopdev.delivery.delivery import DeliveryError

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

SEVERITIES = ("UNDEFINED", "INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL")
_ECR = re.compile(r"\d{12}\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.")
_UNDER_WAY = frozenset({"PENDING", "IN_PROGRESS"})
_DONE = frozenset({"COMPLETE", "ACTIVE"})
POLL_SECONDS = 5.0


class NotScanned(Exception):
    """The registry has no scan of the image; the message gives the reason."""


@dataclass(frozen=True)
class Ecr:
    """The registry of one account in one region.

    Args:
        host: host name of the registry or of the emulator.
        client: client of the ECR API.
    """

    host: str
    client: "ECRClient"

    def credentials(self) -> tuple[str, str]:
        """User and password for an engine, valid for twelve hours."""
        try:
            answer = self.client.get_authorization_token()
        except (ClientError, BotoCoreError) as error:
            raise DeliveryError(_advice(error)) from error
        token = answer["authorizationData"][0]["authorizationToken"]
        user, _, password = base64.b64decode(token).decode().partition(":")
        return user, password

    def digest(self, repository: str, tag: str) -> str | None:
        """The digest of a tag; None if the tag does not exist."""
        try:
            found = self.client.describe_images(
                repositoryName=self._name(repository), imageIds=[{"imageTag": tag}]
            )
        except self.client.exceptions.ImageNotFoundException:
            return None
        except (ClientError, BotoCoreError) as error:
            raise DeliveryError(_advice(error)) from error
        return found["imageDetails"][0]["imageDigest"] if found["imageDetails"] else None

    def findings(
        self, repository: str, digest: str, seconds: float, wait: Callable[[float], object] = time.sleep
    ) -> Mapping[str, int]:
        """Wait for the scan on push and return severity -> number of findings.

        Raises:
            NotScanned: when the registry does not scan, cannot scan this image, or does not finish in time.
        """
        end = time.monotonic() + seconds
        state = "not started"
        while time.monotonic() < end:
            try:
                answer = self.client.describe_image_scan_findings(
                    repositoryName=self._name(repository), imageId={"imageDigest": digest}
                )
            except self.client.exceptions.ScanNotFoundException:
                wait(POLL_SECONDS)
                continue
            except (ClientError, BotoCoreError) as error:
                raise NotScanned(_advice(error)) from error
            state = answer["imageScanStatus"].get("status", "PENDING")
            if state in _DONE:
                counts = answer["imageScanFindings"].get("findingSeverityCounts", {})
                return {str(severity): count for severity, count in counts.items()}
            if state not in _UNDER_WAY:
                raise NotScanned(
                    f"{state}: {answer['imageScanStatus'].get('description', 'no reason given')}"
                )
            wait(POLL_SECONDS)
        raise NotScanned(f"the scan is {state} after {seconds:.0f} s")

    def _name(self, repository: str) -> str:
        return repository.removeprefix(f"{self.host}/")


def ecr(repository: str, env: Mapping[str, str] = os.environ) -> Ecr | None:
    """The ECR that a repository belongs to; None for any other registry.

    The emulator serves the registries of all accounts at its own address.
    """
    host = repository.partition("/")[0]
    found = _ECR.match(host)
    if found:
        return Ecr(host, boto3.client("ecr", region_name=found["region"]))
    if env.get("AWS_ENDPOINT_URL") and host == urlsplit(env["AWS_ENDPOINT_URL"]).netloc:
        return Ecr(host, boto3.client("ecr"))
    return None


def at_least(severity: str, counts: Mapping[str, int]) -> dict[str, int]:
    """The counts of this severity and of those above it."""
    bad = SEVERITIES[SEVERITIES.index(severity) :]
    return {each: counts[each] for each in reversed(bad) if counts.get(each)}


def _advice(error: ClientError | BotoCoreError) -> str:
    if (
        isinstance(error, ClientError)
        and error.response["Error"].get("Code") == "RepositoryNotFoundException"
    ):
        return f"{error.response['Error'].get('Message')}: deploy the stack eks, which creates the ECR repositories, or correct REGISTRY"
    return f"the registry's API: {error}"
