"""The ports of the product service in memory. test_ports.py runs the same contract tests against the real adapters."""

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from services.common.messaging.outbox import OutboxRecord
from services.common.values import clock
from services.common.values.clock import Clock
from services.common.values.errors import Stale, UnreadableRow
from services.common.values.money import Money
from services.product.domain import (
    Inventory,
    Item,
    Move,
    Product,
    Reservation,
    Shelf,
    State,
    Stocked,
    StockMissing,
)
from services.product.fulltext import folded
from services.product.import_report import Report, Upload
from services.product.low_stock import Level
from services.product.ports import Page, Search, Superseded
from tests.services.memory import MemoryOutbox


class MemoryShop:
    """The catalogue and its stock."""

    def __init__(self, outbox: MemoryOutbox | None = None, now: Clock = clock.now) -> None:
        self.outbox = outbox or MemoryOutbox()
        self._now = now
        self._lock = threading.Lock()
        self._products: dict[str, Stocked] = {}
        self._reservations: dict[str, Reservation] = {}

    def find(self, sku: str) -> Stocked | None:
        return self._products.get(sku)

    def page(self, search: Search, after: str | None, limit: int) -> Page:
        words = [folded(word) for word in search.words]
        found = [
            self._products[sku]
            for sku, text, category in sorted(
                (sku, f"{each.product.name}\n{sku}", each.product.category)
                for sku, each in self._products.items()
            )
            if sku > (after or "")
            and all(word in folded(text) for word in words)
            and (search.category is None or folded(search.category) == folded(category))
        ]
        is_last = len(found) <= limit
        return Page(tuple(found[:limit]), None if is_last else found[limit - 1].product.sku)

    def put(self, product: Product, initial_stock: int, outbox_record: OutboxRecord | None) -> None:
        known = self._products.get(product.sku)
        if (known.product.version if known else 0) != product.replaces:
            raise Stale(product.sku)
        if known and product.replaces and known.product.updated_at > product.updated_at:
            raise Stale(product.sku)
        inventory = known.inventory if known else Inventory(product.sku, initial_stock)
        self._products[product.sku] = Stocked(product, inventory)
        if outbox_record is not None:
            self.outbox.add(outbox_record)

    def publish_again(self, outbox_record: OutboxRecord) -> None:
        self.outbox.add(outbox_record)

    def restock(self, sku: str, available: int) -> None:
        stocked = self._products[sku]
        self._products[sku] = replace(stocked, inventory=replace(stocked.inventory, available=available))

    def now(self) -> datetime:
        return self._now().replace(microsecond=0)

    def ping(self) -> None:
        pass

    def before_reserving(
        self, order_id: str, skus: Collection[str]
    ) -> tuple[Reservation | None, Mapping[str, Inventory]]:
        levels = {sku: self._products[sku].inventory for sku in skus if sku in self._products}
        return self.reservation(order_id), levels

    def reservation(self, order_id: str) -> Reservation | None:
        return self._reservations.get(order_id)

    def save(
        self,
        reservation: Reservation,
        was: State | None,
        move: Move | None,
        outbox_record: OutboxRecord | None,
    ) -> None:
        with self._lock:
            known = self._reservations.get(reservation.order_id)
            if (known.state if known else None) is not was:
                raise Stale(reservation.order_id)
            moved = (
                {item.sku: self._moved(item.sku, item.quantity, move) for item in move.items} if move else {}
            )
            self._products |= moved
            self._reservations[reservation.order_id] = reservation
            if outbox_record is not None:
                self.outbox.add(outbox_record)

    def remove(self, sku: str) -> None:
        """Removes a product, as only an operator can."""
        del self._products[sku]

    def _moved(self, sku: str, quantity: int, move: Move) -> Stocked:
        stocked = self._products.get(sku) or self._none(sku)
        held = {shelf: getattr(stocked.inventory, shelf) for shelf in (move.source, move.target)}
        if held[move.source] < quantity:
            if move.source is Shelf.RESERVED:
                raise StockMissing("an order", [Item(sku, quantity)])
            raise Stale(sku)
        return replace(
            stocked,
            inventory=replace(
                stocked.inventory,
                **{
                    move.source.value: held[move.source] - quantity,
                    move.target.value: held[move.target] + quantity,
                },
            ),
        )

    def _none(self, sku: str) -> Stocked:
        at = datetime.min.replace(tzinfo=UTC)
        return Stocked(Product(sku, "", "", Money(0, "EUR"), at), Inventory(sku, 0))


class MemoryShelves(MemoryShop):
    """The catalogue, for an import.

    Args:
        outbox: storage of outbox records.
        moving: SKUs whose stock is being moved whenever a batch is written.
        now: the time.
    """

    def __init__(
        self,
        outbox: MemoryOutbox | None = None,
        moving: Collection[str] = (),
        now: Clock = clock.now,
    ) -> None:
        super().__init__(outbox, now)
        self.moving = set(moving)

    def find_all(self, skus: Sequence[str]) -> Mapping[str, Stocked | UnreadableRow]:
        return {sku: self._products[sku] for sku in skus if sku in self._products}

    def put_all(self, batches: Sequence[tuple[Mapping[Product, int], OutboxRecord | None]]) -> list[bool]:
        return [self._put_batch(*batch) for batch in batches]

    def _put_batch(self, products: Mapping[Product, int], outbox_record: OutboxRecord | None) -> bool:
        if any(product.sku in self.moving for product in products):
            return False
        for product, stock in products.items():
            self.put(product, stock, None)
        if outbox_record is not None:
            self.outbox.add(outbox_record)
        return True


class MemoryUploads:
    """Uploaded files and their reports.

    Args:
        content: of the one file.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.saved: list[Report] = []
        self.superseded = False

    def report(self, upload: Upload) -> tuple[Report, str]:  # noqa: ARG002 - as Uploads.report
        return (self.saved[-1] if self.saved else Report()), str(len(self.saved))

    def read(self, upload: Upload, offset: int) -> Iterator[bytes]:  # noqa: ARG002 - as Uploads.read
        if self.superseded:
            raise Superseded
        for start in range(offset, len(self.content), 1000):
            yield self.content[start : start + 1000]

    def save(self, upload: Upload, report: Report, version: str) -> str:  # noqa: ARG002 - as Uploads.save
        if self.superseded or version != str(len(self.saved)):
            raise Superseded
        self.saved.append(report)
        return str(len(self.saved))


class MemoryLevels:
    """Stock levels of the products, in memory."""

    def __init__(self) -> None:
        self.known: dict[str, Level] = {}

    def find(self, sku: str) -> Level | None:
        return self.known.get(sku)

    def save(self, level: Level, was: Level | None) -> None:
        known = self.known.get(level.sku)
        if (known.sequence if known else None) != (was.sequence if was else None):
            raise Stale(level.sku)
        self.known[level.sku] = level
