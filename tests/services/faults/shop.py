"""A shop to be harmed: its AWS, its processes, its customers, and what can be read of it afterwards."""

import contextlib
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import httpx

from shopprocs import stacks
from shopprocs.emulator import Emulator
from shopprocs.shop import Shop
from tests.services.faults.audit import Books, Violation, audit, stock
from tests.services.faults.customers import SCARCE, SKUS, Customers
from tests.services.faults.fleet import Fleet
from tests.services.faults.proxy import Proxy
from tests.services.faults.schedule import COPIES, LATEST
from tests.shops import WAIT_SCALE
from tests.waiting import wait_for

TOKEN_LASTS: Final = 600.0
SENT_AT_ONCE: Final = 10
PIECES_OF_SCARCE: Final = 20
VISIBILITY_SECONDS: Final = "10"
LOOK: Final = 1.0
HURRY_AFTER: Final = 15.0


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
    """

    shop: Shop
    proxy: Proxy
    fleet: Fleet
    customers: Customers
    stock_before: dict[str, int]
    listener: "Listener"
    tables: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.tables = {service: self.shop.outputs[service]["Table"] for service in stacks.SERVICES}

    def copy(self, chance: random.Random) -> int:
        """Sends some of the messages that were received again, in any order, some of them late; answers how many."""
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

    def unended(self) -> list[str]:
        """The ids of the orders that have not ended."""
        pages = self.shop.clients.dynamodb.get_paginator("scan").paginate(
            TableName=self.tables["order"],
            FilterExpression="sk = :order AND NOT #state IN (:shipped, :rejected, :cancelled)",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={
                ":order": {"S": "ORDER"},
                ":shipped": {"S": "SHIPPED"},
                ":rejected": {"S": "REJECTED"},
                ":cancelled": {"S": "CANCELLED"},
            },
            ProjectionExpression="id",
            ConsistentRead=True,
        )
        return [item["id"]["S"] for page in pages for item in page["Items"]]

    def settle(self, deadline: float, hurry_after: float = HURRY_AFTER) -> None:
        """Waits until every order has ended and nothing is on its way any more, or the deadline has passed.

        Args:
            deadline: seconds from now.
            hurry_after: seconds after which, time and again, the last task of each order that has not ended is sent once
                more, so that none waits for its next try.
        """
        end, hurry = time.monotonic() + deadline, time.monotonic() + hurry_after
        while time.monotonic() < end:
            self.listener.catch_up()
            waiting = self.unended()
            if not waiting and not self._under_way():
                self.listener.catch_up()
                return
            if time.monotonic() > hurry:
                hurry = time.monotonic() + hurry_after
                self.send([body for name in waiting for body in self.proxy.tasks.get(name, [])[-1:]])
            time.sleep(LOOK)

    def books(self) -> Books:
        """All that was written down."""
        books = Books(
            stock_before=self.stock_before,
            accepted=self.customers.accepted,
            told_cancelled=frozenset(self.customers.told_cancelled),
            dead_letters={
                name: count for name, count in self._queues().items() if name.endswith("-dlq") and count
            },
            facts=self.listener.facts,
        )
        books.read(self.shop.clients.dynamodb, self.tables)
        return books

    def audit(self) -> list[Violation]:
        """Every promise that was broken."""
        return audit(self.books())

    def _under_way(self) -> bool:
        messages = sum(count for name, count in self._queues().items() if not name.endswith("-dlq"))
        return bool(messages or any(self._outbox(table) for table in self.tables.values()))

    def _outbox(self, table: str) -> int:
        return sum(
            self.shop.clients.dynamodb.query(
                TableName=table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": f"OUTBOX#{partition}"}},
                Select="COUNT",
            )["Count"]
            for partition in range(4)
        )

    def _queues(self) -> dict[str, int]:
        """Name -> messages, whatever they wait for."""
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
    """Follows every fact, as a subscriber of all topics, past the proxy.

    Args:
        shop: deployed.
    """

    def __init__(self, shop: Shop) -> None:
        self._sqs = shop.clients.sqs
        self._url = self._sqs.create_queue(QueueName=f"listener-of-{shop.prefix}")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]
        topics = shop.clients.sns.list_topics()["Topics"]
        for topic in (each["TopicArn"] for each in topics):
            shop.clients.sns.subscribe(
                TopicArn=topic,
                Protocol="sqs",
                Endpoint=arn["QueueArn"],
                Attributes={"RawMessageDelivery": "true"},
            )
        self.facts = Books().facts
        self.copies = 0
        """How many facts came that were known."""

    def catch_up(self) -> None:
        """Takes what waits."""
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

    def _note(self, event: dict[str, object]) -> None:
        data = event["data"]
        if isinstance(data, dict) and "order_id" in data:
            known = self.facts[data["order_id"]][str(event["type"])]
            self.copies += event["id"] in known
            known.add(str(event["id"]))


@contextmanager
def world(
    seed: int,
    pieces: int,
    *,
    parameters: Mapping[str, str] | None = None,
    mutant: str | None = None,
    kinds: Mapping[tuple[str, str], int] | None = None,
) -> Iterator[World]:
    """A shop with an AWS of its own, whose processes run and are ready.

    Args:
        seed: of every choice.
        pieces: how many of each product there are, but for the one that is scarce.
        parameters: of its stacks.
        mutant: a defect that its workers have, see `mutants`.
        kinds: of orders, see `customers.KINDS`.
    """
    emulator = Emulator(lambda _name, _line: None, wait_scale=WAIT_SCALE)
    emulator.start()
    shop = Shop(emulator, lambda _name, _line: None, parameters=parameters)
    try:
        shop.deploy()
        for url in emulator.clients.sqs.list_queues(QueueNamePrefix=shop.prefix)["QueueUrls"]:
            emulator.clients.sqs.set_queue_attributes(
                QueueUrl=url, Attributes={"VisibilityTimeout": VISIBILITY_SECONDS}
            )
        with Proxy(emulator.port, seed) as proxy:
            environment = {"AWS_ENDPOINT_URL": proxy.endpoint}
            with Fleet(shop, environment, mutant) as fleet:
                yield _stocked(
                    shop, proxy, fleet, Customers(fleet.apis("order"), Token(shop), seed, kinds), pieces
                )
    finally:
        shop.stop()
        emulator.stop()


def _stocked(shop: Shop, proxy: Proxy, fleet: Fleet, customers: Customers, pieces: int) -> World:
    shop.seed()
    dynamodb, table = shop.clients.dynamodb, shop.outputs["product"]["Table"]
    for sku, available in {**dict.fromkeys(SKUS, pieces), SCARCE: PIECES_OF_SCARCE}.items():
        dynamodb.update_item(
            TableName=table,
            Key={"pk": {"S": f"PRODUCT#{sku}"}, "sk": {"S": "PRODUCT"}},
            UpdateExpression="SET available = :available",
            ExpressionAttributeValues={":available": {"N": str(available)}},
        )
    begun = World(shop, proxy, fleet, customers, {}, Listener(shop))
    before = Books()
    wait_for(lambda: _priced(begun), what="every product is known to the order service")
    before.read(dynamodb, {"product": table})
    begun.stock_before.update({sku: stock(row) for sku, row in before.products.items()})
    return begun


def _priced(world: World) -> bool:
    keys = [{"pk": {"S": f"PRODUCT#{sku}"}, "sk": {"S": "PRODUCT"}} for sku in (*SKUS, SCARCE)]
    table = world.tables["order"]
    found = world.shop.clients.dynamodb.batch_get_item(RequestItems={table: {"Keys": keys}})
    return len(found["Responses"][table]) == len(keys)
