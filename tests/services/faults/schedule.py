"""What goes wrong, and when: by a seed, until it is told to stop."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, Self

from shopprocs.emulator import Emulator
from tests.services.faults.fleet import Fleet
from tests.services.faults.proxy import (
    Break,
    Conflict,
    Delay,
    Effect,
    FailAfterEffect,
    Fault,
    LoseAnswer,
    Proxy,
    Reset,
    Throttle,
    ThrottleTransaction,
)

# Seconds, from and to.
BETWEEN_PROCESSES: Final = (0.8, 2.5)
STOPPED: Final = (2.0, 12.0)
PHASE: Final = (2.0, 5.0)
BETWEEN_PHASES: Final = (0.3, 1.5)
BETWEEN_FREEZES: Final = (10.0, 20.0)
FROZEN: Final = (2.0, 6.0)
BETWEEN_COPIES: Final = (0.5, 1.5)
COPIES: Final = 12
LATEST: Final = 5


class Schedule:
    """Acts on a shop while it is entered.

    Args:
        fleet: its processes.
        proxy: their way to AWS.
        emulator: AWS.
        copy: sends some of the messages that were received again.
        seed: of every choice.
    """

    def __init__(
        self, fleet: Fleet, proxy: Proxy, emulator: Emulator, copy: Callable[[random.Random], int], seed: int
    ) -> None:
        self._fleet = fleet
        self._proxy = proxy
        self._emulator = emulator
        self._copy = copy
        self._over = threading.Event()
        self.done: Counter[str] = Counter()
        """How often each fault came."""
        actors = (self._processes, self._stops, self._network, self._freezes, self._copies)
        self._failures: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._act, args=(actor, random.Random(f"{seed}-{actor.__name__}")))  # noqa: S311
            for actor in actors
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _act(self, actor: Callable[[random.Random], None], chance: random.Random) -> None:
        try:
            actor(chance)
        except BaseException as error:  # noqa: BLE001 - told when the schedule ends
            self._failures.append(error)

    def _processes(self, chance: random.Random) -> None:
        while not self._over.wait(chance.uniform(*BETWEEN_PROCESSES)):
            name = chance.choice(sorted(self._fleet.parts))
            if chance.random() < 0.65:
                self._fleet.kill(name)
                self.done["SIGKILL"] += 1
            else:
                self._fleet.terminate(name)
                self.done["SIGTERM"] += 1

    def _stops(self, chance: random.Random) -> None:
        while not self._over.wait(chance.uniform(*BETWEEN_PROCESSES)):
            name = chance.choice(sorted(self._fleet.parts))
            self._fleet.freeze(name)
            self.done["SIGSTOP"] += 1
            self._over.wait(chance.uniform(*STOPPED))
            self._fleet.thaw(name)

    def _network(self, chance: random.Random) -> None:
        kinds: Mapping[str, Effect] = {
            "reset": Reset(),
            "lost": LoseAnswer(),
            "late error": FailAfterEffect(),
            "throttled": Throttle(),
            "throttled transaction": ThrottleTransaction(),
            "error": Break(),
            "conflict": Conflict(),
            "delay": Delay(2.0, chance),
        }
        while not self._over.wait(chance.uniform(*BETWEEN_PHASES)):
            chosen = chance.sample(sorted(kinds), chance.randint(1, 3))
            faults = [Fault(kinds[name], chance.choice((0.05, 0.2, 0.5))) for name in chosen]
            with self._proxy.failing(*faults):
                self.done["phase of the network"] += 1
                self._over.wait(chance.uniform(*PHASE))

    def _freezes(self, chance: random.Random) -> None:
        while not self._over.wait(chance.uniform(*BETWEEN_FREEZES)):
            self._emulator.process.freeze()
            self.done["AWS frozen"] += 1
            self._over.wait(chance.uniform(*FROZEN))
            self._emulator.process.thaw()

    def _copies(self, chance: random.Random) -> None:
        while not self._over.wait(chance.uniform(*BETWEEN_COPIES)):
            self.done["copies of messages"] += self._copy(chance)
