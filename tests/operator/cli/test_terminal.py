"""Output for terminals only: colors and a table that is redrawn, in at most a hundred columns."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from typing import Final

import pytest

from tests.operator.cli.conftest import Program
from tests.operator.cli.objects import owned, shopservice
from tests.operator.cli.server import Server

pytestmark = pytest.mark.slow

COMMAND: Final = [sys.executable, "-c", "from shop_operator.cli.commands import main; main()"]
ESCAPE: Final = "\x1b["
_CODE: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLUMNS: Final = 200


class Terminal:
    """A terminal on which the program runs.

    Args:
        program: it.
        arguments: of the command line.
        extra: of its environment.
    """

    def __init__(self, program: Program, *arguments: str, **extra: str) -> None:
        self._side, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            [*COMMAND, *arguments],
            env={**program.environment, **extra},
            stdin=subprocess.DEVNULL,
            stdout=inner,
            stderr=inner,
        )
        os.close(inner)

    def until(self, enough: Callable[[str], bool] = lambda _: False) -> str:
        """Output until the condition holds or the program ends."""
        seen = ""
        while not enough(seen):
            try:
                more = os.read(self._side, 4096)
            except OSError:
                break
            if not more:
                break
            seen += more.decode(errors="ignore")
        return seen

    def interrupt(self) -> int:
        """Ctrl-C; its exit code."""
        self._process.send_signal(signal.SIGINT)
        self.until()
        return self.ended()

    def ended(self) -> int:
        """Its exit code."""
        code = self._process.wait(timeout=20)
        os.close(self._side)
        return code


def on_terminal(program: Program, *arguments: str, **extra: str) -> str:
    terminal = Terminal(program, *arguments, **extra)
    shown = terminal.until()
    terminal.ended()
    return shown


def in_pipe(program: Program, *arguments: str, **extra: str) -> str:
    return subprocess.run(
        [*COMMAND, *arguments],
        env={**program.environment, **extra},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    ).stdout


@pytest.fixture
def shown(server: Server) -> None:
    late = shopservice(reason="RollingOut", message=" ".join(["0 of 2 pods are available."] * 20))
    server.objects += [late, owned("Service", "web")]


def test_given_a_terminal_when_a_command_prints_then_it_has_colors_unless_they_are_disabled(
    shown: None, program: Program
) -> None:
    assert ESCAPE in on_terminal(program, "tree", "web")

    assert ESCAPE not in on_terminal(program, "tree", "web", NO_COLOR="1")
    assert ESCAPE not in on_terminal(program, "status", NO_COLOR="1")
    assert ESCAPE not in on_terminal(program, "--no-color", "tree", "web")
    assert ESCAPE not in in_pipe(program, "tree", "web")
    assert ESCAPE not in in_pipe(program, "tree", "web", "--color")
    assert ESCAPE not in in_pipe(program, "tree", "web", FORCE_COLOR="1")


def test_given_a_terminal_when_a_command_prints_yaml_then_it_has_no_colors(
    shown: None, program: Program
) -> None:
    assert ESCAPE not in on_terminal(program, "explain", "web", "-o", "yaml")


@pytest.mark.parametrize("command", [["tree", "web"], ["explain", "web"]], ids=" ".join)
def test_given_a_long_message_when_it_is_printed_then_only_a_terminal_wraps_it(
    shown: None, program: Program, command: list[str]
) -> None:
    message = " ".join(["0 of 2 pods are available."] * 20)

    assert message in in_pipe(program, *command)
    assert message not in _CODE.sub("", on_terminal(program, *command)).replace("\r\n", "\n")


def test_given_a_long_image_when_status_runs_then_a_terminal_truncates_it_and_a_pipe_does_not(
    server: Server, program: Program
) -> None:
    image = f"registry.example.com/{'i' * 150}:1"
    server.objects.append(shopservice(image=image))

    assert f"  {image}\n" in in_pipe(program, "status")
    lines = _CODE.sub("", on_terminal(program, "status")).splitlines()
    assert lines[0].split()[-1] == "IMAGE"
    assert "…" in lines[1]
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("command", [["tree", "web"], ["status"]], ids=" ".join)
def test_given_a_wide_terminal_when_a_command_prints_then_lines_stay_within_100_columns(
    shown: None, program: Program, command: list[str]
) -> None:
    lines = _CODE.sub("", on_terminal(program, *command)).splitlines()

    assert lines
    assert max(map(len, lines)) <= 100


def test_given_a_terminal_when_status_watches_then_it_draws_a_table_until_it_is_interrupted(
    server: Server, program: Program
) -> None:
    server.objects.append(shopservice())
    server.over.clear()
    terminal = Terminal(program, "status", "-w")

    drawn = terminal.until(lambda seen: "web:2" in seen)

    assert "READY" in drawn
    assert terminal.interrupt() == 0


def test_given_control_characters_in_a_status_when_status_watches_then_its_table_escapes_them(
    server: Server, program: Program
) -> None:
    # Given an image and a reason that would set the title of the terminal and reorder what it shows.
    hostile = shopservice()
    hostile["status"]["image"] = "a\x1b]0;PWNED\x07\x9bm\u202eb"
    for each in hostile["status"]["conditions"]:
        each["reason"] = "R\x1b]0;PWNED\x07\u2066"
    server.objects.append(hostile)
    server.over.clear()

    # When they are watched on a terminal.
    terminal = Terminal(program, "status", "-w")
    drawn = terminal.until(lambda seen: r"\x1b]0;PWNED" in seen)

    # Then nothing but the program's own colors and cursor movements is an escape.
    assert terminal.interrupt() == 0
    assert r"\x1b]0;PWNED" in drawn
    assert "\x1b" not in _CODE.sub("", drawn)
    assert not any(each in drawn for each in "\x07\x9b\u202e\u2066")
