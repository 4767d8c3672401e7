"""docs/tutorial/your-first-queue-worker.md: its queues, its messages and its worker, as a process instead of a pod."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render import render
from shopdev import environment_file
from shopdev.checkout import ROOT
from shopdev.processes.emulator import Emulator

PAGE: Final = (ROOT / "docs/tutorial/your-first-queue-worker.md").read_text(encoding="utf-8")
CREATE, RUN, SEND, STOP, START, POISON, CLEAN = re.findall(
    r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
)
DOCUMENTS: Final = re.findall(r"<<EOF\n(.*?)^EOF$", RUN, re.MULTILINE | re.DOTALL)
CONFIG_MAP, SHOPSERVICE = yaml.safe_load_all(DOCUMENTS[0].replace("$IMAGE", "localhost/shop-payment:1"))


@pytest.fixture
def folder(emulator: Emulator, tmp_path: Path) -> Path:
    """A folder like the repository after `make demo`."""
    (tmp_path / ".dev").mkdir()
    values = {"AWS_ENDPOINT_URL": emulator.endpoint}
    (tmp_path / ".dev/env").write_text(environment_file.text(values), encoding="utf-8")
    (tmp_path / ".venv-awscli").symlink_to(ROOT / ".venv-awscli")
    (tmp_path / "worker.py").write_text(CONFIG_MAP["data"]["worker.py"], encoding="utf-8")
    return tmp_path


def typed(folder: Path, block: str) -> str:
    """Output of a block after the first one, without its kubectl commands; the first one can be repeated."""
    commands = "\n".join(each for each in block.splitlines() if not each.startswith("dev/cluster exec --"))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{CREATE}\n{commands}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def worker(folder: Path, emulator: Emulator) -> Iterator[subprocess.Popen[str]]:
    """The program of the ConfigMap, with the environment of the ShopService and of the Secret of the emulator."""
    env = {each["name"]: each["value"] for each in SHOPSERVICE["spec"]["env"]}
    env |= {
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    command = [sys.executable, str(folder / "worker.py")]
    with subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def lines(process: subprocess.Popen[str], number: int) -> list[str]:
    """The next lines of the output."""
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(number)]


@pytest.mark.emulator
def test_given_the_queue_of_the_tutorial_when_its_commands_run_then_the_worker_prints_what_the_page_says(
    emulator: Emulator, folder: Path
) -> None:
    typed(folder, SEND)
    with worker(folder, emulator) as process:
        log = "\n".join(lines(process, 2))
        assert f"```\n{log}\n```" in PAGE
        process.terminate()
        assert process.communicate(timeout=20)[0].strip() == "stopped"

    assert typed(folder, STOP).split()[-1] == "2"
    with worker(folder, emulator) as process:
        assert set(lines(process, 3)) == {"started", "hello Grace", "hello Edsger"}
        assert typed(folder, POISON).split()[-1] == "Ada"
    typed(folder, CLEAN)

    names = {url.rpartition("/")[2] for url in emulator.clients.sqs.list_queues().get("QueueUrls", ())}
    assert not names & {"greetings", "greetings-dlq"}


def test_given_the_shopservice_of_the_tutorial_then_the_worker_mounts_the_program_that_it_runs() -> None:
    shop = ShopService.from_object(
        {**SHOPSERVICE, "metadata": {"name": "greeter", "namespace": "shop", "uid": "a"}}
    )
    found: dict[str, Any] = {
        each["metadata"]["name"]: each for each in render(shop, live=None) if each["kind"] == "Deployment"
    }

    pod = found["greeter-reader"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    folder, _, file = container["command"][-1].rpartition("/")

    assert file in CONFIG_MAP["data"]
    assert folder in {each["mountPath"] for each in container["volumeMounts"]}
    assert {"name": "program", "configMap": {"name": CONFIG_MAP["metadata"]["name"]}} in pod["volumes"]
    assert found["greeter"]["spec"]["replicas"] == 0
