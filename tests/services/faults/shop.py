"""A shop under test: its AWS, its processes and its customers, and everything that can be read of it afterwards."""

import contextlib
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from shopdev.checkout import SERVICES
from shopdev.clients import Clients
from shopdev.processes.emulator import Emulator
from shopdev.processes.shop import Shop
from tests.services.faults.audit import ENDS, LENGTH_OF_ID, Books, Violation, audit, stock
from tests.services.faults.changes import Changes
from tests.services.faults.customers import SCARCE, SKUS, Customers
from tests.services.faults.fleet import Fleet
from tests.services.faults.functions import RECONCILER, WATCH_STOCK
from tests.services.faults.proxy import Proxy
from tests.services.faults.schedule import COPIES, LATEST
from tests.shops import WAIT_SCALE
from tests.waiting import wait_for

TOKEN_LASTS: Final = 600.0
SENT_AT_ONCE: Final = 10
PIECES_OF_SCARCE: Final = 8
VISIBILITY_SECONDS: Final = "10"
LOOK: Final = 1.0
# A task may time out while its message is still on its way; one that has to be done is asked for again.
PATIENCE: Final = {
    "TaskTimeoutSeconds": "16",
    "PaidTaskTimeoutSeconds": "60",
    "FinalTaskTimeoutSeconds": "30",
}
CARRIER_SECONDS: Final = "1"
# The states with which the workflow begins to undo an order, whether it may have been charged or not.
FIRST_TO_UNDO: Final = frozenset({"StartCancelling", "ReleaseStock"})
# Minimum age of an order for the reconciler.
YOUNGEST_SECONDS: Final = "5"
LOW_STOCK: Final = 2


