"""The command line of `make demo`, `make clean-demo` and `make images`."""

import argparse
import os
import shutil
import sys

from shopdev.console import CommandError
from shopdev.demo import removal, target
from shopdev.demo.images import write_references

DESCRIPTION = "Run the shop on Kubernetes."
VARIABLES = (
    "Set CLUSTER (local or current), REGISTRY, AWS (emulator or account), GATEWAY_CLASS and SHOP_URL to select the target. Set "
    "OBSERVE=1 to install Jaeger and Prometheus on the local node too."
)


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code."""
    parser = argparse.ArgumentParser(prog="dev/demo", description=DESCRIPTION, epilog=VARIABLES)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="install the shop, place an order and show the result")
    commands.add_parser("install", help="install the shop")
    commands.add_parser("order", help="place an order and show its progress")
    commands.add_parser("images", help="build the images, and load or push them")
    commands.add_parser("down", help="remove everything")
    command = parser.parse_args(argv).command
    try:
        where = target.choose(os.environ)
        if command == "images":
            write_references(where.deliver_images(), target.STATE / "images.json")
        elif command == "down":
            removal.remove(where)
            shutil.rmtree(target.STATE, ignore_errors=True)
        else:
            _go(command, where)
    except CommandError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(
            "demo: interrupted; run `make demo` to continue, or `make clean-demo` to remove everything\n"
        )
        return 130
    return 0


def _go(command: str, where: target.Target) -> None:
    from shopdev.demo import steps  # noqa: PLC0415  it needs packages, and `down` works without any
    from shopdev.demo.observing import Backends  # noqa: PLC0415  likewise

    backends = Backends() if os.environ.get("OBSERVE") == "1" else None
    if command in {"up", "install"}:
        steps.install(where, backends)
    if command in {"up", "order"}:
        placed = steps.order(where)
        if command == "up" and backends:
            backends.show(placed)
    if command == "up":
        steps.show(where)
