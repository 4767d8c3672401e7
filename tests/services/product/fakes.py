"""The product service's ports in memory. test_ports.py holds them to the same contract as the real adapters."""

import threading
from collections.abc import Collection, Mapping
from dataclasses import replace

from services.product.domain import Inventory, Move, Product, Reservation, State, Stocked
from services.product.ports import Page, Search, Stale
from services.product.search import Entry, Index


class MemoryShop:
    """The catalogue and its stock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._products: dict[str, Stocked] = {}
        self._reservations: dict[str, Reservation] = {}

    def find(self, sku: str) -> Stocked | None:
        return self._products.get(sku)

    def page(self, search: Search, after: str | None, limit: int) -> Page:
        products = {sku: stocked.product for sku, stocked in self._products.items()}
        entries = [Entry(sku, product.name, product.category) for sku, product in products.items()]
        found = Index(entries).find(search, after, limit)
        return Page(tuple(self._products[sku] for sku in found.skus), found.next_after)

    def put(self, product: Product, initial_stock: int) -> None:
        known = self._products.get(product.sku)
        inventory = known.inventory if known else Inventory(product.sku, initial_stock)
        self._products[product.sku] = Stocked(product, inventory)

    def restock(self, sku: str, available: int) -> None:
        stocked = self._products[sku]
        self._products[sku] = replace(stocked, inventory=replace(stocked.inventory, available=available))

    def ping(self) -> None:
        pass

    def levels(self, skus: Collection[str]) -> Mapping[str, Inventory]:
        return {sku: self._products[sku].inventory for sku in skus if sku in self._products}

    def reservation(self, order_id: str) -> Reservation | None:
        return self._reservations.get(order_id)

    def save(self, reservation: Reservation, was: State | None, move: Move | None) -> None:
        with self._lock:
            known = self._reservations.get(reservation.order_id)
            if (known.state if known else None) is not was:
                raise Stale(reservation.order_id)
            moved = (
                {item.sku: self._moved(item.sku, item.quantity, move) for item in move.items} if move else {}
            )
            self._products |= moved
            self._reservations[reservation.order_id] = reservation

    def _moved(self, sku: str, quantity: int, move: Move) -> Stocked:
        stocked = self._products[sku]
        held = {shelf: getattr(stocked.inventory, shelf) for shelf in (move.source, move.target)}
        if held[move.source] < quantity:
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
