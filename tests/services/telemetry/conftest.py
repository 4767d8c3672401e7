"""Fixtures of the metrics and logs of the services."""

from collections.abc import Iterator

import pytest

from services.common.telemetry import logs
from shopdev.processes.emulator import Emulator
from shopdev.processes.shop import Shop
from tests.collector import Collector
from tests.services.telemetry.seen import Seen


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    """Has the services log as they do in a pod: the console form draws every traceback with its variables."""
    logs.configure("test", "INFO")


@pytest.fixture(scope="session")
def seen() -> Seen:
    return Seen()


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="session")
def marked(emulator: Emulator, collector: Collector, seen: Seen) -> Iterator[Shop]:
    """A shop of its own, whose log, spans and events are all collected."""

    def sink(name: str, line: str) -> None:
        if name in shop.programs:
            seen.log.append(line)
            seen.named.append((name, line))

    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    shop = Shop(emulator, sink, prefix="marked", environment=environment)
    try:
        shop.start()
        yield shop
    finally:
        shop.stop()