@dataclass
class World:
    """One shop.

    Args:
        shop: as it is deployed.
        proxy: between its processes and AWS.
        fleet: its processes.
        customers: who order.
        stock_before: SKU -> pieces, before the first order.
        listener: follows every fact.
        changes: follows every change of stock.
        functions: those that run, see `functions`.
        patience: see `audit.Books`.
    """

    shop: Shop
    proxy: Proxy
    fleet: Fleet
    customers: Customers
    stock_before: dict[str, int]
    listener: "Listener"
    changes: Changes
    functions: Sequence[str]
    patience: float
    aborted: set[str] = field(default_factory=set)
    aborted_undoing: set[str] = field(default_factory=set)
    tables: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.tables = {service: self.shop.outputs[service]["Table"] for service in SERVICES}

    def copy(self, chance: random.Random) -> int:
        """Sends some of the received messages again, in any order and partly late. Returns how many."""
        known = list(self.proxy.received)
        self.send(chance.sample(known, min(COPIES, len(known))), lambda: chance.randint(0, LATEST))
        return min(COPIES, len(known))

    def send(self, bodies: Sequence[str], delay: Callable[[], int] = lambda: 0) -> None:
        """Sends messages to the queues that they were received from, past the proxy."""
        by_queue: dict[str, list[str]] = {}
        for body in bodies:
            by_queue.setdefault(self.proxy.received[body], []).append(body)
        for url, messages in by_queue.items():
            for start in range(0, len(messages), SENT_AT_ONCE):
                self.shop.clients.sqs.send_message_batch(
                    QueueUrl=self._direct(url),
                    Entries=[
                        {"Id": str(number), "MessageBody": body, "DelaySeconds": delay()}
                        for number, body in enumerate(messages[start : start + SENT_AT_ONCE])
                    ],
                )

    def abort(self, chance: random.Random) -> int:
        """Aborts the workflow of an order in progress, as an operator could. Returns how many."""
        workflow = self.shop.clients.stepfunctions
        running = workflow.list_executions(
            stateMachineArn=self.shop.outputs["saga"]["StateMachineArn"], statusFilter="RUNNING"
        )["executions"]
        # One that was resumed is left alone: the reconciler resumes an order four times.
        firsts = [
            each for each in running if each["name"] not in self.aborted and len(each["name"]) == LENGTH_OF_ID
        ]
        if not firsts:
            return 0
        chosen = chance.choice(firsts)
        self.aborted.add(chosen["name"])
        with contextlib.suppress(workflow.exceptions.ClientError):  # it has ended meanwhile
            workflow.stop_execution(executionArn=chosen["executionArn"], cause="by hand")
        if self._has_begun_to_undo(chosen["executionArn"]):
            self.aborted_undoing.add(chosen["name"])
        return 1

    def _has_begun_to_undo(self, execution: str) -> bool:
        history = self.shop.clients.stepfunctions.get_execution_history(
            executionArn=execution, maxResults=1000
        )["events"]
        return any(
            event.get("stateEnteredEventDetails", {}).get("name") in FIRST_TO_UNDO for event in history
        )

    def settle(self, deadline: float) -> list[str]:
        """Waits until nothing is left to do, or the deadline has passed; answers what is left to do.

        Nothing is done for the shop meanwhile: it comes to rest by its own retries and timers, or it does not.

        Args:
            deadline: seconds from now.
        """
        end = time.monotonic() + deadline
        while (left := self._left()) and time.monotonic() < end:
            time.sleep(LOOK)
        self.listener.catch_up()
        return left

    def books(self) -> Books:
        """All written records."""
        books = Books(
            stock_before=self.stock_before,
            accepted=self.customers.accepted,
            told_cancelled=frozenset(self.customers.told_cancelled),
            dead_letters={
                name: count for name, count in self._queues().items() if name.endswith("-dlq") and count
            },
            facts=self.listener.facts,
            low_stock=self.listener.low_stock,
            aborted_undoing=frozenset(self.aborted_undoing),
            patience=self.patience,
            threshold=LOW_STOCK,
        )
        books.read(self.shop.clients.dynamodb, {**self.tables, "levels": self.changes.levels})
        if WATCH_STOCK in self.functions:
            books.changes = self.changes.read()
        if RECONCILER not in self.functions:
            books.watched.clear()
        return books

    def audit(self) -> list[Violation]:
        """Every violated invariant."""
        return audit(self.books())

    def _left(self) -> list[str]:
        self.listener.catch_up()
        books = self.books()
        queues = self._queues()
        return [
            *(
                f"order {name} is {row['state']}"
                for name, row in books.orders.items()
                if row["state"] not in ENDS
            ),
            *(
                f"{count} messages in {name}"
                for name, count in queues.items()
                if count and name[-4:] != "-dlq"
            ),
            *(f"{count} records in the outbox of {name}" for name, count in books.outboxes.items()),
            *(f"order {name} is watched" for name in books.watched),
            *(f"stock of {sku} is not counted" for sku in books.changes if not books.is_counted(sku)),
        ]

    def _queues(self) -> dict[str, int]:
        """Name -> messages in any state."""
        sqs = self.shop.clients.sqs
        counts = {}
        for url in sqs.list_queues(QueueNamePrefix=self.shop.prefix).get("QueueUrls", []):
            attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            counts[url.rsplit("/", 1)[-1]] = sum(
                int(value)
                for name, value in attributes.items()
                if name.startswith("ApproximateNumberOfMessages")
            )
        return counts

    def _direct(self, url: str) -> str:
        return f"{self.shop.clients.endpoint}/{url.split('/', 3)[3]}"


class Token:
    """The access token of a customer, renewed before it expires.

    Args:
        shop: deployed.
    """

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._made = time.monotonic()
        self._token = shop.token()

    def __call__(self) -> str:
        """The token."""
        if time.monotonic() - self._made > TOKEN_LASTS:
            with contextlib.suppress(
                httpx.TransportError
            ):  # AWS is frozen: the one before is good for a while
                self._token, self._made = self._shop.token(), time.monotonic()
        return self._token


class Listener:
    """Receives every event as a subscriber of the topics, without the proxy.

    Args:
        clients: of AWS itself.
        topics: their ARNs.
        name: of its queue.
    """

    def __init__(self, clients: Clients, topics: Iterable[str], name: str) -> None:
        self._sqs = clients.sqs
        self._url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]
        for topic in topics:
            clients.sns.subscribe(
                TopicArn=topic,
                Protocol="sqs",
                Endpoint=arn["QueueArn"],
                Attributes={"RawMessageDelivery": "true"},
            )
        self.facts = Books().facts
        self.low_stock: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        """SKU -> id of a fact that it runs low -> the pieces that there were."""

    def catch_up(self) -> None:
        """Receives all waiting messages."""
        while messages := self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=0
        ).get("Messages"):
            for message in messages:
                self._note(json.loads(message["Body"]))
            self._sqs.delete_message_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(messages)
                ],
            )

    def _note(self, event: dict[str, Any]) -> None:
        data = event["data"]
        if "order_id" in data:
            self.facts[data["order_id"]][event["type"]].add(event["id"])
        elif event["type"] == "shop.stock.low.v1":
            self.low_stock[data["sku"]][event["id"]].add(data["available"])


