"""Runs a command in a terminal and writes its output as an SVG document that plays it.

The output appears as usual. Exits with the exit code of the command, and writes nothing if it fails.
"""

import argparse
import os
import pty
import shlex
import sys
import time
from pathlib import Path
from typing import Final

from shopdev.console import say
from shopdev.recording import drawing

_LARGEST_READ: Final = 65536


def main(argv: list[str] | None = None) -> int:
    """Record the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="dev/record", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("file", type=Path, help="the SVG file to write")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command, with its arguments")
    chosen = parser.parse_args(argv)
    if not chosen.command:
        parser.error("the command is missing; for example: dev/record demo.svg make demo")
    began = time.monotonic()
    printed: list[drawing.Line] = []
    unfinished = bytearray()

    def read(terminal: int) -> bytes:
        received = os.read(terminal, _LARGEST_READ)
        unfinished.extend(received)
        while (end := unfinished.find(b"\n")) >= 0:
            line = bytes(unfinished[:end]).decode(errors="replace").rstrip("\r")
            printed.append(drawing.Line(time.monotonic() - began, line))
            del unfinished[: end + 1]
        return received

    code = os.waitstatus_to_exitcode(pty.spawn(chosen.command, read))
    if code == 0:
        chosen.file.write_text(drawing.document(shlex.join(chosen.command), printed))
        say(f"wrote {chosen.file}: {len(printed)} lines")
    else:
        sys.stderr.write(f"dev/record: the command exited with {code}; {chosen.file} is unchanged\n")
    return code
