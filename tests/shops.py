"""An emulator, and a shop with an emulator of its own for tests that the shared one would disturb."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from shopdev.cloudformation import stacks
from shopdev.lambdas import build
from shopdev.processes.emulator import Emulator
from shopdev.processes.process import Sink
from shopdev.processes.shop import Shop

WAIT_SCALE = 0.02
"""Factor for the retry and wait seconds of a state machine."""


def to_stderr(name: str, line: str) -> None:
    """Shows what a process prints with a test that failed."""
    sys.stderr.write(f"{name}: {line}\n")


@contextmanager
def running_emulator(
    sink: Sink = to_stderr, environment: Mapping[str, str] | None = None
) -> Iterator[Emulator]:
    """An emulator that ends with the context.

    Args:
        sink: gets what it prints.
        environment: settings of its own.
    """
    emulator = Emulator(sink, wait_scale=WAIT_SCALE, environment=environment)
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()


@contextmanager
def own_shop(
    sink: Sink = to_stderr,
    *,
    prefix: str = "shop",
    parameters: Mapping[str, str] | None = None,
    emulator: Mapping[str, str] | None = None,
) -> Iterator[Shop]:
    """A shop with functions, not started yet; it and its emulator end with the context.

    Args:
        sink: gets what its processes print.
        prefix: first part of the names of its AWS resources.
        parameters: of its stacks.
        emulator: settings of its emulator.
    """
    build.build(lambda line: sink("build", line))
    with running_emulator(sink, emulator) as own:
        shop = Shop(own, sink, prefix=prefix, stack_names=stacks.STACKS, parameters=parameters)
        try:
            yield shop
        finally:
            shop.stop()
