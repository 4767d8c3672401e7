"""A container that receives SIGTERM while it starts stops at once. Its first process would ignore signals without a handler."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.waiting import wait_for

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).resolve().parents[2]
STAGE: Final = re.compile(
    r"^FROM (?P<base>\S+) AS (?P<name>\S+)\n(?P<lines>(?:(?!FROM ).*\n)*)", re.MULTILINE
)
IMAGES: Final = ("operator", "order", "payment", "product", "shipping", "storefront")
KILLED: Final = 128 + signal.SIGTERM


def of_images() -> Iterator[tuple[str, Sequence[str]]]:
    """The command of each image of ours, by its target in the Dockerfile."""
    stages = {found["name"]: found for found in STAGE.finditer((ROOT / "Dockerfile").read_text())}

    def value(stage: str, instruction: str) -> list[str]:
        if stage not in stages:
            return []
        found = re.search(rf"^{instruction} (\[.*\])$", stages[stage]["lines"], re.MULTILINE)
        return list(json.loads(found[1])) if found else value(stages[stage]["base"], instruction)

    for image in IMAGES:
        yield image, [*value(image, "ENTRYPOINT"), *value(image, "CMD")]


def of_workers() -> Iterator[tuple[str, Sequence[str]]]:
    """The command of each worker of the shop. It replaces that of the image, and its entry point too."""
    values: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]]] = yaml.safe_load(
        (ROOT / "charts/shop/values.yaml").read_text()
    )
    for service, parts in values.items():
        for worker, fields in (parts.get("workers") or {}).items():
            yield f"{service}-{worker}", fields["command"]


COMMANDS: Final = dict([*of_images(), *of_workers()])


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with programs that start for a minute, and handle no signal meanwhile, in place of those in the images."""
    for name in ("gunicorn", "python", "shop-operator"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\nexec sleep 60\n")
        program.chmod(0o755)
    return tmp_path


@pytest.fixture(params=COMMANDS)
def container(request: pytest.FixtureRequest, programs: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A command as the first process of a PID namespace, as in a container."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child"]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    process = subprocess.Popen(
        [*unshare, *COMMANDS[request.param]],
        env={"PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    yield process
    process.kill()
    process.wait()


def children(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def test_given_a_container_that_starts_when_it_receives_sigterm_then_it_ends_at_once(
    container: "subprocess.Popen[bytes]",
) -> None:
    (first,) = wait_for(lambda: children(container.pid), 10, what="the first process")
    wait_for(lambda: children(first), 10, what="an init process with a child")

    os.kill(first, signal.SIGTERM)

    assert container.wait(timeout=10) == KILLED
