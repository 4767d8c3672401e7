"""A child process in its own process group, whose output is read line by line, and which never outlives this program."""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from shopdev.console import CommandError

Sink = Callable[[str, str], object]
LINES_OF_A_FAILURE = 20
POLL = 0.02


_started: set["Process"] = set()


class ProcessError(CommandError):
    """A process did not start or did not become ready; the message includes its last output."""


class Process:
    """A named child process.

    Args:
        name: name in the log and in errors.
        command: program and arguments.
        env: its complete environment.
        sink: receives the name and each line of output.
        cwd: its working directory.
    """

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str], sink: Sink, cwd: Path
    ) -> None:
        self.name = name
        self.command = tuple(command)
        self.env = dict(env)
        self._sink = sink
        self._cwd = cwd
        self._popen: subprocess.Popen[str] | None = None
        self._ended = threading.Event()
        self._reader: threading.Thread | None = None
        self._tail: deque[str] = deque(maxlen=LINES_OF_A_FAILURE)

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._popen is not None and not self._ended.is_set()

    @property
    def returncode(self) -> int | None:
        """Its exit code; None while it runs or before it was started."""
        return None if self._popen is None or self.running else self._popen.returncode

    @property
    def pid(self) -> int | None:
        """Its process id, which is also that of its group; None before it was started."""
        return None if self._popen is None else self._popen.pid

    @property
    def tail(self) -> str:
        """The last lines of its output."""
        return "\n".join(self._tail)

    def start(self) -> None:
        """Start it, unless it runs.

        Raises:
            ProcessError: when the program does not exist.
        """
        if self.running:
            return
        self._tail.clear()
        # A signal interrupts only the main thread, and the executor waits for its thread: a started process is always recorded.
        with ThreadPoolExecutor(max_workers=1) as starter:
            starter.submit(self._spawn).result()

    def _spawn(self) -> None:
        try:
            popen = subprocess.Popen(
                self.command,
                env=self.env,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                # Ctrl-C reaches only this program, which then stops its children in order.
                start_new_session=sys.platform != "win32",
            )
        except FileNotFoundError:
            raise ProcessError(
                f"{self.name}: {self.command[0]} is not installed; run dev/bootstrap"
            ) from None
        self._popen, self._ended = popen, threading.Event()
        _started.add(self)
        # A signal that interrupts the main thread within `Popen.poll` would leave a lock behind, on which `Popen.wait` waits forever.
        threading.Thread(
            target=_wait, args=(popen, self._ended), name=f"end of {self.name}", daemon=True
        ).start()
        self._reader = threading.Thread(
            target=self._read, args=(popen,), name=f"log of {self.name}", daemon=True
        )
        self._reader.start()

    def stop(self, grace: float = 15.0) -> None:
        """Stop it with SIGTERM, and after `grace` seconds with SIGKILL."""
        if self._popen is None:
            return
        if self.running:
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.kill(self._popen.pid, signal.SIGTERM)
            if not self._ended.wait(grace):
                self._sink(self.name, f"did not end within {grace:.0f} s of SIGTERM and is killed")
        self.kill()

    def kill(self) -> None:
        """Kill it and its children (SIGKILL), as a power failure does."""
        if self._popen is None:
            return
        if sys.platform == "win32":
            self._popen.kill()
        else:
            with contextlib.suppress(ProcessLookupError):  # the group has ended
                os.killpg(self._popen.pid, signal.SIGKILL)
        self._ended.wait()
        _started.discard(self)
        if self._reader is not None:
            self._reader.join(timeout=5)
        if self._popen.stdout is not None:
            self._popen.stdout.close()

    def freeze(self) -> None:
        """Freeze it and its children (SIGSTOP), as a machine that swaps does."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue it and its children after `freeze`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._popen is not None and self.running:
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.killpg(self._popen.pid, number)

    def wait_until(self, ready: Callable[[], bool], deadline: float) -> None:
        """Wait until `ready` returns true.

        Raises:
            ProcessError: when the process ends, or `deadline` seconds pass.
        """
        end = time.monotonic() + deadline
        while not ready():
            if not self.running:
                raise ProcessError(f"{self.name} exited with code {self.returncode}:\n{self.tail}")
            if time.monotonic() > end:
                raise ProcessError(f"{self.name} was not ready within {deadline:.0f} s:\n{self.tail}")
            time.sleep(POLL)

    def _read(self, popen: "subprocess.Popen[str]") -> None:
        if popen.stdout is None:
            return
        for line in popen.stdout:
            self._tail.append(line.rstrip())
            self._sink(self.name, line.rstrip())


def _wait(popen: "subprocess.Popen[str]", ended: threading.Event) -> None:
    popen.wait()
    ended.set()


@atexit.register
def _leave_nothing_behind() -> None:
    """Kill the processes that a failing program has not stopped."""
    for process in list(_started):
        process.kill()
