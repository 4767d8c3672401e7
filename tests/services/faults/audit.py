"""The invariants of the shop after the faults, read from its tables and from the records of its partners.

The audit calls no service. It reads the DynamoDB tables, the ledgers of the payment provider and of the carrier, the events that
a subscriber of all topics received, and the responses that customers received.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from services.common.aws import dynamo
from services.common.values import clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Row = Mapping[str, Any]
ENDS = frozenset({"SHIPPED", "REJECTED", "CANCELLED"})
UNDONE = frozenset({"CANCELLING", "CANCELLED", "REJECTED"})
# The postal code that the carrier refuses for good.
NOWHERE = "00000"
LENGTH_OF_ID = 36
# The states that the other services' rows of an ended order may have; None stands for no row.
AGREED = Mapping[str, frozenset[str | None]]
OF_SHIPPED: AGREED = {
    "payment": frozenset({"CHARGED"}),
    "stock": frozenset({"COMMITTED"}),
    "shipment": frozenset({"BOOKED"}),
}
OF_UNDONE: AGREED = {
    "payment": frozenset({None, "DECLINED", "REFUNDED"}),
    "stock": frozenset({None, "REFUSED", "RELEASED"}),
    "shipment": frozenset({None, "REFUSED", "CANCELLED"}),
}


@dataclass(frozen=True)
class Violation:
    """A violated invariant.

    Args:
        rule: which, in a word or two.
        about: an order, a product or a table.
        detail: what was found.
    """

    rule: str
    about: str
    detail: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.about}: {self.detail}"


@dataclass
class Books:
    """All written records.

    Args:
        orders: id -> row. So are `payments`, `reservations` and `shipments`.
        products: SKU -> row.
        charges: order id -> what the provider has taken, entry by entry, in minor units. So is `refunds`.
        bookings: order id -> how many parcels the carrier has taken on. So is `cancellations`.
        outboxes: table -> how many records wait.
        dead_letters: queue -> how many messages were given up.
        facts: order id -> type of fact -> the ids under which it was published.
        stock_before: SKU -> pieces.
        accepted: order id -> what its customer was answered, at each repeat.
        told_cancelled: ids of orders whose customer was answered that they are being cancelled.
        aborted_undoing: ids of orders whose workflow was ended from outside when it had begun to undo them.
        watched: ids of orders that the reconciler has not found to be finished.
        patience: seconds for which an order waits for its shipment once it was charged.
        changes: SKU -> each change of its stock: sequence number, and the pieces that can be ordered from then on.
        levels: SKU -> row of the projection of these changes.
        low_stock: SKU -> id of a low-stock fact -> the facts published under it.
        threshold: stock is low at this number of available pieces or fewer.
    """

    orders: dict[str, Row] = field(default_factory=dict)
    payments: dict[str, Row] = field(default_factory=dict)
    reservations: dict[str, Row] = field(default_factory=dict)
    shipments: dict[str, Row] = field(default_factory=dict)
    products: dict[str, Row] = field(default_factory=dict)
    charges: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    refunds: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    bookings: Counter[str] = field(default_factory=Counter)
    cancellations: Counter[str] = field(default_factory=Counter)
    outboxes: Counter[str] = field(default_factory=Counter)
    dead_letters: dict[str, int] = field(default_factory=dict)
    facts: dict[str, dict[str, set[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )
    stock_before: Mapping[str, int] = field(default_factory=dict)
    accepted: Mapping[str, Sequence[str]] = field(default_factory=dict)
    told_cancelled: frozenset[str] = frozenset()
    aborted_undoing: frozenset[str] = frozenset()
    watched: set[str] = field(default_factory=set)
    patience: float = 0.0
    changes: Mapping[str, Sequence[tuple[str, int]]] = field(default_factory=dict)
    levels: dict[str, Row] = field(default_factory=dict)
    low_stock: Mapping[str, Mapping[str, set[int]]] = field(default_factory=dict)
    threshold: int = 0

    def read(self, client: "DynamoDBClient", tables: Mapping[str, str]) -> None:
        """Reads every row of the tables.

        Args:
            client: of AWS itself.
            tables: service -> its table.
        """
        for service, table in tables.items():
            for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
                for item in page["Items"]:
                    self._enter(service, dynamo.unpack(item))

    def is_counted(self, sku: str) -> bool:
        """Whether the projection has processed the last change of a product and published its event."""
        level = self.levels.get(sku, {})
        return (level.get("sequence"), level.get("available")) == self.changes[sku][
            -1
        ] and "untold" not in level

    def _enter(self, service: str, row: Row) -> None:
        kind, _, name = row["pk"].partition("#")
        match service, kind, row["sk"]:
            case _, "OUTBOX", _:
                self.outboxes[service] += 1
            case "order", "ORDER", _:
                self.orders[name] = row
            case "order", "WATCH", order_id:
                self.watched.add(order_id)
            case "levels", "PRODUCT", _:
                self.levels[name] = row
            case "product", "PRODUCT", _:
                self.products[name] = row
            case "product", "ORDER", "RESERVATION":
                self.reservations[name] = row
            case "payment", "PAYMENT", _:
                self.payments[name] = row
            case "shipping", "SHIPMENT", _:
                self.shipments[name] = row
            case _, "SANDBOX", "ENTRY":
                self._enter_partner(row["entry"], name[:LENGTH_OF_ID])

    def _enter_partner(self, entry: Row, order_id: str) -> None:
        """Add a partner's record. Records of closed keys have no effect."""
        match entry["what"]:
            case "CHARGED":
                self.charges[order_id].append(entry["amount"]["amount"])
            case "REFUNDED":
                self.refunds[order_id].append(entry["amount"]["amount"])
            case "BOOKED":
                self.bookings[order_id] += 1
            case "CANCELLED":
                self.cancellations[order_id] += 1


def stock(row: Row) -> int:
    """The total number of pieces of a product on all shelves."""
    return int(row["available"] + row["reserved"] + row["sold"])


def audit(books: Books) -> list[Violation]:
    """Every violated invariant."""
    return [
        *_of_answers(books),
        *(violation for name, order in books.orders.items() for violation in _of_order(books, name, order)),
        *_of_stock(books),
        *_of_strangers(books),
        *_of_messages(books),
        *(Violation("not reconciled", name, "it is still watched") for name in sorted(books.watched)),
        *(
            violation
            for sku, changes in books.changes.items()
            for violation in _of_low_stock(books, sku, changes)
        ),
    ]


def _of_answers(books: Books) -> Iterator[Violation]:
    for name, answers in books.accepted.items():
        if name not in books.orders:
            yield Violation("lost order", name, "it was accepted and there is no such order")
        if len(set(answers)) > 1:
            yield Violation("two answers", name, f"to one Idempotency-Key: {sorted(set(answers))}")
    for name in books.orders.keys() - books.accepted.keys():
        yield Violation("unknown order", name, "no customer received its id")
    for name in books.told_cancelled:
        if (state := books.orders.get(name, {}).get("state")) == "SHIPPED":
            yield Violation(
                "shipped although cancelled", name, f"its cancellation was accepted, it is {state}"
            )


def _of_order(books: Books, name: str, order: Row) -> Iterator[Violation]:
    state = order["state"]
    yield from _of_double_money(books, name)
    yield from _of_patience(books, name, order)
    if state not in ENDS:
        yield Violation("not ended", name, f"it is {state}")
        return
    rows = {"payment": books.payments, "stock": books.reservations, "shipment": books.shipments}
    for part, allowed in (OF_SHIPPED if state == "SHIPPED" else OF_UNDONE).items():
        found = rows[part].get(name, {}).get("state")
        if found not in allowed:
            yield Violation("disagreement", name, f"it is {state}, and its {part} {found}")
    yield from _of_money(books, name, order)
    yield from _of_parcels(books, name, state)
    yield from _of_facts(books, name, state)


def _of_double_money(books: Books, name: str) -> Iterator[Violation]:
    for rule, entries in (("charged twice", books.charges), ("refunded twice", books.refunds)):
        if len(found := entries.get(name, [])) > 1:
            yield Violation(rule, name, f"{found}")


def _of_money(books: Books, name: str, order: Row) -> Iterator[Violation]:
    charges, refunds = books.charges.get(name, []), books.refunds.get(name, [])
    kept, due = sum(charges) - sum(refunds), order["total"]["amount"] if order["state"] == "SHIPPED" else 0
    if kept > due:
        yield Violation("money kept", name, f"{kept} are kept of it and {due} are due")
    if kept < due:
        yield Violation("money missing", name, f"{kept} are kept of it and {due} are due")


def _of_parcels(books: Books, name: str, state: str) -> Iterator[Violation]:
    under_way, due = books.bookings[name] - books.cancellations[name], int(state == "SHIPPED")
    if under_way != due:
        yield Violation("parcels", name, f"{under_way} are on their way, and the order is {state}")


def _of_facts(books: Books, name: str, state: str) -> Iterator[Violation]:
    told = books.facts.get(name, {})
    for kind in ("accepted", state.lower()):
        if f"shop.order.{kind}.v1" not in told:
            yield Violation("fact not told", name, f"shop.order.{kind}.v1")
    for kind, ids in told.items():
        if len(ids) > 1:
            yield Violation("fact told twice", name, f"{kind} under {sorted(ids)}")
    for other in ENDS - {state}:
        if f"shop.order.{other.lower()}.v1" in told:
            yield Violation("false fact", name, f"it is {state}, but was published as {other}")


def _of_patience(books: Books, name: str, order: Row) -> Iterator[Violation]:
    """An outage that is shorter than the timeouts undoes no order that was paid and confirmed.

    When an execution was ended while it undid an order, its last messages may arrive after the next execution has
    confirmed the order.
    """
    if (
        "confirmed_at" not in order
        or name in books.aborted_undoing
        or order["address"]["postal_code"] == NOWHERE
    ):
        return
    undone = [step for step in order["timeline"] if step["state"] in UNDONE]
    if not undone:
        return
    charged_at = books.payments[name]["charge"]["charged_at"]
    waited = (clock.parse(undone[0]["at"]) - clock.parse(charged_at)).total_seconds()
    if waited < books.patience:
        yield Violation("undone too soon", name, f"after {waited:.0f} s: {undone[0]['cause']}")


def _of_low_stock(books: Books, sku: str, changes: Sequence[tuple[str, int]]) -> Iterator[Violation]:
    due = {f"{sku}-low-{number}": found for number, found in enumerate(_lows(books.threshold, changes), 1)}
    told = books.low_stock.get(sku, {})
    for fact in due.keys() - told.keys():
        yield Violation("low stock not told", sku, fact)
    for fact in told.keys() - due.keys():
        yield Violation("false low stock", sku, f"{fact}, of {len(due)}")
    for fact in due.keys() & told.keys():
        if told[fact] != {due[fact]}:
            yield Violation(
                "wrong low stock", sku, f"{fact} told of {told[fact]} pieces, and there were {due[fact]}"
            )
    if not books.is_counted(sku):
        yield Violation(
            "level disagrees", sku, f"the last change is {changes[-1]}, and it says {books.levels.get(sku)}"
        )


def _lows(threshold: int, changes: Sequence[tuple[str, int]]) -> Iterator[int]:
    """The number of pieces each time that the product ran low, which requires twice the threshold in between."""
    low = False
    for _, available in changes:
        if not low and available <= threshold:
            yield available
        low = available < max(2 * threshold, threshold + 1) if low else available <= threshold


def _of_stock(books: Books) -> Iterator[Violation]:
    held = {"RESERVED": Counter[str](), "COMMITTED": Counter[str]()}
    for row in books.reservations.values():
        for item in row["items"] if row["state"] in held else ():
            held[row["state"]][item["sku"]] += item["quantity"]
    for sku, before in books.stock_before.items():
        row = books.products[sku]
        if stock(row) != before:
            yield Violation("stock not conserved", sku, f"{stock(row)} pieces, and there were {before}")
        for shelf, due in (("reserved", held["RESERVED"][sku]), ("sold", held["COMMITTED"][sku])):
            if row[shelf] != due:
                yield Violation("stock of no order", sku, f"{row[shelf]} {shelf}, and orders have {due}")


def _of_strangers(books: Books) -> Iterator[Violation]:
    everything: Mapping[str, Mapping[str, object]] = {
        "payment": books.payments,
        "reservation": books.reservations,
        "shipment": books.shipments,
        "charge": books.charges,
        "parcel": books.bookings,
    }
    for part, rows in everything.items():
        for name in rows.keys() - books.orders.keys():
            yield Violation("of no order", name, part)


def _of_messages(books: Books) -> Iterator[Violation]:
    for service, count in books.outboxes.items():
        if count:
            yield Violation("outbox not empty", service, f"{count} records")
    for queue, count in books.dead_letters.items():
        if count:
            yield Violation("message given up", queue, f"{count}")
