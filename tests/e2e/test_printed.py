"""Every line that `make demo` prints runs as it is printed, but for the one that removes everything."""

import os

import pytest

from shopdev.demo import steps
from shopdev.demo import target as targets
from tests.printed import typed

NOT_RUN = {"Keep running", "Sign in as", "Open the shop"}
"""Lines that contain no command, or one that does not end."""

pytestmark = pytest.mark.usefixtures("shop")


def test_given_the_output_of_the_demo_when_each_printed_command_runs_then_it_succeeds(
    target: targets.Target, capsys: pytest.CaptureFixture[str]
) -> None:
    steps.show(target)
    lines = [line.partition(": ") for line in capsys.readouterr().out.splitlines()]
    printed = {name: command.strip() for name, colon, command in lines if colon and name not in NOT_RUN}
    assert target.way_off() in printed.values()
    commands = {name: command for name, command in printed.items() if command != target.way_off()}
    assert len(commands) >= 7

    for name, command in commands.items():
        done = typed(command, os.environ, 120)
        assert done.returncode == 0, f"{name}: {command}\n{done.stderr}"
        if name == "The shop":
            assert '"sku"' in done.stdout, done.stdout
