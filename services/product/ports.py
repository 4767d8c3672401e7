"""The ports of the product service: what its handlers require from storage."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.common.messaging.outbox import OutboxRecord
from services.common.values.errors import UnreadableRow
from services.product.domain import Inventory, Move, Product, Reservation, State, Stocked
from services.product.import_report import Report, Upload


class Superseded(Exception):
    """The file was replaced or removed, or another run has continued the same import."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search for products, which ignores case and accents.

    Args:
        words: words that the name or the SKU must contain.
        category: category of the products; None for all.
    """

    words: Sequence[str] = ()
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of products, sorted by SKU, and the SKU after which the next page starts, or None on the last page."""

    products: tuple[Stocked, ...]
    next_after: str | None


class Catalogue(Protocol):
    """The products."""

    def find(self, sku: str) -> Stocked | None:
        """The product and its stock, as last written, or None if it does not exist.

        Raises:
            UnreadableRow: the product cannot be parsed.
        """

    def page(self, search: Search, after: str | None, limit: int) -> Page:
        """Products sorted by SKU, starting after `after`. May omit products of the last second."""

    def put(self, product: Product, initial_stock: int, outbox_record: OutboxRecord | None) -> None:
        """Writes the name and the price of a product and its outbox record in one transaction.

        Args:
            product: successor of the product that was read, see `Product.after`.
            initial_stock: available pieces of a new product. The stock of an existing product does not change.
            outbox_record: outbox record.

        Raises:
            Stale: another version or a later time was written since, or the stock is being changed.
        """

    def publish_again(self, outbox_record: OutboxRecord) -> None:
        """Adds an outbox record without writing a product."""

    def restock(self, sku: str, available: int) -> None:
        """Sets the available pieces of a product. Reserved and sold pieces do not change."""

    def now(self) -> datetime:
        """The time in whole seconds by the clock of AWS, which also assigns the times of uploads."""

    def ping(self) -> None:
        """Raises an exception if products cannot be read."""


class Stock(Protocol):
    """The stock and its reservations."""

    def before_reserving(
        self, order_id: str, skus: Collection[str]
    ) -> tuple[Reservation | None, Mapping[str, Inventory]]:
        """The reservation of an order if it exists, and the stock of the existing products among `skus`, by SKU.

        Raises:
            UnreadableRow: the reservation or a product cannot be parsed.
        """

    def reservation(self, order_id: str) -> Reservation | None:
        """The reservation of an order, or None if it does not exist."""

    def save(
        self,
        reservation: Reservation,
        was: State | None,
        move: Move | None,
        outbox_record: OutboxRecord | None,
    ) -> None:
        """Writes a reservation, the move of its stock and the outbox record in one transaction.

        Args:
            reservation: new reservation.
            was: state of the reservation that was read; None if there was none.
            move: move of the stock, if any.
            outbox_record: outbox record, if any.

        Raises:
            Stale: the reservation has another state, too few pieces are available, or the same stock is being changed.
            StockMissing: the reserved stock no longer exists.
        """


class Uploads(Protocol):
    """The uploaded files and their reports."""

    def report(self, upload: Upload) -> tuple[Report, str]:
        """The report of an upload and its version. Without one, an empty report and the version that it replaces.

        Raises:
            Superseded: the same content was uploaded again, and that import has begun.
        """

    def read(self, upload: Upload, offset: int) -> Iterator[bytes]:
        """The bytes of the file from `offset` on.

        Raises:
            Superseded: the file was replaced or removed.
        """

    def save(self, upload: Upload, report: Report, version: str) -> str:
        """Writes the report, and replaces the report of an earlier upload. Returns the new version of the report.

        Raises:
            Superseded: another run of this import or a later one has written the report, or the file was replaced or removed.
        """


class Shelves(Catalogue, Protocol):
    """The catalog, with operations on many products."""

    def find_all(self, skus: Sequence[str]) -> Mapping[str, Stocked | UnreadableRow]:
        """The existing products among up to 100 SKUs, as last written; for an unreadable product, the error."""

    def put_all(self, batches: Sequence[tuple[Mapping[Product, int], OutboxRecord | None]]) -> list[bool]:
        """Writes products as `put` does, with one transaction per batch. Returns which batches were written.

        Args:
            batches: products with their initial stock, and the outbox record of the batch.
        """
