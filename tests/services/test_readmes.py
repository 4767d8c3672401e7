"""The README of each service lists all contracts and kinds of rows, and its command starts the API."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shopdev.ports import free_port
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
SERVICES = sorted(path.parent.name for path in (ROOT / "services").glob("*/README.md"))
EMULATOR, NOWHERE = "http://127.0.0.1:4566", "http://127.0.0.1:1"
_RUN = re.compile(r"^## Run$.*?^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def page(service: str) -> str:
    return (ROOT / "services" / service / "README.md").read_text(encoding="utf-8")


def test_given_the_readmes_then_every_service_with_an_image_has_one() -> None:
    assert SERVICES == ["order", "payment", "product", "shipping", "storefront"]


def test_given_a_service_when_its_readme_is_read_then_it_lists_every_message(service: str, page: str) -> None:
    folder = ROOT / "services" / service / "contracts"
    contracts = {path.stem for path in folder.glob("*.json") if not path.stem.endswith(".result")}
    consumer = ROOT / "services" / service / "consumer.py"
    handled = consumer.read_text(encoding="utf-8") if consumer.exists() else ""
    followed = set(re.findall(r'"(shop\.[a-z.]+\.v\d+)": only_from', handled))

    listed = set(re.findall(r"^\| `([^`]+)` \| (?:workflow|topic of)", page, re.MULTILINE))

    assert listed == contracts | followed


def test_given_a_service_when_its_readme_is_read_then_it_lists_every_kind_of_row(
    service: str, page: str
) -> None:
    adapters = [ROOT / "services" / service / name for name in ("dynamo.py", "watchlist.py", "findings.py")]
    kinds = {
        kind for path in adapters if path.exists() for kind in re.findall(r'f"([A-Z]+)#', path.read_text())
    }

    assert {kind for kind in kinds if f"`{kind}#" not in page} == set()


@pytest.fixture
def api(page: str) -> Iterator[str]:
    """Where the API answers that the page's command has started."""
    block = _RUN.search(page)
    assert block is not None
    port = free_port()
    command = re.sub(r"PORT=\d+", f"PORT={port}", block[1], count=1)
    process = subprocess.Popen(
        ["bash", "-ec", command.replace(".venv/bin/python", sys.executable).replace(EMULATOR, NOWHERE)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        start_new_session=True,
    )
    yield f"http://127.0.0.1:{port}"
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(30) == 0


@pytest.mark.slow
def test_given_no_aws_when_the_command_of_a_readme_runs_then_the_api_starts(api: str) -> None:
    def status(path: str) -> int | None:
        try:
            return httpx.get(f"{api}{path}", timeout=20).status_code
        except httpx.TransportError:
            return None

    wait_for(lambda: status("/healthz") == 200, 60)

    assert status("/readyz") == 503
