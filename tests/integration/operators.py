"""The operator as a real process, with the RBAC permissions of its chart."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from shopdev.cluster.daemon import BOUND
from tests.integration.cluster import Cluster
from tests.waiting import wait_for

ROOT: Final = Path(__file__).parents[2]
_AS_IN_THE_IMAGE: Final = Path(__file__).parent / "image"
START_SECONDS: Final = 60.0
"""Until an operator listens. It takes a second, and most of a minute where other programs have the processors."""
STOP_SECONDS: Final = 15
_SHOWN: Final = 20_000
LEASE_SECONDS: Final = 15.0
"""After which others take the lease of an operator that did not release it."""


class Operator:
    """One process of `shop-operator run`."""

    def __init__(self, kubeconfig: Path, log: Path, *flags: str, procs: Path | None = None) -> None:
        self.log = log
        command = [sys.executable, "-m", "shop_operator.main", "run", "--metrics-port", "0", *flags]
        join = [] if procs is None else ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(procs)]
        path = os.pathsep.join((str(_AS_IN_THE_IMAGE), str(ROOT / "operator")))
        self._process = subprocess.Popen(
            [*BOUND, *join, *command],
            env={
                **os.environ,
                "PYTHONPATH": path,
                "KUBECONFIG": str(kubeconfig),
                "POD_NAMESPACE": "shop-operator",
            },
            stderr=log.open("wb"),
        )
        self._http = httpx.Client(verify=False, timeout=5)  # noqa: S501  # plain HTTP; loads no certificates
        self._port: int | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def port(self) -> int:
        """Where it serves its own endpoints; known once it has said so."""
        if self._port is None:
            (started, *_) = wait_for(lambda: self.said("started"), START_SECONDS, what="the operator's port")
            self._port = int(started["port"])
        return self._port

    def said(self, message: str) -> list[dict[str, Any]]:
        """Every log line with that message."""
        return [line for line in self.lines() if line["msg"].startswith(message)]

    def lines(self) -> list[dict[str, Any]]:
        """The log so far; every line must be JSON."""
        text = self.log.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def ask(self, path: str) -> httpx.Response:
        """One of /healthz, /readyz, /metrics."""
        return self._http.get(f"http://127.0.0.1:{self.port}{path}")

    def ready(self) -> bool:
        """Whether it says that it is ready."""
        try:
            return self.ask("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def leading(self) -> bool:
        """Whether it holds the lease, by its own account."""
        return self.metric("leader_election_master_status") == 1

    def metric(self, name: str, /, **labels: str) -> float:
        """The sum of one series over all label sets that have these labels."""
        total = 0.0
        for line in self.ask("/metrics").text.splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(f'{k}="{v}"' in series for k, v in labels.items()):
                total += float(value)
        return total

    def writes(self) -> float:
        """Writes of children and statuses so far; the lease is created by POST and renewed by PUT."""
        return sum(self.metric("rest_client_requests_total", method=m) for m in ("PATCH", "DELETE"))

    def sent(self) -> float:
        """Everything that it has sent to be written so far: also Events, and the POST of a lease that there was not yet."""
        return self.writes() + self.metric("rest_client_requests_total", method="POST")

    def passes(self) -> float:
        """Number of reconcile passes so far."""
        return self.metric("controller_runtime_reconcile_total")

    def show(self) -> None:
        """Print the end of its log, which pytest keeps until a test fails."""
        sys.stderr.write(f"{self.log}:\n{self.tail()}")

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-_SHOWN:]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit code."""
        return self._process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Ask it to stop; its exit code."""
        self._http.close()
        if not self.ended():
            self.signal(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


class Quiet:
    """Whether a count has stayed the same for some seconds, as seen each time it is asked."""

    def __init__(self, count: Callable[[], float], seconds: float) -> None:
        self._count = count
        self._seconds = seconds
        self._last, self._since = math.nan, 0.0

    def __call__(self) -> bool:
        """Ask now."""
        now, count = time.monotonic(), self._count()
        if count != self._last:
            self._last, self._since = count, now
        return now - self._since > self._seconds


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "operator")}


@contextmanager
def started(kubeconfig: Path, log: Path, *flags: str, procs: Path | None = None) -> Iterator[Operator]:
    """An operator that has just begun, gone at the end whatever happens; its log is shown when a test fails.

    Args:
        kubeconfig: of the operator.
        log: its file.
        flags: of the command line.
        procs: the file of a cgroup that takes the ids of its processes; None for the cgroup of the tests.
    """
    operator = Operator(kubeconfig, log, *flags, procs=procs)
    try:
        yield operator
    finally:
        try:
            operator.stop()
        finally:
            operator.show()


@contextmanager
def running(kubeconfig: Path, log: Path, *flags: str, procs: Path | None = None) -> Iterator[Operator]:
    """An operator that is ready, stopped at the end; its log is shown when a test fails. `started` has the arguments."""
    with started(kubeconfig, log, *flags, procs=procs) as operator:
        wait_for(lambda: operator.ended() or operator.ready())
        assert not operator.ended()
        yield operator


@contextmanager
def leader(kubeconfig: Path, log: Path, *flags: str) -> Iterator[Operator]:
    """As `running`, for one that works: it leads, if need be once the lease of one that was killed has expired."""
    with running(kubeconfig, log, *flags) as operator:
        wait_for(operator.leading, 2 * LEASE_SECONDS)
        yield operator


def install(
    cluster: Cluster,
    kubectl: Path,
    helm: Path,
    folder: Path,
    *,
    release: str = "shop-operator",
    values: str = "",
) -> Path:
    """The CRD and the chart's RBAC on the cluster, and a kubeconfig of the chart's ServiceAccount.

    The API server signed the token for the ServiceAccount, so whatever the chart does not grant is
    refused to the operator here as it is in production.
    """
    cluster.namespace(release)
    admin = [str(kubectl), "--kubeconfig", str(cluster.kubeconfig)]
    crd = [sys.executable, "-m", "shop_operator.main", "crd"]
    version = cluster.http.get("/version").json()["gitVersion"]
    chart = [
        *(str(helm), "template", release, str(ROOT / "charts/shop-operator"), "--namespace", release),
        # The operator runs as a process of the test, not as the chart's Deployment.
        *("--kube-version", version, "--set", "crds.install=false,replicas=0"),
        *(("--set", values) if values else ()),
    ]
    for command in (crd, chart):
        run([*admin, "apply", "--server-side", "-f", "-"], run(command))
    token = run([*admin, "create", "token", release, "--namespace", release, "--duration", "24h"])
    config = json.loads(run([*admin, "config", "view", "--raw", "--flatten", "-o", "json"]))
    config["users"][0]["user"] = {"token": token.strip()}
    path = folder / f"{release}.kubeconfig"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path


def run(command: Sequence[str | Path], given: str = "") -> str:
    """Output of a command; its error output on failure."""
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, check=False, env=_environment()
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout
