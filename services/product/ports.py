"""What the product service needs from the outside, as its handlers see it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.common.messaging.outbox import OutboxRecord
from services.common.values.errors import UnreadableRow
from services.product.domain import Inventory, Move, Product, Reservation, State, Stocked
from services.product.import_report import Report, Upload


class Superseded(Exception):
    """The file was replaced or removed, or another run of the same import has come further."""


@dataclass(frozen=True, slots=True)
class Search:
    """What to list.

    Args:
        words: all of them are in the name or the SKU, whatever their case and accents.
        category: of it only, if given, whatever its case and accents.
    """

    words: Sequence[str] = ()
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some products of a list, by SKU, and the SKU to go on after, if there are more."""

    products: tuple[Stocked, ...]
    next_after: str | None


class Catalogue(Protocol):
    """The products."""

    def find(self, sku: str) -> Stocked | None:
        """The product and its stock as they were last written.

        Raises:
            UnreadableRow: when they cannot be read.
        """

    def page(self, search: Search, after: str | None, limit: int) -> Page:
        """Products by SKU, from the one after `after`. May miss a product of the last second."""

    def put(self, product: Product, initial_stock: int, told: OutboxRecord | None) -> None:
        """Names and prices a product, and adds what is to be told of it: both or nothing.

        Args:
            product: the successor of the one that was read, see `Product.after`.
            initial_stock: what its stock begins at; stock that has begun is left alone.
            told: what is to be told.

        Raises:
            Stale: when another version or a later time was written since, or its stock is being moved.
        """

    def tell(self, told: OutboxRecord) -> None:
        """Adds what is to be told, of products that are as they were."""

    def restock(self, sku: str, available: int) -> None:
        """Sets how many pieces of a product can be ordered; what is reserved or sold stays so."""

    def now(self) -> datetime:
        """The time in whole seconds, by the clock of AWS: as uploads are dated, and whatever this process's clock says."""

    def ping(self) -> None:
        """Returns when products can be read, raises otherwise."""


class Stock(Protocol):
    """The stock, and what of it is whose."""

    def levels(self, skus: Collection[str]) -> Mapping[str, Inventory]:
        """The stock of those of the products that there are, by SKU.

        Raises:
            UnreadableRow: when that of one cannot be read.
        """

    def reservation(self, order_id: str) -> Reservation | None:
        """What was decided about an order's stock."""

    def save(
        self, reservation: Reservation, was: State | None, move: Move | None, told: OutboxRecord | None
    ) -> None:
        """Writes a reservation, moves its stock, and adds what is to be told: all of it or nothing.

        Args:
            reservation: as it is from now on.
            was: the state it was read in; None when there was none.
            move: what is moved with it.
            told: what is to be told.

        Raises:
            Stale: when it is in another state, too few are available, or the same stock is being moved.
            StockMissing: when what the reservation kept is not there any more.
        """


class Uploads(Protocol):
    """The uploaded files and the reports beside them."""

    def report(self, upload: Upload) -> tuple[Report, str]:
        """The report of this very upload, and its version; a new one and the version to replace otherwise.

        Raises:
            Superseded: when the same content was uploaded again, and that import has begun.
        """

    def read(self, upload: Upload, offset: int) -> Iterator[bytes]:
        """The bytes of the file from `offset` on.

        Raises:
            Superseded: when the file is not the uploaded one any more.
        """

    def save(self, upload: Upload, report: Report, version: str) -> str:
        """Writes the report; answers its new version.

        Raises:
            Superseded: when another run of this import or a later one has written it, or the file is not the uploaded
                one any more. What the run of an earlier upload has written is replaced.
        """


class Shelves(Catalogue, Protocol):
    """The catalogue, for many products at once."""

    def find_all(self, skus: Sequence[str]) -> Mapping[str, Stocked | UnreadableRow]:
        """Those of up to 100 products that there are, by SKU, as they were last written; why one cannot be read."""

    def put_all(self, batches: Sequence[tuple[Mapping[Product, int], OutboxRecord | None]]) -> list[bool]:
        """Names and prices products, as `put` does each, and answers which batches were written.

        Args:
            batches: products with the stock that they begin with, and what is to be told of them: all of it or nothing.
        """
