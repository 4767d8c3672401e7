import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shopdev.processes.process import Process, ProcessError
from tests.waiting import wait_for

Start = Callable[[str], Process]

READY = "print('ready', flush=True)\n"
SLEEP = READY + "import time; time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEP
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n" + SLEEP


@pytest.fixture
def printed() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def start(tmp_path: Path, printed: list[tuple[str, str]]) -> Iterator[Start]:
    started: list[Process] = []

    def start(program: str) -> Process:
        process = Process(
            "it",
            [sys.executable, "-c", program],
            {},
            lambda name, line: printed.append((name, line)),
            tmp_path,
        )
        started.append(process)
        process.start()
        return process

    yield start
    for process in started:
        process.kill()


def ended(process: Process) -> Process:
    end = time.monotonic() + 10
    while process.running:
        assert time.monotonic() < end
        time.sleep(0.01)
    return process


def test_given_a_process_when_it_prints_then_the_sink_gets_its_name_and_each_line(
    start: Start, printed: list[tuple[str, str]]
) -> None:
    ended(start("print('one'); print('two')")).stop()
    assert printed == [("it", "one"), ("it", "two")]


def test_given_a_running_process_when_stopped_then_it_can_end_gracefully(
    start: Start, printed: list[tuple[str, str]]
) -> None:
    process = start(
        "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit('goodbye'))\n" + SLEEP
    )
    process.wait_until(lambda: bool(printed), deadline=10)
    process.stop()
    assert printed[-1] == ("it", "goodbye")
    assert process.returncode == 1


def test_given_a_process_that_ignores_sigterm_when_stopped_then_it_is_killed_after_the_grace_period(
    start: Start, printed: list[tuple[str, str]]
) -> None:
    process = start(DEAF)
    process.wait_until(lambda: bool(printed), deadline=10)
    process.stop(grace=0.1)
    assert not process.running
    assert "killed" in printed[-1][1]


def test_given_a_process_with_a_child_when_killed_then_the_child_is_gone_too(
    start: Start, printed: list[tuple[str, str]]
) -> None:
    process = start(PARENT)
    process.wait_until(lambda: len(printed) == 2, deadline=10)
    process.kill()

    def states() -> list[str]:
        processes = subprocess.run(
            ["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True
        ).stdout
        return [line.split()[1] for line in processes.splitlines() if line.split()[0] == str(process.pid)]

    # The kernel ends a child that was sent SIGKILL when that is next scheduled.
    wait_for(lambda: all(state.startswith("Z") for state in states()), deadline=5)


def test_given_a_program_that_fails_when_it_has_ended_then_its_processes_are_gone_too(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from shopdev.processes.process import Process\n"
        "process = Process('it', ['sleep', '60'], {'PATH': '/usr/bin:/bin'}, print, Path('.'))\n"
        "process.start(); print(process.pid); raise SystemExit(1)"
    )
    environment = {"PYTHONPATH": str(Path(__file__).resolve().parents[3] / "dev")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", done.stdout.strip()], capture_output=True, text=True, check=False
    )
    assert state.stdout.strip() in {"", "Z"}


def test_given_a_signal_while_a_process_is_started_when_stopped_then_the_process_is_gone_too(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[subprocess.Popen[str]] = []

    class Interrupted(subprocess.Popen[str]):
        """Ctrl-C arrives after the process was created and before its creator has the handle."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            made.append(self)
            os.kill(os.getpid(), signal.SIGINT)

    process = start("pass")
    ended(process)
    process.command = (sys.executable, "-c", SLEEP)
    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        process.start()
    process.stop()

    assert made[0].poll() is not None


def test_given_a_process_that_ends_when_waited_for_then_the_error_contains_its_output(start: Start) -> None:
    process = start("raise SystemExit('TABLE is not set')")
    with pytest.raises(ProcessError, match=r"it exited with code 1:\nTABLE is not set"):
        process.wait_until(lambda: False, deadline=10)


def test_given_a_process_that_is_never_ready_when_waited_for_then_the_wait_ends_at_the_deadline(
    start: Start,
) -> None:
    started = time.monotonic()
    with pytest.raises(ProcessError, match="not ready within"):
        start(SLEEP).wait_until(lambda: False, deadline=0.1)
    assert time.monotonic() - started < 5


def test_given_a_stopped_process_when_started_again_then_it_runs_again(
    start: Start, printed: list[tuple[str, str]]
) -> None:
    process = ended(start(READY))
    process.stop()
    process.start()
    ended(process).stop()
    assert printed == [("it", "ready"), ("it", "ready")]


def test_given_a_program_that_does_not_exist_when_started_then_the_error_says_what_to_run(
    tmp_path: Path,
) -> None:
    process = Process("aws", ["no-such-program"], {"PATH": ""}, lambda *_: None, tmp_path)
    with pytest.raises(ProcessError, match="run dev/bootstrap"):
        process.start()
