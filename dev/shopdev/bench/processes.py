"""The operator, or the program with which it is compared, as a separate process."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from shop_operator.status.writer import STATUS_PAUSE
from shopdev.bench.apiserver import DEADLINE
from shopdev.checkout import ROOT
from shopdev.cluster.daemon import BOUND

_HERE: Final = Path(__file__).parent
_LONGER_THAN_A_STATUS_WAITS: Final = 2 * STATUS_PAUSE


class Operator:
    """One process."""

    def __init__(self, command: Sequence[str], kubeconfig: Path, log: Path) -> None:
        env = {**os.environ, "PYTHONPATH": str(ROOT / "operator"), "KUBECONFIG": str(kubeconfig)}
        self._log = log
        self._process = subprocess.Popen(
            [*BOUND, *command], env=env, stdout=subprocess.DEVNULL, stderr=log.open("wb")
        )
        self.pid = self._process.pid
        self._port: int | None = None

    def series(self) -> dict[str, float]:
        """Its metrics.

        Raises:
            OSError: when it does not respond yet.
        """
        if self._port is None:
            started = [line for line in self._log.read_text().splitlines() if '"msg": "started"' in line]
            if not started:
                raise OSError("the process has not started")
            self._port = int(json.loads(started[0])["port"])
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        parted = [line.rpartition(" ") for line in lines if not line.startswith("#")]
        return {name: float(value) for name, _, value in parted}

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric."""
        return total(self.series(), name, **labels)

    @property
    def writes(self) -> float:
        """The number of write requests: children, statuses and Events; a lease is renewed with PUT."""
        now = self.series()
        return sum(
            total(now, "rest_client_requests_total", method=each) for each in ("PATCH", "DELETE", "POST")
        )

    @property
    def reads(self) -> float:
        """The number of read requests and of watches that were started."""
        return self.metric("rest_client_requests_total", method="GET")

    async def until(self, condition: Callable[[], bool], every: float = 0.2) -> None:
        """Wait until its metrics meet a condition.

        Raises:
            RuntimeError: when it has ended, with the end of its log.
        """
        async with asyncio.timeout(DEADLINE):
            while True:
                try:
                    if condition():
                        return
                except OSError:
                    if self._process.poll() is not None:
                        raise RuntimeError(self._log.read_text()[-3000:]) from None
                await asyncio.sleep(every)

    async def leading(self) -> None:
        """Wait until it is the leader."""
        await self.until(lambda: self.metric("leader_election_master_status") == 1)

    async def quiet(self, seconds: float = 1.0) -> None:
        """Wait until no reconcile has ended for a while, and none is queued or running."""
        # The operator may reconcile before it serves metrics.
        await self.until(lambda: bool(self.series()))
        last, since = -1.0, time.monotonic()
        async with asyncio.timeout(DEADLINE):
            while time.monotonic() - since < seconds:
                now = self.series()
                passes = total(now, "controller_runtime_reconcile_total")
                busy = total(now, "workqueue_depth") + total(now, "controller_runtime_active_workers")
                if passes != last or busy:
                    last, since = passes, time.monotonic()
                # Serving the metrics costs more than a reconcile.
                await asyncio.sleep(seconds / 2)

    async def finished(self) -> None:
        """It is quiet, and nothing has failed that it is about to repeat: a process after it has nothing to do."""
        await self.until(lambda: not self.metric("shop_operator_reconcile_retries"))
        await self.quiet(_LONGER_THAN_A_STATUS_WAITS)

    def profile(self) -> None:
        """Begin to profile, if it was started for this."""
        self._process.send_signal(signal.SIGUSR1)

    def stop(self) -> None:
        """Stop it with SIGTERM, then with SIGKILL."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def total(series: dict[str, float], name: str, **labels: str) -> float:
    """The sum of the series with this name and these labels."""
    return sum(
        value
        for key, value in series.items()
        if key.partition("{")[0] == name and all(f'{k}="{v}"' in key for k, v in labels.items())
    )


class Launcher:
    """Starts processes that use one API server.

    Args:
        kubeconfig: kubeconfig of the API server.
        folder: folder of the logs.
        python: interpreter with only the packages of the operator's image.
    """

    def __init__(self, kubeconfig: Path, folder: Path, python: Path) -> None:
        self._kubeconfig = kubeconfig
        self._folder = folder
        self._python = python
        self._logs = 0

    @contextmanager
    def operator(self, *flags: str, profile: Path | None = None) -> Iterator[Operator]:
        """The operator of the shop. With a profile, the time from `profile()` to its end is profiled."""
        script = ("-m", "shop_operator.main")
        if profile is not None:
            script = (str(_HERE / "profiled.py"), str(profile))
        command = [
            str(self._python),
            *script,
            "run",
            "--metrics-port",
            "0",
            *(flags or ("--no-leader-elect",)),
        ]
        with self._running(command) as started:
            yield started

    @contextmanager
    def plain(self) -> Iterator[Operator]:
        """The operator for comparison, in `plain_kopf`."""
        with self._running([sys.executable, str(_HERE / "plain_kopf.py")]) as started:
            yield started

    @contextmanager
    def _running(self, command: Sequence[str]) -> Iterator[Operator]:
        self._logs += 1
        started = Operator(command, self._kubeconfig, self._folder / f"operator-{self._logs}.log")
        try:
            yield started
        finally:
            started.stop()


def own_python(folder: Path) -> Path:
    """An interpreter with only the packages of the operator's image, because other installed packages would be imported too."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin/pip"), "install", "--quiet", "--require-hashes", "-r"]
    subprocess.run([*pip, str(ROOT / "requirements/operator.txt")], check=True)
    return folder / "bin/python"
