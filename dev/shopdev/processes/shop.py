"""The shop as processes: the API and the workers of each service, the pages, the emulator and the gateway."""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from shopdev import identity
from shopdev.checkout import ROOT, SERVICES, STOREFRONT
from shopdev.clients import Clients
from shopdev.cloudformation import stacks
from shopdev.ports import free_port
from shopdev.processes.edge import Edge
from shopdev.processes.emulator import Emulator
from shopdev.processes.process import Process, ProcessError, Sink

READY_WITHIN = 60.0
# The stacks of a shop with the fault switchboard.
WITH_FAULTS = (*stacks.WITHOUT_FUNCTIONS, stacks.FAULTS)
# The modules that the web server of an API imports for its configuration.
WEB_SERVER = ("services.common.http.gunicorn", "services.common.http.gunicorn_worker")
WORKERS: Mapping[str, Sequence[str]] = {
    "product": ("consumer",),
    "order": ("consumer", "relay"),
    "payment": ("consumer",),
    "shipping": ("consumer",),
}


@dataclass(frozen=True)
class Program:
    """One process of a service: its API, or one of its workers.

    Args:
        service: name of the service.
        worker: name of the worker; None for the API.
        port: port of /healthz on loopback.
    """

    service: str
    worker: str | None
    port: int

    @property
    def name(self) -> str:
        """The name of its Deployment in a cluster: `order` for an API, `order-relay` for a worker."""
        return f"{self.service}-{self.worker}" if self.worker else self.service

    @property
    def command(self) -> list[str]:
        """The command of the container, with this interpreter."""
        if self.worker:
            return [sys.executable, "-m", f"services.{self.service}.{self.worker}"]
        configuration = ["--config", "python:services.common.http.gunicorn"]
        return [sys.executable, "-m", "gunicorn", *configuration, f"services.{self.service}.app:create_app()"]


