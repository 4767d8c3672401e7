"""The AWS emulator as a process, and typed clients for it."""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import httpx

from shopdev.aws_environment import REGION, client_environment
from shopdev.checkout import ROOT
from shopdev.clients import Clients
from shopdev.cloudformation import deploy, stacks
from shopdev.cloudformation.account import Account, outputs_of
from shopdev.ports import free_port
from shopdev.processes.process import Process, Sink

READY_WITHIN = 30.0


class AwsServer:
    """An implementation of AWS as a process on loopback. It stores nothing: each start is an empty AWS account.

    Args:
        name: name of the process in the log.
        port: port on which it listens.
        health: path that responds when it is ready.
    """

    process: Process

    def __init__(self, name: str, port: int, health: str) -> None:
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        self._health = health
        self._home = tempfile.TemporaryDirectory(prefix=f"shop-{name}-", ignore_cleanup_errors=True)

    @cached_property
    def clients(self) -> Clients:
        """boto3 clients for it."""
        return Clients(self.endpoint)

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of a process that uses it."""
        return client_environment(self.endpoint)

    def start(self) -> None:
        """Start it and wait until it responds.

        Raises:
            ProcessError: when it does not become ready.
        """
        self.process.start()
        self.process.wait_until(self._answers, READY_WITHIN)

    def stop(self) -> None:
        """Stop it; its data is lost."""
        self.process.stop(grace=5.0)
        self._home.cleanup()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.endpoint}{self._health}", timeout=1).is_success
        except httpx.TransportError:
            return False


class Emulator(AwsServer):
    """The AWS emulator.

    Args:
        sink: receives its output.
        port: port on which it listens; by default, a free one.
        wait_scale: factor for the waits and retry intervals of state machines; tests make them short.
        environment: further settings, e.g. `AUTH=true` to enforce IAM policies.
    """

    def __init__(
        self,
        sink: Sink,
        port: int | None = None,
        wait_scale: float = 1.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__("aws", port or free_port(), "/_ministack/health")
        settings = {**self._environment(wait_scale), **(environment or {})}
        self.process = Process("aws", [str(_program())], settings, sink, Path(self._home.name))

    def deploy(
        self, prefix: str, values: Mapping[str, str], chosen: Sequence[str] = stacks.WITHOUT_FUNCTIONS
    ) -> stacks.Outputs:
        """Create or update stacks and return their outputs: stack -> output -> value.

        Args:
            prefix: first part of every name.
            values: parameters that override manifests/aws/parameters/local.json. Each stack gets those that it declares; a stack
                that waits for a parameter is skipped.
            chosen: names of the stacks.

        Raises:
            CommandError: when CloudFormation refuses a stack, or the code of a function is missing.
        """
        given = {**stacks.chosen_for("local"), **values}
        complete = [stack for stack in chosen if stack not in stacks.waiting(given)]
        deploy.deploy(self._account, prefix, given, lambda _line: None, complete)
        found = self._account.describe(prefix)
        return {stack: outputs_of(found[stack]) for stack in complete}

    @cached_property
    def _account(self) -> Account:
        return Account(self.clients.session, self.endpoint)

    def _environment(self, wait_scale: float) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": self._home.name,
            "TMPDIR": self._home.name,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "EDGE_PORT": str(self.port),
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "IOT_MTLS_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
            "SFN_WAIT_SCALE": str(wait_scale),
            **{name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ},
        }


def _program() -> Path:
    folder = ROOT / ".venv-local-aws"
    return folder / "Scripts" / "ministack.exe" if sys.platform == "win32" else folder / "bin" / "ministack"