@contextmanager
def world(
    seed: int,
    pieces: int,
    *,
    parameters: Mapping[str, str] | None = None,
    functions: Sequence[str] = (),
    mutant: str | None = None,
    kinds: Mapping[tuple[str, str], int] | None = None,
) -> Iterator[World]:
    """A shop with an AWS of its own, whose processes run and are ready.

    Args:
        seed: of every choice.
        pieces: how many of each product there are, but for those that are scarce.
        parameters: of its stacks, over those of `PATIENCE`.
        functions: which of them run.
        mutant: a defect that its workers have, see `mutants`.
        kinds: of orders, see `customers.KINDS`.
    """
    chosen = {**PATIENCE, **(parameters or {})}
    emulator = Emulator(lambda _name, _line: None, wait_scale=WAIT_SCALE)
    emulator.start()
    shop = Shop(emulator, lambda _name, _line: None, parameters=chosen)
    try:
        shop.deploy()
        changes = Changes.of(emulator.clients, shop.outputs["product"]["TableStreamArn"], shop.prefix)
        for url in emulator.clients.sqs.list_queues(QueueNamePrefix=shop.prefix)["QueueUrls"]:
            emulator.clients.sqs.set_queue_attributes(
                QueueUrl=url, Attributes={"VisibilityTimeout": VISIBILITY_SECONDS}
            )
        environments = _of_functions(shop, changes)
        with (
            Proxy(emulator.port, seed) as proxy,
            Fleet(
                shop,
                {"AWS_ENDPOINT_URL": proxy.endpoint, "CARRIER_SECONDS": CARRIER_SECONDS},
                {name: environments[name] for name in functions},
                mutant,
            ) as fleet,
        ):
            yield _stocked(
                World(
                    shop,
                    proxy,
                    fleet,
                    Customers(fleet.apis("order"), Token(shop), seed, kinds),
                    {},
                    Listener(shop.clients, _topics(shop), f"listener-of-{shop.prefix}"),
                    changes,
                    functions,
                    float(chosen["PaidTaskTimeoutSeconds"]),
                ),
                pieces,
            )
    finally:
        shop.stop()
        emulator.stop()


def _topics(shop: Shop) -> list[str]:
    return [topic["TopicArn"] for topic in shop.clients.sns.list_topics()["Topics"]]


def _of_functions(shop: Shop, changes: Changes) -> Mapping[str, Mapping[str, str]]:
    tables = {
        f"{name.upper()}_TABLE": shop.outputs[name]["Table"] for name in ("payment", "product", "shipping")
    }
    return {
        RECONCILER: {**shop.env("order"), **tables, "YOUNGEST_SECONDS": YOUNGEST_SECONDS},
        WATCH_STOCK: {**shop.env("product"), **changes.environment, "LOW_STOCK": str(LOW_STOCK)},
    }


def _stocked(begun: World, pieces: int) -> World:
    begun.shop.seed()
    dynamodb, table = begun.shop.clients.dynamodb, begun.shop.outputs["product"]["Table"]
    for sku, available in {**dict.fromkeys(SKUS, pieces), **dict.fromkeys(SCARCE, PIECES_OF_SCARCE)}.items():
        # Sold out before: each product has run low once when the first order comes.
        for found in (0, available):
            dynamodb.update_item(
                TableName=table,
                Key={"pk": {"S": f"PRODUCT#{sku}"}, "sk": {"S": "PRODUCT"}},
                UpdateExpression="SET available = :available",
                ExpressionAttributeValues={":available": {"N": str(found)}},
            )
    before = Books()
    wait_for(lambda: _priced(begun), what="every product is known to the order service")
    before.read(dynamodb, {"product": table})
    begun.stock_before.update({sku: stock(row) for sku, row in before.products.items()})
    return begun


def _priced(world: World) -> bool:
    keys = [{"pk": {"S": f"PRODUCT#{sku}"}, "sk": {"S": "PRODUCT"}} for sku in (*SKUS, *SCARCE)]
    table = world.tables["order"]
    found = world.shop.clients.dynamodb.batch_get_item(RequestItems={table: {"Keys": keys}})
    return len(found["Responses"][table]) == len(keys)
