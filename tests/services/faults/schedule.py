"""The faults and their times, from a seed, until the schedule is stopped."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol, Self

from shopdev.processes.emulator import Emulator
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
BETWEEN_ABORTS: Final = (4.0, 8.0)
# Before each absence nothing fails: long enough for an order to be shipped, and for processes to start.
CALM: Final = (7.0, 9.0)
# Then, once each service was away: a run that lasts an hour is not one outage.
BETWEEN_LATER_ABSENCES: Final = (12.0, 32.0)
COPIES: Final = 12
LATEST: Final = 5


class Acts(Protocol):
    """Actions on a shop from outside its processes."""

    def copy(self, chance: random.Random) -> int:
        """Sends some of the received messages again. Returns how many."""

    def abort(self, chance: random.Random) -> int:
        """Aborts the workflow of an order in progress, as an operator could. Returns how many."""


class Schedule:
    """Acts on a shop while it is entered.

    It lasts until each service has been away once, however soon it is left. Now and then it is calm: messages come
    twice and workflows are ended all the same, but nothing fails.

    Args:
        fleet: its processes.
        proxy: their way to AWS.
        emulator: AWS.
        acts: what else is done to the shop.
        outages: service, see `Proxy.away` -> seconds for which it is away each time, while no other is.
        seed: of every choice.
    """

    def __init__(
        self,
        fleet: Fleet,
        proxy: Proxy,
        emulator: Emulator,
        acts: Acts,
        outages: Mapping[str, float],
        seed: int,
    ) -> None:
        self._fleet = fleet
        self._proxy = proxy
        self._emulator = emulator
        self._acts = acts
        self._outages = outages
        self._over = threading.Event()
        self._weather = threading.Condition()
        self._is_calm = False
        self._all_were_away = threading.Event()
        self.done: Counter[str] = Counter()
        """How often each fault came."""
        actors = (
            self._processes,
            self._stops,
            self._network,
            self._freezes,
            self._copies,
            self._aborts,
            self._absences,
        )
        self._failures: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._act, args=(actor, random.Random(f"{seed}-{actor.__name__}")))  # noqa: S311
            for actor in actors
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is None:
            self._all_were_away.wait()
        self._over.set()
        with self._weather:
            self._weather.notify_all()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _act(self, actor: Callable[[random.Random], None], chance: random.Random) -> None:
        try:
            actor(chance)
        except BaseException as error:  # noqa: BLE001 - told when the schedule ends
            self._failures.append(error)
            self._all_were_away.set()

    def _is_over_after(self, seconds: float) -> bool:
        """Waits so long, and until it is not calm; answers whether the schedule is over."""
        self._over.wait(seconds)
        with self._weather:
            self._weather.wait_for(lambda: self._over.is_set() or not self._is_calm)
        return self._over.is_set()

    def _wait_for_calm(self, longest: float) -> None:
        """Waits until it is calm, or so many seconds."""
        with self._weather:
            self._weather.wait_for(lambda: self._over.is_set() or self._is_calm, longest)

    @contextmanager
    def _calm(self) -> Iterator[None]:
        with self._weather:
            self._is_calm = True
            self._weather.notify_all()
        try:
            yield
        finally:
            with self._weather:
                self._is_calm = False
                self._weather.notify_all()

    def _processes(self, chance: random.Random) -> None:
        while not self._is_over_after(chance.uniform(*BETWEEN_PROCESSES)):
            name = chance.choice(sorted(self._fleet.processes))
            if chance.random() < 0.65:
                self._fleet.kill(name)
                self.done["SIGKILL"] += 1
            else:
                self._fleet.terminate(name)
                self.done["SIGTERM"] += 1

    def _stops(self, chance: random.Random) -> None:
        while not self._is_over_after(chance.uniform(*BETWEEN_PROCESSES)):
            name = chance.choice(sorted(self._fleet.processes))
            self._fleet.freeze(name)
            self.done["SIGSTOP"] += 1
            self._wait_for_calm(chance.uniform(*STOPPED))
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
        while not self._is_over_after(chance.uniform(*BETWEEN_PHASES)):
            chosen = chance.sample(sorted(kinds), chance.randint(1, 3))
            faults = [Fault(kinds[name], chance.choice((0.05, 0.2, 0.5))) for name in chosen]
            with self._proxy.failing(*faults):
                self.done["phase of the network"] += 1
                self._wait_for_calm(chance.uniform(*PHASE))

    def _freezes(self, chance: random.Random) -> None:
        while not self._is_over_after(chance.uniform(*BETWEEN_FREEZES)):
            self._emulator.process.freeze()
            self.done["AWS frozen"] += 1
            self._wait_for_calm(chance.uniform(*FROZEN))
            self._emulator.process.thaw()

    def _copies(self, chance: random.Random) -> None:
        while not self._over.wait(chance.uniform(*BETWEEN_COPIES)):
            self.done["copies of messages"] += self._acts.copy(chance)

    def _aborts(self, chance: random.Random) -> None:
        while not self._over.wait(chance.uniform(*BETWEEN_ABORTS)):
            self.done["workflows aborted"] += self._acts.abort(chance)

    def _absences(self, chance: random.Random) -> None:
        pause = (0.0, 0.0)
        while not self._over.is_set():
            for service in chance.sample(sorted(self._outages), len(self._outages)):
                with self._calm():
                    self._over.wait(chance.uniform(*CALM))
                if self._over.wait(chance.uniform(*pause)):
                    return
                with self._proxy.away(service):
                    self._over.wait(self._outages[service])
                self.done[f"{service} away"] += 1
            self._all_were_away.set()
            pause = BETWEEN_LATER_ABSENCES
