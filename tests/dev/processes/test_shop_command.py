"""The command of `make dev`."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from shopdev import identity
from shopdev.ports import free_port

pytestmark = pytest.mark.emulator

ROOT = Path(__file__).resolve().parents[3]
DEADLINE = 60


class Command:
    """A running dev/shop and its output."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "dev" / "shop"), "--port", str(free_port())],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str) -> "re.Match[str]":
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            for line in list(self.lines):
                if found := re.search(pattern, line):
                    return found
            time.sleep(0.05)
        raise AssertionError(f"no line with {pattern} in:\n" + "\n".join(self.lines[-30:]))

    def children(self) -> set[int]:
        """All descendants of a process."""
        listed = subprocess.run(
            ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
        ).stdout
        parents = {int(pid): int(parent) for pid, parent in (line.split() for line in listed.splitlines())}
        found: set[int] = set()
        while (
            more := {pid for pid, parent in parents.items() if parent in found | {self.process.pid}} - found
        ):
            found |= more
        return found

    def services(self) -> dict[str, set[int]]:
        """The processes of each program of a service: `services.order.relay`, or `services.order.app:create_app()`."""
        listed = subprocess.run(
            ["ps", "-ww", "-eo", "pid=,args="], capture_output=True, text=True, check=True
        ).stdout
        ours, found = self.children(), dict[str, set[int]]()
        for pid, arguments in (line.split(maxsplit=1) for line in listed.splitlines()):
            program = arguments.split()[-1]
            if int(pid) in ours and program.startswith("services."):
                found.setdefault(program, set()).add(int(pid))
        return found

    def end(self, number: signal.Signals) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(DEADLINE)
        self._reader.join(5)
        if self.process.stdout:
            self.process.stdout.close()
        return code

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line.rstrip())


@pytest.fixture
def start() -> Iterator[Callable[[], Command]]:
    started: list[Command] = []

    def start() -> Command:
        started.append(Command())
        return started[-1]

    yield start
    for command in started:
        command.end(signal.SIGTERM)


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return bool(state.strip()) and not state.startswith("Z")


def test_given_nothing_when_started_then_the_shop_responds_reloads_on_change_and_ctrl_c_removes_everything(
    start: Callable[[], Command],
) -> None:
    command = start()
    url = command.wait_for(r"^\s+shop\s+(http://\S+)")[1]
    assert httpx.get(f"{url}/products").json()["items"]
    pages = command.wait_for(r"^Open the storefront in a browser: (http://\S+)$")[1]
    command.wait_for(f"^Sign in as alice .* with the password {identity.PASSWORD}$")
    assert "Coffee Beans" in httpx.get(pages, timeout=20).text
    curl = command.wait_for(r"^\s+(curl -H .*/orders)$")[1]
    asked = subprocess.run(["bash", "-c", curl], cwd=ROOT, capture_output=True, text=True, check=False)
    assert json.loads(asked.stdout)["items"] == [], asked.stderr
    command.wait_for(r"^order-relay\s")  # each line says whose it is

    (ROOT / "services" / "shipping" / "api.py").touch()
    restarted = command.wait_for(r"changed: restarting (.*)$")[1]
    assert restarted == "shipping", "the consumer does not import it"
    command.wait_for("ready again after")

    children = command.children()
    assert len(children) >= 10
    assert command.end(signal.SIGINT) == 0
    assert not [pid for pid in children if alive(pid)]


def test_given_a_file_when_it_changes_then_exactly_the_processes_that_use_it_restart(
    start: Callable[[], Command],
) -> None:
    """`dev/bench reload` measures how long this takes."""
    command = start()
    url = command.wait_for(r"^\s+shipping\s+(http://\S+)")[1]
    shop = command.wait_for(r"^\s+shop\s+(http://\S+)")[1]
    expected = {
        "services/order/relay.py": {"services.order.relay"},
        "services/shipping/domain.py": {"services.shipping.app:create_app()", "services.shipping.consumer"},
        "services/storefront/templates/base.html": {"services.storefront.app:create_app()"},
    }

    for file, programs in expected.items():
        before = command.services()
        command.lines.clear()
        (ROOT / file).touch()
        command.wait_for("ready again after")
        after = command.services()

        assert after.keys() == before.keys()
        assert {program for program in after if after[program] != before[program]} == programs
        assert not [pid for program in programs for pid in before[program] & after[program]]
        assert httpx.get(f"{url}/readyz").is_success
        assert httpx.get(f"{shop}/products").is_success


def test_given_a_running_shop_when_customers_load_it_then_they_browse_and_buy_and_no_request_fails(
    start: Callable[[], Command],
) -> None:
    command = start()
    command.wait_for("The shop is ready after")
    subprocess.run([ROOT / "dev" / "bootstrap", "load"], check=True, timeout=300)

    done = subprocess.run(
        [sys.executable, ROOT / "dev" / "load", "--customers=3", "--seconds=15"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=DEADLINE,
    )

    assert done.returncode == 0, done.stdout
    requests = set(re.findall(r"^(GET|POST) +(/\S+) ", done.stdout, re.MULTILINE))
    assert requests == {("GET", "/products"), ("GET", "/products/{sku}"), ("POST", "/orders")}


def test_given_a_running_shop_when_the_emulator_ends_then_an_error_reports_it_and_all_processes_end(
    start: Callable[[], Command],
) -> None:
    command = start()
    command.wait_for("The shop is ready after")
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout
    lines = (line.split(maxsplit=1) for line in listed.splitlines())
    (emulator,) = {int(pid) for pid, what in lines if "ministack" in what} & command.children()

    os.kill(emulator, signal.SIGKILL)

    command.wait_for("^dev/shop: aws exited with code -9; the shop does not work without it")
    assert command.process.wait(DEADLINE) == 1
    assert not [pid for pid in command.children() if alive(pid)]


def test_given_a_shop_that_is_starting_when_ended_then_nothing_is_left(
    start: Callable[[], Command],
) -> None:
    command = start()
    command.wait_for("^Starting")
    end = time.monotonic() + DEADLINE
    while not (children := command.children()):
        assert time.monotonic() < end
        os.sched_yield()
    assert command.end(signal.SIGTERM) == 0
    assert not [pid for pid in children | command.children() if alive(pid)]
