"""What the product service needs from the outside, as its handlers see it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.product.domain import Inventory, Move, Product, Reservation, State, Stocked


class Stale(Exception):
    """What the decision was based on has changed, or is being changed: read it again and decide anew."""


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
        """The product and its stock as they were last written."""

    def page(self, search: Search, after: str | None, limit: int) -> Page:
        """Products by SKU, from the one after `after`. May miss a product of the last second."""

    def put(self, product: Product, initial_stock: int) -> None:
        """Names and prices a product; its stock begins at `initial_stock` and is left alone if it has begun."""

    def restock(self, sku: str, available: int) -> None:
        """Sets how many pieces of a product can be ordered; what is reserved or sold stays so."""

    def ping(self) -> None:
        """Returns when products can be read, raises otherwise."""


class Stock(Protocol):
    """The stock, and what of it is whose."""

    def levels(self, skus: Collection[str]) -> Mapping[str, Inventory]:
        """The stock of those of the products that there are, by SKU."""

    def reservation(self, order_id: str) -> Reservation | None:
        """What was decided about an order's stock."""

    def save(self, reservation: Reservation, was: State | None, move: Move | None) -> None:
        """Writes a reservation and moves its stock: all of it or nothing.

        Args:
            reservation: as it is from now on.
            was: the state it was read in; None when there was none.
            move: what is moved with it.

        Raises:
            Stale: when it is in another state, a shelf holds too few, or somebody is moving the same stock.
        """
