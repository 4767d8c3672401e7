"""A separate API server for every test that requests it, and the program configured for it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shop_operator.cli.commands import shop
from tests.operator.cli.server import Server, serving


@dataclass
class Program:
    """`kubectl shop`, with its kubeconfig."""

    kubeconfig: Path

    def __call__(self, *arguments: str, given: str = "") -> Result:
        """Output and exit code of the program; it runs in this process, so not on a terminal."""
        return CliRunner().invoke(shop, ["--kubeconfig", str(self.kubeconfig), *arguments], input=given)

    @property
    def environment(self) -> dict[str, str]:
        """For a process of its own."""
        path = f"{Path(__file__).parents[3] / 'operator'}"
        plain = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "FORCE_COLOR"}}
        return {**plain, "PYTHONPATH": path, "KUBECONFIG": str(self.kubeconfig), "TERM": "xterm-256color"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = Server()
    with serving(found, tmp_path / "kubeconfig"):
        yield found


@pytest.fixture
def program(server: Server, tmp_path: Path) -> Program:
    return Program(tmp_path / "kubeconfig")
