"""Check whether this machine meets the requirements of `make dev`, `make demo`, `make test` and `make bench`.

The exit code is 1 if a command of those checked would fail.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from shopdev.console import bold, say
from shopdev.doctor import checks, machine
from shopdev.doctor.checks import Finding, Level

COMMANDS = ("dev", "demo", "test", "bench")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the findings for each command, and return the exit code."""
    parser = argparse.ArgumentParser(prog="dev/doctor", description=__doc__)
    parser.add_argument(
        "commands", nargs="*", help=f"the commands to check: {', '.join(COMMANDS)} (default: all)"
    )
    chosen = parser.parse_args(argv).commands or COMMANDS
    if unknown := [each for each in chosen if each not in COMMANDS]:
        parser.error(f"unknown command {unknown[0]!r}; known commands: {', '.join(COMMANDS)}")
    cluster = os.environ.get("CLUSTER") or "local"
    if cluster not in {"local", "current"}:
        parser.error(f"CLUSTER={cluster}: must be `local` (the default) or `current`")
    needed = checks.requirements(cluster)
    ports = {port for each in needed.values() for port in each.ports}
    programs = {program for each in needed.values() for program in each.programs}
    here = machine.read(ports, programs)
    failed = [name for name in chosen if not report(name, checks.findings(here, needed[name]))]
    if failed:
        sys.stderr.write(f"doctor: {', '.join(f'make {name}' for name in failed)} would fail; see above\n")
        return 1
    say("doctor: this machine meets the requirements")
    return 0


def report(name: str, findings: Sequence[Finding]) -> bool:
    """Print the findings for a command, and return whether it can succeed."""
    say(bold(f"make {name}"))
    for finding in findings:
        say(f"  {finding.level.value:<8} {finding.text}")
        if finding.fix:
            say(f"           {finding.fix}")
    return all(finding.level is not Level.ERROR for finding in findings)
