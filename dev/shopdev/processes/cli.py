"""`make dev`: the shop without Kubernetes. Runs the emulator with its stacks, every API, consumer and relay, a gateway, and the pages.

A change under services/ restarts the processes that use the file. Ctrl-C stops everything.
"""

import argparse
import signal
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import watchfiles

from shopdev import environment_file, identity
from shopdev.aws_environment import EMULATOR_PORT
from shopdev.checkout import ROOT, SERVICES
from shopdev.cloudformation import stacks
from shopdev.console import CommandError
from shopdev.ports import preferred_port
from shopdev.processes import imports
from shopdev.processes.emulator import Emulator
from shopdev.processes.log import Log
from shopdev.processes.process import ProcessError
from shopdev.processes.shop import WITH_FAULTS, Shop, entries_of

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


def watched() -> Iterator[set[watchfiles.main.FileChange]]:
    """Yield the changes in services/ from now on, every 200 ms, even if there are none.

    Changes during the start of the shop are included, because a process may have read the file before.
    """
    changes = watchfiles.watch(
        ROOT / "services", rust_timeout=LOOK_EVERY_MS, yield_on_timeout=True, debounce=100, step=20
    )
    # The generator begins to watch on the first `next`.
    return chain([next(changes)], changes)


def keep_running(
    shop: Shop, log: Log, changes: Iterable[set[watchfiles.main.FileChange]], *, reload: bool
) -> None:
    """Restart the processes that use a changed file, and report processes that end, until interrupted.

    Raises:
        ProcessError: when the emulator or the gateway ends.
    """
    reported: set[str] = set()
    imports.affected(
        ROOT, entries_of(), set()
    )  # parses every source once, so that a change is handled quickly
    for change in changes:
        files = {Path(file).relative_to(ROOT) for _, file in change} if reload else set()
        names = imports.affected(ROOT, entries_of(), files) if files else []
        if names:
            restart(shop, log, sorted(str(file) for file in files), names)
            reported -= set(names)
        for process in (shop.emulator.process, shop.edge.process):
            if not process.running:
                raise ProcessError(
                    f"{process.name} exited with code {process.returncode}; the shop does not work without it, "
                    f"and its data is lost. Run `make dev` again. Last log lines:\n{process.tail}"
                )
        for name in shop.programs:
            if not shop.process(name).running and name not in reported:
                log.line(
                    name,
                    f"exited with code {shop.process(name).returncode}; the next change of its source restarts it",
                )
                reported.add(name)


def restart(shop: Shop, log: Log, files: list[str], names: list[str]) -> None:
    """Restart processes after a change. A process that does not become ready waits for the next change."""
    started = time.monotonic()
    log.say(f"{', '.join(files)} changed: restarting {', '.join(names)}")
    try:
        shop.restart(*names)
    except ProcessError as error:
        log.say(str(error))
    else:
        log.say(f"ready again after {time.monotonic() - started:.1f} s")


def write_sign_in(shop: Shop, file: Path) -> None:
    """Write the addresses of the API and of the sign-in, for `dev/token`.

    .dev/env belongs to the demo, which may run at the same time.
    """
    values = {"AWS_ENDPOINT_URL": shop.emulator.endpoint, "API_URL": shop.api_url}
    lines = {**values, **stacks.cognito(shop.outputs["identity"], shop.emulator.endpoint)}
    file.parent.mkdir(exist_ok=True)
    file.write_text(environment_file.text(lines), encoding="utf-8")


def welcome(shop: Shop, log: Log, file: Path, seconds: float) -> None:
    """Print the addresses, and commands to try."""
    token = f"dev/token alice --env-file {file.relative_to(ROOT)}"
    log.say(f"\nThe shop is ready after {seconds:.1f} s.")
    log.say(f"  shop      {shop.url}          e.g. curl {shop.url}/products?limit=3")
    log.say(f"  API       API_URL={shop.api_url}          the same through API Gateway")
    log.say(f'            curl -H "Authorization: Bearer $({token})" {shop.api_url}/orders')
    for service in SERVICES:
        url = f"http://127.0.0.1:{shop.programs[service].port}"
        log.say(f"  {service:<9} {url}          {url}/openapi.json")
    log.say(
        f"  AWS       {shop.emulator.endpoint}          AWS_ENDPOINT_URL={shop.emulator.endpoint} dev/aws status"
    )
    log.say(f"  faults    {shop.pages_url}/faults          break the shop, and watch it heal")
    log.say("  load      make load, in another terminal")
    log.say("A change under services/ restarts the processes that use the file. Ctrl-C stops everything.")
    log.say(f"\nOpen the storefront in a browser: {shop.pages_url}")
    log.say(f"Sign in as alice or bob (customers) or ops (staff) with the password {identity.PASSWORD}\n")


def end_on_signals() -> None:
    """End the program on the first Ctrl-C or SIGTERM, and ignore further ones while it ends."""

    def end(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def main() -> int:
    """Run the shop until it is interrupted, then remove everything."""
    chosen = arguments()
    log = Log()
    end_on_signals()
    started = time.monotonic()
    emulator = Emulator(log.line, port=preferred_port(EMULATOR_PORT))
    api_ports = {
        service: preferred_port(chosen.port + number) for number, service in enumerate(SERVICES, start=1)
    }
    shop = Shop(
        emulator, log.line, port=preferred_port(chosen.port), api_ports=api_ports, stack_names=WITH_FAULTS
    )
    shop.add_pages(preferred_port(chosen.port + len(SERVICES) + 1))
    sign_in = ROOT / ".dev" / f"shop-{shop.edge.port}.env"
    log.say(f"Starting the emulator, {len(shop.stack_names)} stacks and eleven processes (about 5 s)…")
    try:
        changes = watched()
        emulator.start()
        shop.start()
        write_sign_in(shop, sign_in)
        welcome(shop, log, sign_in, time.monotonic() - started)
        keep_running(shop, log, changes, reload=not chosen.no_reload)
    except KeyboardInterrupt:
        log.say("\nStopping all processes…")
    except CommandError as error:
        log.say(f"dev/shop: {error}")
        return 1
    finally:
        sign_in.unlink(missing_ok=True)
        shop.stop()
        emulator.stop()
    return 0