class Shop:
    """All processes of one shop.

    Args:
        emulator: a running emulator; the stacks are deployed to it.
        sink: receives the name of a process and each line of its output.
        prefix: prefix of the names of all AWS resources.
        port: port of the gateway; by default, a free one.
        api_ports: service -> port of its API; by default, free ones.
        environment: additional environment of every process of the services.
        parameters: parameters of the stacks.
        stack_names: stacks to deploy. Those with functions need the code that `make functions` builds.
    """

    def __init__(
        self,
        emulator: Emulator,
        sink: Sink,
        *,
        prefix: str = "shop",
        port: int | None = None,
        api_ports: Mapping[str, int] | None = None,
        environment: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
        stack_names: Sequence[str] = stacks.WITHOUT_FUNCTIONS,
    ) -> None:
        self.emulator = emulator
        self.prefix = prefix
        self._sink = sink
        self._folder = tempfile.TemporaryDirectory(prefix="shop-", ignore_cleanup_errors=True)
        self._environment = dict(environment or {})
        self._parameters = {**(parameters or {})}
        self.stack_names = tuple(stack_names)
        self._session_key = secrets.token_urlsafe(32)
        ports = api_ports or {service: free_port() for service in SERVICES}
        self.programs = {program.name: program for program in _programs(ports)}
        self.pages_url = ""
        """The URL of the pages; empty for a shop without pages."""
        self.edge = Edge(sink, port or free_port(), ports, Path(self._folder.name))
        self.outputs: stacks.Outputs = {}
        self.credentials: dict[str, Mapping[str, str]] = {}
        """Service -> AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for services with credentials of their own."""
        self._processes: dict[str, Process] = {}

    def add_pages(self, port: int) -> None:
        """Run the storefront as well. To be called before the start.

        Args:
            port: its port.
        """
        self.pages_url = f"http://127.0.0.1:{port}"
        self.programs[STOREFRONT] = Program(STOREFRONT, None, port)

    @property
    def url(self) -> str:
        """The URL of the gateway."""
        return self.edge.url

    @property
    def api_url(self) -> str:
        """The URL of the API Gateway in front of the gateway."""
        return stacks.api_urls(self.outputs["api"], self.emulator.endpoint)[0]

    @property
    def machine_api_url(self) -> str:
        """The URL of the API Gateway for machines, which sign their requests."""
        return stacks.api_urls(self.outputs["api"], self.emulator.endpoint)[1]

    def token(self, user: str = "alice", scopes: Sequence[str] = identity.CUSTOMER_SCOPES) -> str:
        """An access token of one of the users: alice, bob or ops."""
        return identity.token(self.outputs["identity"], self.emulator.endpoint, user=user, scopes=scopes)

    @property
    def clients(self) -> Clients:
        """boto3 clients of the emulator."""
        return self.emulator.clients

    def env(self, service: str) -> dict[str, str]:
        """The environment of a service's processes, without PORT."""
        if service == STOREFRONT:
            return {**self._base(), **self._of_pages(), **self._environment}
        return {
            **self._base(),
            # A consumer ends after its current poll.
            "POLL_SECONDS": "1",
            # One customer sends all requests.
            "CALLER_RATE": "10000",
            "CALLER_BURST": "10000",
            **self.emulator.env,
            **stacks.environment(service, self.outputs, self.emulator.endpoint),
            **self._neighbours(service),
            **self.credentials.get(service, {}),
            **self._environment,
        }

    def _base(self) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TMPDIR") if name in os.environ},
            "HOME": self._folder.name,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "LISTEN_HOST": "127.0.0.1",
            "LOG_LEVEL": "INFO",
        }

    def _of_pages(self) -> dict[str, str]:
        """The settings of the storefront, which knows the API, the user pool, and the fault switchboard only."""
        endpoint = self.emulator.endpoint
        order = f"http://127.0.0.1:{self.programs['order'].port}"
        return {
            **({"FAULTS_URL": order} if stacks.FAULTS in self.stack_names else {}),
            **stacks.pages(self.outputs, endpoint, endpoint),
            "API_URL": self.url,
            "SESSION_KEYS": self._session_key,
        }

    def _neighbours(self, service: str) -> dict[str, str]:
        """The URLs of other services, and the URL that machines sign; a chart sets them from the names of Services."""
        if service == "order":
            return {
                f"{other.upper()}_URL": f"http://127.0.0.1:{self.programs[other].port}"
                for other in ("payment", "shipping")
            }
        return stacks.machines(service, self.outputs, self.emulator.endpoint)

    def start(self) -> None:
        """Deploy the stacks, write the catalogue, start every process and wait until all are ready.

        Raises:
            CommandError: when a stack is not created.
            ProcessError: names the process that did not become ready, with its last output.
        """
        self.deploy()
        self.run()

    def deploy(self) -> None:
        """Deploy the stacks and create the users.

        Raises:
            CommandError: when a stack is not created.
        """
        values = {"StorefrontUrl": self.pages_url, **self._parameters, "BackendUrl": self.url}
        self.outputs = self.emulator.deploy(self.prefix, values, self.stack_names)
        identity.seed(self.clients, self.outputs["identity"])

    def run(self) -> None:
        """Start every process after the stacks were deployed, and wait until all are ready.

        Raises:
            ProcessError: names the process that did not become ready, with its last output.
        """
        self._processes = {
            name: Process(
                name,
                program.command,
                {**self.env(program.service), "PORT": str(program.port)},
                self._sink,
                ROOT,
            )
            for name, program in self.programs.items()
        }
        for process in self._processes.values():
            process.start()
        self.edge.start()
        self.seed()
        for name in self._processes:
            self.wait_ready(name)
        # Its API reads changes of the catalog every second.
        listed = f"http://127.0.0.1:{self.programs['product'].port}/products?limit=1"
        self._processes["product"].wait_until(lambda: _answers(listed, '"sku"'), READY_WITHIN)

    def seed(self) -> None:
        """Write the example catalogue, as the Job of the chart does.

        Raises:
            ProcessError: with its output.
        """
        done = subprocess.run(
            [sys.executable, "-m", "services.product.seed"],
            env=self.env("product"),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ProcessError(f"seed exited with code {done.returncode}:\n{done.stdout}{done.stderr}")

    def stop(self) -> None:
        """Stop every process except the emulator."""
        everything = [*self._processes.values(), self.edge.process]
        with ThreadPoolExecutor(len(everything)) as pool:
            list(pool.map(Process.stop, everything))
        self._folder.cleanup()

    def process(self, name: str) -> Process:
        """The process with a name, e.g. `payment-consumer`."""
        return self._processes[name]

    def restart(self, *names: str) -> None:
        """Restart processes as a rollout does (SIGTERM) and wait until they are ready.

        Raises:
            ProcessError: names the first that did not become ready.
        """
        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(lambda name: self._processes[name].stop(), names))
        for name in names:
            self._processes[name].start()
        for name in names:
            self.wait_ready(name)

    def kill(self, name: str) -> None:
        """Kill a process, as a power failure does (SIGKILL)."""
        self._processes[name].kill()

    def wait_ready(self, name: str, deadline: float = READY_WITHIN) -> None:
        """Wait until a process is ready.

        Raises:
            ProcessError: when it ends or is not ready in time.
        """
        url = f"http://127.0.0.1:{self.programs[name].port}/readyz"
        self._processes[name].wait_until(lambda: _answers(url), deadline)


def entries_of() -> dict[str, tuple[tuple[str, ...], bool]]:
    """Name of each process -> its entry modules, and whether it builds an API; see `imports`."""
    programs = (*_programs(dict.fromkeys(SERVICES, 0)), Program(STOREFRONT, None, 0))
    return {
        program.name: ((f"services.{program.service}.{program.worker}",), False)
        if program.worker
        else ((f"services.{program.service}.app", *WEB_SERVER), True)
        for program in programs
    }


def _programs(ports: Mapping[str, int]) -> Iterator[Program]:
    for service, port in ports.items():
        yield Program(service, None, port)
        for worker in WORKERS[service]:
            yield Program(service, worker, free_port())


def _answers(url: str, content: str = "") -> bool:
    try:
        response = httpx.get(url, timeout=2)
    except httpx.TransportError:
        return False
    return response.is_success and content in response.text


@contextmanager
def with_pages(sink: Sink, *, faults: bool = False) -> Iterator[Shop]:
    """A running shop with its pages, and an emulator of its own that waits as long as AWS does. Both end with the context.

    Args:
        sink: gets the output of its processes.
        faults: whether to have the fault switchboard.
    """
    emulator = Emulator(sink)
    emulator.start()
    shop = Shop(emulator, sink, stack_names=WITH_FAULTS if faults else stacks.WITHOUT_FUNCTIONS)
    shop.add_pages(free_port())
    try:
        shop.start()
        yield shop
    finally:
        shop.stop()
        emulator.stop()
