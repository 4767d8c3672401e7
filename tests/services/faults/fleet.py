"""Two of every process of the shop, which can be ended, stopped for a while and started again, each by itself."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

import httpx

from shopprocs.process import Process, free_port
from shopprocs.shop import READY_WITHIN, ROOT, Part, Shop

REPLICAS = 2
MUTANTS = Path(__file__).with_name("mutants.py")


class Fleet:
    """The processes of a deployed shop.

    Args:
        shop: deployed, and not running.
        environment: over that of each process.
        mutant: the name of a defect that the workers are loaded with, see `mutants`; only what an order needs runs then,
            and one of each.
    """

    def __init__(self, shop: Shop, environment: Mapping[str, str], mutant: str | None = None) -> None:
        self.parts = {
            f"{name}-{number}": replace(part, port=free_port())
            for name, part in shop.parts.items()
            for number in range(1 if mutant else REPLICAS)
            if part.worker or part.service == "order" or not mutant
        }
        self.log: list[str] = []
        self._http = httpx.Client(timeout=2)
        self.stopped: set[str] = set()
        self.processes = {
            name: Process(
                name,
                _command(part, mutant),
                {**shop.env(part.service), **environment, "PORT": str(part.port)},
                lambda process, line: self.log.append(f"{process}: {line}"),
                ROOT,
            )
            for name, part in self.parts.items()
        }

    def __enter__(self) -> Self:
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.stopped):
            self.thaw(name)
        with ThreadPoolExecutor(len(self.processes)) as pool:
            list(pool.map(Process.stop, self.processes.values()))
        self._http.close()

    def apis(self, service: str) -> Sequence[str]:
        """The addresses of a service's APIs."""
        return [
            f"http://127.0.0.1:{part.port}"
            for part in self.parts.values()
            if part.service == service and part.worker is None
        ]

    def mend(self) -> None:
        """Every process runs, and is ready."""
        for name in list(self.stopped):
            self.thaw(name)
        for process in self.processes.values():
            process.start()
        for name, process in self.processes.items():
            process.wait_until(partial(self._ready, self.parts[name].port), READY_WITHIN)

    def kill(self, name: str) -> None:
        """Ends a process and its children at once, and starts it again."""
        self.thaw(name)
        self.processes[name].kill()
        self.processes[name].start()

    def terminate(self, name: str) -> None:
        """Ends a process as a rollout does, and starts it again."""
        self.thaw(name)
        self.processes[name].stop()
        self.processes[name].start()

    def freeze(self, name: str) -> None:
        """Stops a process and its children where they are."""
        self.stopped.add(name)
        self.processes[name].freeze()

    def thaw(self, name: str) -> None:
        """Lets a process that was frozen go on."""
        self.stopped.discard(name)
        self.processes[name].thaw()

    def told(self) -> Iterator[str]:
        """What the processes have printed of errors."""
        return (line for line in self.log if '"level":"error"' in line or "Traceback" in line)

    def _ready(self, port: int) -> bool:
        try:
            return self._http.get(f"http://127.0.0.1:{port}/readyz").is_success
        except httpx.TransportError:
            return False


def _command(part: Part, mutant: str | None) -> Sequence[str]:
    if mutant is None or part.worker is None:
        return part.command
    return [sys.executable, str(MUTANTS), mutant, f"services.{part.service}.{part.worker}"]
