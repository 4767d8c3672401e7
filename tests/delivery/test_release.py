"""A release of a clean clone, from the version in its files to images and charts in a registry, by the command of the workflow."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
import yaml

from shopdev.cluster import tools
from shopdev.delivery.engine import native_platform
from shopdev.release import changelog
from tests.delivery.commands import RELEASE, ROOT, of_workflow
from tests.shops import running_emulator

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(600)]

VERSION: Final = "9.8.7"
TARGETS: Final = ("operator", "sample")
CHARTS: Final = ("shop-operator", "shop-service", "shop", "local-aws")
MANIFESTS: Final = "application/vnd.oci.image.manifest.v1+json"
# Commands that need GitHub.
OF_GITHUB: Final = ("make lint", "make test-unit", "umask 077 && printenv ", "gh release create ")


@dataclass(frozen=True)
class Published:
    """A release in a registry.

    Args:
        folder: its files.
        registry: host and port of the registry, and the prefix of its repositories.
        said: the output of the command.
    """

    folder: Path
    registry: str
    said: str

    def digest(self, repository: str) -> str:
        """The digest of the version in the registry."""
        host, _, prefix = self.registry.partition("/")
        url = f"http://{host}/v2/{prefix}/{repository}/manifests/{VERSION}"
        answer = httpx.head(url, headers={"Accept": MANIFESTS})
        assert answer.is_success, answer.text
        return answer.headers["Docker-Content-Digest"]

    def helm(self, *arguments: str) -> str:
        """The output of helm, which reads a chart from the registry."""
        command, name, *more = arguments
        chart = f"oci://{self.registry}/charts/{name}"
        helm = str(tools.ensure("helm3") / "helm")
        run = [helm, *command.split(), chart, "--version", VERSION, "--plain-http", *more]
        return subprocess.run(run, capture_output=True, text=True, check=True).stdout


def commands() -> list[str]:
    """The commands of the workflow that this test runs."""
    return [each for each in of_workflow(RELEASE) if not each.startswith(OF_GITHUB)]


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    """A registry with the repositories of a release."""
    with running_emulator() as emulator:
        ecr: Any = boto3.client(
            "ecr",
            endpoint_url=emulator.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        for name in (*(f"shop-{each}" for each in TARGETS), *(f"charts/{each}" for each in CHARTS)):
            ecr.create_repository(repositoryName=f"shop/{name}")
        yield f"{urlsplit(emulator.endpoint).netloc}/shop"


@pytest.fixture(scope="module")
def published(engine: None, registry: str, tmp_path_factory: pytest.TempPathFactory) -> Published:
    clone = tmp_path_factory.mktemp("release") / "shop"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
    for each in (".venv", ".venv-awscli", ".venv-local-aws"):
        (clone / each).symlink_to(ROOT / each)
    change_something(clone)
    flags = f"--unsigned --platforms {native_platform()} --targets {' '.join(TARGETS)} --krew-platforms linux/amd64"
    environment = {
        **os.environ,
        "REGISTRY": registry,
        "DOWNLOADS": "https://downloads.example/v9",
        "GITHUB_REF_NAME": f"v{VERSION}",
        "RELEASE_FLAGS": flags,
        "GIT_AUTHOR_NAME": "test",
        "GIT_AUTHOR_EMAIL": "test@example.com",
        "GIT_COMMITTER_NAME": "test",
        "GIT_COMMITTER_EMAIL": "test@example.com",
    }
    said = ""
    for command in (
        f"dev/release {VERSION} --prepare",
        f"git commit --quiet --all --message {VERSION}",
        f"git tag --annotate v{VERSION} --message {VERSION}",
        # Newer than the version in pyproject.toml: make would otherwise install the clone in the environment of this checkout.
        "touch .venv",
        'test -z "$(make --dry-run .venv | grep bootstrap)"',
        *commands(),
    ):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=clone,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        said = done.stdout
    return Published(clone / "dist" / f"release-{VERSION}", registry, said)


def change_something(clone: Path) -> None:
    """Add an unreleased change, because the checkout may be the commit of a release."""
    file = clone / "CHANGELOG.md"
    heading = f"{changelog.UNRELEASED}\n"
    file.write_text(file.read_text().replace(heading, f"{heading}\n### Added\n\n- An entry.\n", 1))


def test_given_the_workflow_of_a_release_then_its_only_other_command_is_the_release() -> None:
    assert commands() == ["make release VERSION=${GITHUB_REF_NAME#v} PUBLISH=1"]


def test_given_the_workflow_of_a_release_then_only_the_job_that_publishes_may_write() -> None:
    workflow = yaml.safe_load(RELEASE.read_text())

    assert workflow["permissions"] == {"contents": "read"}
    allowed = {name: job.get("permissions") for name, job in workflow["jobs"].items()}
    assert allowed == {"test": None, "release": {"contents": "write", "packages": "write"}}


def test_given_a_published_release_then_its_last_line_names_version_and_registry(
    published: Published,
) -> None:
    assert published.said.splitlines()[-1].startswith(f"published {VERSION} to {published.registry}; ")


@pytest.mark.parametrize("target", TARGETS)
def test_given_a_published_image_then_its_bill_lists_the_packages_of_the_distribution(
    published: Published, target: str
) -> None:
    assert published.digest(f"shop-{target}").startswith("sha256:")
    bill = yaml.safe_load((published.folder / f"shop-{target}.cdx.json").read_text())

    assert bill["bomFormat"] == "CycloneDX"
    assert [each for each in bill["components"] if each["purl"].startswith("pkg:deb/")]


def test_given_a_published_release_then_manifest_and_chart_run_the_pushed_image_by_its_digest(
    published: Published,
) -> None:
    image = f"{published.registry}/shop-operator:{VERSION}@{published.digest('shop-operator')}"
    rendered = published.helm("template", "shop-operator", "--namespace", "shop-operator")

    for text in ((published.folder / "install.yaml").read_text(), rendered):
        (found,) = re.findall(r"^ +image: (\S+)$", text, re.MULTILINE)
        assert found.strip('"') == image


@pytest.mark.parametrize("chart", CHARTS)
def test_given_a_published_chart_then_the_registry_serves_its_version(
    published: Published, chart: str
) -> None:
    found = yaml.safe_load(published.helm("show chart", chart))

    assert (found["name"], found["version"]) == (chart, VERSION)
