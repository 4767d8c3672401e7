"""Background processes that outlive the command that started them, and that later commands find again.

A record contains the process id and the start time, so that a reused id is not mistaken for the process.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shopdev.cluster.progress import ClusterError

LOG_LINES = 15
BOUND: Final = ("setpriv", "--pdeathsig", "KILL")
"""Command prefix for a process that ends with the thread that started it, also if a signal kills that one."""


@dataclass(frozen=True)
class Daemon:
    """One named process of a cluster.

    Args:
        state: folder of the cluster, with `proc/<name>.json` and `log/<name>.log`.
        name: name that is unique in the cluster.
    """

    state: Path
    name: str

    @property
    def log(self) -> Path:
        """The file with its output."""
        return self.state / "log" / f"{self.name}.log"

    @property
    def _record(self) -> Path:
        return self.state / "proc" / f"{self.name}.json"

    def start(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Start it in a new session, detached from the terminal."""
        for folder in (self.log.parent, self._record.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                [str(each) for each in command],
                env=None if env is None else dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.state,
            )
        self._record.write_text(json.dumps({"pid": child.pid, "started": started_at(child.pid)}))

    @property
    def pid(self) -> int | None:
        """Its process id; None if it does not run."""
        try:
            record = json.loads(self._record.read_text())
        except (FileNotFoundError, ValueError):
            return None
        pid = int(record["pid"])
        return pid if started_at(pid) == record["started"] is not None else None

    def stop(self, grace: float = 5.0) -> None:
        """Stop it with SIGTERM, then with SIGKILL."""
        pid = self.pid
        if pid is not None:
            for number, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, grace)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                if _gone(pid, wait):
                    break
        self._record.unlink(missing_ok=True)

    def tail(self) -> str:
        """The end of its log, for an error message."""
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_LINES:])
        return ""


def all_of(state: Path) -> Iterator[Daemon]:
    """The processes that are recorded for the cluster."""
    for record in sorted((state / "proc").glob("*.json")):
        yield Daemon(state, record.stem)


def started_at(pid: int) -> str | None:
    """The start time of a running process (clock ticks since boot); None if it does not exist or is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def wait_until(ready: Callable[[], bool], what: str, seconds: float, process: Daemon | None = None) -> None:
    """Poll every 50 ms until `ready` returns true.

    Raises:
        ClusterError: at the deadline, or when the process has ended; with the end of its log.
    """
    end = time.monotonic() + seconds
    while not ready():
        died = process is not None and process.pid is None
        if died or time.monotonic() > end:
            why = "its process died" if died else f"not within {seconds:.0f} s"
            log = f"\n{process.log}:\n{process.tail()}" if process else ""
            raise ClusterError(f"{what}: {why}{log}")
        time.sleep(0.05)


def _gone(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        if started_at(pid) is None:
            return True
        time.sleep(0.02)
    return False
