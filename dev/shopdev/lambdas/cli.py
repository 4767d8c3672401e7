"""Package the AWS Lambda functions: `dev/functions build` writes .dev/functions/NAME.zip.

Exits with 1 and one line on standard error after an error.
"""

import argparse
from pathlib import Path

from shopdev.console import say_aside
from shopdev.lambdas import build
from shopdev.lambdas.built import BUILT
from shopdev.lambdas.packages import BuildFailed


def main() -> int:
    """Run the command and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="dev/functions", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("build", help="write the zips of changed functions")
    command.add_argument(
        "functions", nargs="*", metavar="NAME", help=f"one of {', '.join(build.FUNCTIONS)} (default: all)"
    )
    command.add_argument("--folder", type=Path, default=BUILT, help="output folder (default: .dev/functions)")
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.functions) - build.FUNCTIONS.keys()):
        say_aside(
            f"dev/functions: unknown function {', '.join(unknown)}; known functions: {', '.join(build.FUNCTIONS)}"
        )
        return 1
    try:
        build.build(say_aside, chosen.folder, chosen.functions or tuple(build.FUNCTIONS))
    except BuildFailed as failure:
        say_aside(f"dev/functions: {failure}")
        return 1
    return 0
