"""The emulator of the service tests: one process per run, with separate resources for each test."""

import sys
from collections.abc import Callable, Iterator

import pytest

from shopdev.processes.emulator import AwsServer, Emulator
from shopdev.processes.process import Process
from shopdev.processes.shop import Shop
from tests.services.accounts import EITHER, Moto, new_queue, new_table, new_topic
from tests.shops import running_emulator

VISIBILITY_SECONDS = "10"
"""The visibility timeout of messages of a crashed process, which is shorter than the real 30 s for the tests."""

CreateTable = Callable[[], str]
CreateQueue = Callable[[], str]
CreateTopic = Callable[[], str]


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """A running emulator: `.endpoint`, `.env` for processes, `.clients.{dynamodb,sqs,sns,stepfunctions}`."""
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    """A second implementation of AWS, for what both are to agree on."""
    moto = Moto(lambda name, line: sys.stderr.write(f"{name}: {line}\n"))
    moto.start()
    yield moto
    moto.stop()


@pytest.fixture(params=EITHER)
def account(request: pytest.FixtureRequest) -> AwsServer:
    """Both implementations: `.clients`, `.env`, `.endpoint`. A test with this fixture runs against each."""
    account: AwsServer = request.getfixturevalue(request.param)
    return account


@pytest.fixture
def create_table(account: AwsServer) -> CreateTable:
    """Returns the name of a new table of the account."""
    return lambda: new_table(account.clients)


@pytest.fixture
def create_queue(account: AwsServer) -> CreateQueue:
    """Returns the URL of a new queue of the account with a visibility timeout of two seconds."""
    return lambda: new_queue(account.clients)


@pytest.fixture
def create_topic(account: AwsServer) -> CreateTopic:
    """Returns the ARN of a new topic of the account."""
    return lambda: new_topic(account.clients)


@pytest.fixture(scope="session")
def log() -> list[str]:
    """Lines printed by the shop's processes."""
    return []


@pytest.fixture(scope="session")
def started_shop(emulator: Emulator, log: list[str]) -> Iterator[Shop]:
    """The whole shop as processes, started once."""
    shop = Shop(emulator, lambda name, line: log.append(f"{name}: {line}"))
    try:
        shop.start()
        for url in emulator.clients.sqs.list_queues(QueueNamePrefix=shop.prefix)["QueueUrls"]:
            emulator.clients.sqs.set_queue_attributes(
                QueueUrl=url, Attributes={"VisibilityTimeout": VISIBILITY_SECONDS}
            )
        yield shop
        for worker in _workers(shop):
            worker.thaw()
    finally:
        shop.stop()


@pytest.fixture(scope="module")
def running_shop(started_shop: Shop) -> Iterator[Shop]:
    """The whole shop at work. Between the modules that use it, its workers are frozen: they would poll the emulator."""
    for worker in _workers(started_shop):
        worker.thaw()
    yield started_shop
    for worker in _workers(started_shop):
        worker.freeze()


def _workers(shop: Shop) -> list[Process]:
    """The processes that poll, where a process can be frozen."""
    names = [name for name, program in shop.programs.items() if program.worker]
    return [] if sys.platform == "win32" else [shop.process(name) for name in names]


@pytest.fixture
def shop(running_shop: Shop, log: list[str]) -> Iterator[Shop]:
    """The whole shop: `.url`, `.clients`, `.kill(name)`, `.restart(name)`. Every process runs again afterwards."""
    log.clear()
    yield running_shop
    sys.stderr.write("\n".join(log))  # shown with a test that failed
    for name in running_shop.programs:
        running_shop.process(name).start()
    for name in running_shop.programs:
        running_shop.wait_ready(name)
