"""`make dev`: the shop without Kubernetes. Runs the emulator with its stacks, every API, consumer and relay, and a gateway.

A change under services/ restarts the processes that import the file. Ctrl-C stops everything.
"""

import argparse
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import watchfiles

from shopdev import environment_file
from shopdev.checkout import ROOT, SERVICES
from shopdev.cloudformation import stacks
from shopdev.ports import free_port
from shopdev.processes import imports
from shopdev.processes.console import Console
from shopdev.processes.emulator import Emulator
from shopdev.processes.process import ProcessError
from shopdev.processes.shop import Shop, entries_of

EMULATOR_PORT = 4566
LOOK_EVERY_MS = 200


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="dev/shop", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8080,
        help="port of the shop; the services use the following ports (default: 8080)",
    )
    parser.add_argument("--no-reload", action="store_true", help="do not watch services/ for changes")
    return parser.parse_args()


def preferred(port: int) -> int:
    """The port if nobody listens there, or else a free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return free_port()
    return port


def watched() -> Iterator[set[watchfiles.main.FileChange]]:
    """The changes of services/ from now on; every 200 ms, also without any.

    What is changed while the shop starts is kept: some process may have read the file before.
    """
    changes = watchfiles.watch(
        ROOT / "services", rust_timeout=LOOK_EVERY_MS, yield_on_timeout=True, debounce=100, step=20
    )
    # The generator begins to watch when it is first asked.
    return chain([next(changes)], changes)


def keep_running(
    shop: Shop, console: Console, changes: Iterable[set[watchfiles.main.FileChange]], *, reload: bool
) -> None:
    """For ever: restart what imports a changed file, and say when a process ends by itself.

    Raises:
        ProcessError: when the emulator or the front door has ended.
    """
    reported: set[str] = set()
    imports.concerned(
        ROOT, entries_of(), set()
    )  # reads every source once, so that a change is looked up at once
    for change in changes:
        files = {Path(file).relative_to(ROOT) for _, file in change} if reload else set()
        names = imports.concerned(ROOT, entries_of(), files) if files else []
        if names:
            restart(shop, console, sorted(str(file) for file in files), names)
            reported -= set(names)
        for process in (shop.emulator.process, shop.edge.process):
            if not process.running:
                raise ProcessError(
                    f"{process.name} exited with code {process.returncode}; the shop does not work without it, "
                    f"and its data is lost. Run `make dev` again. Its last log lines:\n{process.tail}"
                )
        for name in shop.parts:
            if not shop.process(name).running and name not in reported:
                console.line(
                    name,
                    f"exited with code {shop.process(name).returncode}; the next change of its source restarts it",
                )
                reported.add(name)


def restart(shop: Shop, console: Console, files: list[str], names: list[str]) -> None:
    """Restart processes after a change; one that does not come up waits for the next change."""
    started = time.monotonic()
    console.say(f"{', '.join(files)} changed: restarting {', '.join(names)}")
    try:
        shop.restart(*names)
    except ProcessError as error:
        console.say(str(error))
    else:
        console.say(f"ready again after {time.monotonic() - started:.1f} s")


def write_sign_in(shop: Shop, file: Path) -> None:
    """Write where the API is and who signs in, for `dev/token`.

    Not into .dev/env: that is the demo's, which may run at the same time.
    """
    values = {"AWS_ENDPOINT_URL": shop.emulator.endpoint, "API_URL": shop.api_url}
    lines = {**values, **stacks.cognito(shop.outputs["identity"], shop.emulator.endpoint)}
    file.parent.mkdir(exist_ok=True)
    file.write_text(environment_file.text(lines), encoding="utf-8")


def welcome(shop: Shop, console: Console, file: Path, seconds: float) -> None:
    """Say what there is, and what to try."""
    token = f"dev/token alice --env-file {file.relative_to(ROOT)}"
    console.say(f"\nThe shop is ready after {seconds:.1f} s.")
    console.say(f"  shop      {shop.url}          e.g. curl {shop.url}/products?limit=3")
    console.say(f"  API       API_URL={shop.api_url}          the same through API Gateway")
    console.say(f'            curl -H "Authorization: Bearer $({token})" {shop.api_url}/orders')
    for service in SERVICES:
        url = f"http://127.0.0.1:{shop.parts[service].port}"
        console.say(f"  {service:<9} {url}          {url}/openapi.json")
    console.say(
        f"  AWS       {shop.emulator.endpoint}          AWS_ENDPOINT_URL={shop.emulator.endpoint} dev/aws status"
    )
    console.say(
        "A change under services/ restarts the processes that import the file. Ctrl-C stops everything.\n"
    )


def end_on_signals() -> None:
    """Let the first Ctrl-C or SIGTERM end the program, and the next ones not disturb it while it does."""

    def end(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def main() -> int:
    """Start, run until told to stop, and leave nothing behind."""
    chosen = arguments()
    console = Console()
    end_on_signals()
    started = time.monotonic()
    emulator = Emulator(console.line, port=preferred(EMULATOR_PORT))
    api_ports = {service: preferred(chosen.port + number) for number, service in enumerate(SERVICES, start=1)}
    shop = Shop(emulator, console.line, port=preferred(chosen.port), api_ports=api_ports)
    sign_in = ROOT / ".dev" / f"shop-{shop.edge.port}.env"
    console.say(
        f"Starting the emulator, {len(stacks.WITHOUT_FUNCTIONS)} stacks and ten processes (about 5 s)"
    )
    try:
        changes = watched()
        emulator.start()
        shop.start()
        write_sign_in(shop, sign_in)
        welcome(shop, console, sign_in, time.monotonic() - started)
        keep_running(shop, console, changes, reload=not chosen.no_reload)
    except KeyboardInterrupt:
        console.say("\nStopping all processes")
    except ProcessError as error:
        console.say(f"dev/shop: {error}")
        return 1
    finally:
        sign_in.unlink(missing_ok=True)
        shop.stop()
        emulator.stop()
    return 0
