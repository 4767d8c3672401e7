"""A shop under measurement: its load, and the CPU, the memory and the logs of its processes, from /proc."""

import os
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from services.common.aws.outbox import DynamoOutbox
from services.common.runtime.settings import ServiceSettings
from services.common.values import clock
from services.common.values.money import Money
from services.product import handlers
from services.product.domain import Product
from services.product.dynamo import DynamoCatalogue
from shopdev.bench.shop.wire import Recorder
from shopdev.customer import Customer, wish
from shopdev.processes.emulator import Emulator
from shopdev.processes.process import ProcessError
from shopdev.processes.shop import Shop

SKU: Final = "BENCH-1"
STOCK: Final = 1_000_000
AT_ONCE: Final = 4
DEADLINE: Final = 300.0
_READ_AT_ONCE: Final = 100  # the limit of BatchGetItem
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_MIB: Final = 1024


class Measured:
    """A running shop.

    Args:
        shop: the shop.
        logged: bytes of logs by process, which the sink of the shop counts.
    """

    def __init__(self, shop: Shop, logged: Counter[str]) -> None:
        self.shop = shop
        self.logged = logged
        self._customer = Customer(self.url("order"), shop.token())
        client, table = shop.clients.dynamodb, shop.outputs["product"]["Table"]
        self.catalogue = DynamoCatalogue(client, table, DynamoOutbox(client, table))

    @property
    def names(self) -> list[str]:
        """The processes of the shop, without the emulator and the gateway."""
        return list(self.shop.programs)

    def url(self, name: str) -> str:
        """The address of a process."""
        return f"http://127.0.0.1:{self.shop.programs[name].port}"

    def cpu(self, *names: str) -> float:
        """The CPU seconds of processes and their children so far; by default, of all processes of the shop."""
        return sum(group_cpu(self._pid(name)) for name in names or self.names)

    def resident(self, name: str) -> list[float]:
        """The resident memory of a process and of its children in MiB, the largest first.

        For all but the largest, only pages that are not shared count: a forked process shares most of its memory.
        """
        largest, *others = sorted(group(self._pid(name)), key=resident, reverse=True)
        return [resident(largest), *(private(pid) for pid in others)]

    def stocked(self) -> None:
        """Add the product of the orders, and wait until the order service knows it."""
        product = Product(SKU, "Benchmark Tea 100 g", "tea", Money(1190, "EUR"), clock.now())
        handlers.put_product(product, STOCK, catalogue=self.catalogue)
        self.shipped([self._customer.place(SKU)["id"]])

    def place(self, number: int, at_once: int = AT_ONCE) -> list[str]:
        """Place orders and return their ids."""
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(lambda _: self.place_one(), range(number)))

    def place_one(self) -> str:
        """Place an order and return its id.

        Raises:
            ProcessError: it is not accepted.
        """
        answer = self._customer.post("/orders", wish(SKU), idempotency_key=str(uuid.uuid4()))
        if answer.status_code != httpx.codes.ACCEPTED:
            raise ProcessError(f"POST /orders: {answer.status_code} {answer.text}")
        placed: str = answer.json()["id"]
        return placed

    def shipped(self, orders: Sequence[str], deadline: float = DEADLINE) -> list[float]:
        """Wait until all orders are shipped, without a request to the shop. Returns the seconds that each took.

        Raises:
            ProcessError: an order is not shipped in time.
        """
        return [_seconds(row) for row in self.ended(orders, deadline)]

    def ended(
        self, orders: Sequence[str], deadline: float = DEADLINE, pause: float = 0.1
    ) -> list[Mapping[str, Any]]:
        """Wait until all orders are shipped, as `shipped`. Returns their rows in DynamoDB.

        Raises:
            ProcessError: an order is not shipped in time.
        """
        end = time.monotonic() + deadline
        rows: list[Mapping[str, Any]] = []
        left = list(orders)
        while left:
            found = {row["id"]["S"]: row for row in self._rows(left[:_READ_AT_ONCE])}
            done = [each for each in left if found.get(each, {}).get("state", {}).get("S") == "SHIPPED"]
            rows += [found[each] for each in done]
            left = [each for each in left if each not in set(done)]
            if left:
                if time.monotonic() > end:
                    raise ProcessError(f"{len(left)} of {len(orders)} orders were not shipped in time")
                time.sleep(pause)
        return rows

    def close(self) -> None:
        """Close the connections."""
        self._customer.close()

    def _rows(self, orders: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        table = self.shop.outputs["order"]["Table"]
        keys = [{"pk": {"S": f"ORDER#{each}"}, "sk": {"S": "ORDER"}} for each in orders]
        answer = self.shop.clients.dynamodb.batch_get_item(RequestItems={table: {"Keys": keys}})
        rows: Sequence[Mapping[str, Any]] = answer["Responses"].get(table, [])
        return rows

    def _pid(self, name: str) -> int:
        pid = self.shop.process(name).pid
        if pid is None:
            raise ProcessError(f"{name} does not run")
        return pid


@contextmanager
def running(
    emulator: Emulator, prefix: str, environment: Mapping[str, str] | None = None
) -> Iterator[Measured]:
    """A shop in the account of an emulator, with the product of the orders."""
    logged: Counter[str] = Counter()

    def count(name: str, line: str) -> None:
        logged[name] += len(line.encode()) + 1

    # A deployed consumer polls less often than that of a test, which is stopped soon.
    polls = {"POLL_SECONDS": str(ServiceSettings.model_fields["poll_seconds"].default)}
    shop = Shop(emulator, count, prefix=prefix, environment={**polls, **(environment or {})})
    try:
        shop.start()
        measured = Measured(shop, logged)
        measured.stocked()
        yield measured
        measured.close()
    finally:
        shop.stop()


@contextmanager
def recording(measured: Measured, *names: str) -> Iterator[Recorder]:
    """The AWS calls of processes, by default of all, which are restarted before and after."""
    chosen = names or tuple(measured.names)
    processes = {name: measured.shop.process(name) for name in chosen}
    before = {name: dict(process.env) for name, process in processes.items()}
    with Recorder(measured.shop.emulator.port) as recorder:
        for name, process in processes.items():
            process.env |= {"AWS_ENDPOINT_URL": recorder.url, "AWS_SDK_UA_APP_ID": name}
        try:
            measured.shop.restart(*chosen)
            yield recorder
        finally:
            for name, process in processes.items():
                process.env = before[name]
            measured.shop.restart(*chosen)


def group(pid: int) -> list[int]:
    """The processes of a process group."""
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _of_group(entry, pid)]


def group_cpu(pid: int) -> float:
    """The CPU seconds of a process group so far, including children that ended and were waited for."""
    return sum(map(process_cpu, group(pid)))


def process_cpu(pid: int) -> float:
    """The CPU seconds of a process so far, including children that ended and were waited for."""
    return sum(map(int, _stat(Path(f"/proc/{pid}"))[11:15])) / _TICKS


def resident(pid: int) -> float:
    """The resident memory of a process in MiB."""
    lines = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    )
    return int(lines["VmRSS"].split()[0]) / _MIB


def private(pid: int) -> float:
    """The resident memory in MiB that a process shares with no other one."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / _MIB


def _of_group(entry: Path, pid: int) -> bool:
    try:
        return int(_stat(entry)[2]) == pid
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        return False


def _stat(entry: Path) -> list[str]:
    """The fields of /proc/PID/stat from the state on."""
    return (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def _seconds(row: Mapping[str, Any]) -> float:
    last = row["timeline"]["L"][-1]["M"]["at"]["S"]
    return (clock.parse(last) - clock.parse(row["created_at"]["S"])).total_seconds()
