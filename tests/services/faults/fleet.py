"""Two instances of every process of the shop, each of which can be killed, paused and restarted."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import httpx

from shopdev.checkout import ROOT
from shopdev.ports import free_port
from shopdev.processes.process import Process
from shopdev.processes.shop import READY_WITHIN, Program, Shop

REPLICAS = 2
MUTANTS = Path(__file__).with_name("mutants.py")


class Fleet:
    """The processes of a deployed shop.

    Args:
        shop: deployed, and not running.
        environment: over that of each process.
        functions: name of each function that runs too, see `functions` -> its environment.
        mutant: the name of a defect that the workers are loaded with, see `mutants`; only what an order needs runs then,
            and one of each.
    """

    def __init__(
        self,
        shop: Shop,
        environment: Mapping[str, str],
        functions: Mapping[str, Mapping[str, str]],
        mutant: str | None = None,
    ) -> None:
        replicas = 1 if mutant else REPLICAS
        self.programs = {
            f"{name}-{number}": replace(program, port=free_port())
            for name, program in shop.programs.items()
            for number in range(replicas)
            if program.worker or program.service == "order" or not mutant
        }
        self.log: list[str] = []
        self._http = httpx.Client(timeout=2)
        self.stopped: set[str] = set()
        self.processes = {
            name: self._process(
                name,
                _command(program, mutant),
                {**shop.env(program.service), **environment, "PORT": str(program.port)},
            )
            for name, program in self.programs.items()
        }
        self._ports = {name: program.port for name, program in self.programs.items()}
        self._folder = TemporaryDirectory(prefix="functions-", ignore_cleanup_errors=True)
        for function, number in product(functions, range(replicas)):
            name, port = f"{function}-{number}", free_port()
            own = {"PORT": str(port), "CHECKPOINT": f"{self._folder.name}/{name}"}
            self._ports[name] = port
            self.processes[name] = self._process(
                name,
                loaded(mutant, "tests.services.faults.functions", function),
                {**functions[function], **environment, **own},
            )

    def __enter__(self) -> Self:
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.stopped):
            self.thaw(name)
        with ThreadPoolExecutor(len(self.processes)) as pool:
            list(pool.map(Process.stop, self.processes.values()))
        self._http.close()
        self._folder.cleanup()

    def apis(self, service: str) -> Sequence[str]:
        """The addresses of a service's APIs."""
        return [
            f"http://127.0.0.1:{program.port}"
            for program in self.programs.values()
            if program.service == service and program.worker is None
        ]

    def mend(self) -> None:
        """Every process runs, and is ready."""
        for name in list(self.stopped):
            self.thaw(name)
        for process in self.processes.values():
            process.start()
        for name, process in self.processes.items():
            process.wait_until(partial(self._ready, self._ports[name]), READY_WITHIN)

    def kill(self, name: str) -> None:
        """Kills a process and its children, and starts it again."""
        self.thaw(name)
        self.processes[name].kill()
        self.processes[name].start()

    def terminate(self, name: str) -> None:
        """Ends a process as a rollout does, and starts it again."""
        self.thaw(name)
        self.processes[name].stop()
        self.processes[name].start()

    def freeze(self, name: str) -> None:
        """Pauses a process and its children."""
        self.stopped.add(name)
        self.processes[name].freeze()

    def thaw(self, name: str) -> None:
        """Resumes a paused process."""
        self.stopped.discard(name)
        self.processes[name].thaw()

    def told(self) -> Iterator[str]:
        """Errors printed by the processes."""
        return (line for line in self.log if '"level":"error"' in line or "Traceback" in line)

    def _process(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Process:
        return Process(
            name, command, environment, lambda process, line: self.log.append(f"{process}: {line}"), ROOT
        )

    def _ready(self, port: int) -> bool:
        try:
            return self._http.get(f"http://127.0.0.1:{port}/readyz").is_success
        except httpx.TransportError:
            return False


def _command(program: Program, mutant: str | None) -> Sequence[str]:
    _python, _m, module, *arguments = program.command
    return loaded(mutant, module, *arguments)


def loaded(mutant: str | None, module: str, *arguments: str) -> Sequence[str]:
    """The command of a module, with an optional defect."""
    loader = ["-m"] if mutant is None else [str(MUTANTS), mutant]
    return [sys.executable, *loader, module, *arguments]
