"""Fake programs: scripts that record their command line and print a configured answer."""

import json
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Without the site module, which takes longer than all of the rest: one installation is more than fifty commands.
PROGRAM = """#!{python} -IS
import json, re, sys
folder = {folder!r}
command = " ".join([{name!r}, *sys.argv[1:]])
stdin = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
with open(folder + "/calls", "a") as calls:
    calls.write(json.dumps([command, stdin]) + "\\n")
with open(folder + "/answers") as file:
    answers = json.load(file)
for pattern, answer, code in answers:
    if re.search(pattern, command):
        print(answer, file=sys.stderr if code else sys.stdout)
        sys.exit(code)
"""


@dataclass
class Machine:
    """A machine with fake programs.

    Args:
        folder: folder of the programs and of their record.
        answers: pattern of a command -> its output and exit code; the first match counts.
    """

    folder: Path
    answers: list[tuple[str, str, int]] = field(default_factory=list)

    def answer(self, pattern: str, text: str, code: int = 0) -> None:
        """Configure the output of a command; later calls override earlier ones."""
        self.answers.insert(0, (pattern, text, code))
        (self.folder / "answers").write_text(json.dumps(self.answers))

    def program(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        name = f"dev/{path.name}" if path.parent.name == "dev" else path.name
        path.write_text(PROGRAM.format(python=sys.executable, folder=str(self.folder), name=name))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def calls(self) -> list[tuple[str, str]]:
        """The command lines with their standard input, in order."""
        lines = (self.folder / "calls").read_text().splitlines()
        return [(command, stdin) for command, stdin in map(json.loads, lines)]

    def commands(self) -> list[str]:
        return [command for command, _ in self.calls()]

    def applied(self, kind: str) -> list[dict[str, Any]]:
        """The objects of a kind that kubectl received."""
        given = [stdin for command, stdin in self.calls() if command.startswith("kubectl apply")]
        found = [json.loads(stdin) for stdin in given if stdin.startswith("{")]
        return [each for each in found if each["kind"] == kind]
