"""The audit accepts correct data, and detects every false entry."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.services.faults.audit import Books, audit

SHIPPED, CANCELLED = "0" * 36, "1" * 36
TODAY = "2026-07-29T10:00"


def right() -> Books:
    """Of one order that was shipped, and of one that was paid and cancelled."""
    books = Books(
        orders={
            SHIPPED: {
                "state": "SHIPPED",
                "total": {"amount": 500},
                "confirmed_at": f"{TODAY}:10Z",
                "address": {"postal_code": "10115"},
                "timeline": [],
            },
            CANCELLED: {
                "state": "CANCELLED",
                "total": {"amount": 700},
                "confirmed_at": f"{TODAY}:10Z",
                "address": {"postal_code": "10115"},
                "timeline": [
                    {"state": "PAID", "at": f"{TODAY}:09Z", "cause": "payment charged"},
                    {"state": "CANCELLED", "at": f"{TODAY}:39Z", "cause": "States.Timeout"},
                ],
            },
        },
        payments={
            SHIPPED: {"state": "CHARGED"},
            CANCELLED: {"state": "REFUNDED", "charge": {"charged_at": f"{TODAY}:09Z"}},
        },
        reservations={
            SHIPPED: {"state": "COMMITTED", "items": [{"sku": "CUP", "quantity": 2}]},
            CANCELLED: {"state": "RELEASED", "items": [{"sku": "CUP", "quantity": 3}]},
        },
        shipments={SHIPPED: {"state": "BOOKED"}, CANCELLED: {"state": "CANCELLED"}},
        products={"CUP": {"available": 8, "reserved": 0, "sold": 2}},
        stock_before={"CUP": 10},
        accepted={SHIPPED: ["a", "a"], CANCELLED: ["b"]},
        told_cancelled=frozenset({CANCELLED}),
        patience=30.0,
        threshold=2,
        changes={"CUP": [("1", 10), ("2", 2), ("3", 3), ("4", 4), ("5", 1), ("6", 8)]},
        levels={"CUP": {"sequence": "6", "available": 8}},
        low_stock={"CUP": {"CUP-low-1": {2}, "CUP-low-2": {1}}},
    )
    books.charges |= {SHIPPED: [500], CANCELLED: [700]}
    books.refunds |= {CANCELLED: [700]}
    books.bookings.update([SHIPPED, CANCELLED])
    books.cancellations.update([CANCELLED])
    for name, end in ((SHIPPED, "shipped"), (CANCELLED, "cancelled")):
        for kind in ("accepted", end):
            books.facts[name][f"shop.order.{kind}.v1"].add(f"{name}-{kind}")
    return books


def put(rows: dict[str, Any], name: str, **changed: Any) -> None:
    rows[name] = {**rows.get(name, {}), **changed}


FALSE: dict[str, tuple[str, Callable[[Books], object]]] = {
    "an accepted order is gone": ("lost order", lambda books: books.orders.pop(SHIPPED)),
    "an order that no customer knows": (
        "unknown order",
        lambda books: put(books.orders, "2" * 36, state="REJECTED", total={"amount": 1}),
    ),
    "one key with two answers": ("two answers", lambda books: put_answers(books, ["a", "c"])),
    "an accepted cancellation is shipped": (
        "shipped although cancelled",
        lambda books: setattr(books, "told_cancelled", frozenset({SHIPPED})),
    ),
    "an order waits": ("not ended", lambda books: put(books.orders, SHIPPED, state="PAID")),
    "a payment that disagrees": ("disagreement", lambda books: put(books.payments, SHIPPED, state="UNKNOWN")),
    "stock that disagrees": (
        "disagreement",
        lambda books: put(books.reservations, SHIPPED, state="RESERVED"),
    ),
    "a shipment that disagrees": ("disagreement", lambda books: books.shipments.pop(SHIPPED)),
    "a second charge": ("charged twice", lambda books: books.charges[SHIPPED].append(500)),
    "a second refund": ("refunded twice", lambda books: books.refunds[CANCELLED].append(700)),
    "a refund that is missing": ("money kept", lambda books: books.refunds.pop(CANCELLED)),
    "a refund of a shipped order": ("money missing", lambda books: books.refunds[SHIPPED].append(500)),
    "a charge that is missing": ("money missing", lambda books: books.charges.pop(SHIPPED)),
    "a parcel of a cancelled order": ("parcels", lambda books: books.cancellations.clear()),
    "no parcel of a shipped order": ("parcels", lambda books: books.bookings.subtract([SHIPPED])),
    "a piece that vanished": ("stock not conserved", lambda books: put(books.products, "CUP", available=7)),
    "a piece that is reserved for no order": (
        "stock of no order",
        lambda books: put(books.products, "CUP", available=7, reserved=1),
    ),
    "a piece that is sold to no order": (
        "stock of no order",
        lambda books: put(books.products, "CUP", available=7, sold=3),
    ),
    "a fact that was not told": (
        "fact not told",
        lambda books: books.facts[SHIPPED].pop("shop.order.shipped.v1"),
    ),
    "a fact under two ids": ("fact told twice", lambda books: tell(books, "shop.order.shipped.v1", "again")),
    "a false fact": ("false fact", lambda books: tell(books, "shop.order.rejected.v1", "false")),
    "a charge of no order": ("of no order", lambda books: books.charges["2" * 36].append(1)),
    "a record that waits": ("outbox not empty", lambda books: books.outboxes.update(["order"])),
    "an order that is watched": ("not reconciled", lambda books: books.watched.add(SHIPPED)),
    "an order that was paid and given up": (
        "undone too soon",
        lambda books: setattr(books, "patience", 31.0),
    ),
    "stock that ran low in secret": (
        "low stock not told",
        lambda books: setattr(books, "low_stock", {"CUP": {"CUP-low-1": {2}}}),
    ),
    "stock that did not run low": (
        "false low stock",
        lambda books: setattr(books, "threshold", 1),
    ),
    "stock that ran low with two levels": (
        "wrong low stock",
        lambda books: books.low_stock["CUP"]["CUP-low-1"].add(1),
    ),
    "a change that was not counted": (
        "level disagrees",
        lambda books: put(books.levels, "CUP", sequence="5"),
    ),
    "a fact of low stock that waits": (
        "level disagrees",
        lambda books: put(books.levels, "CUP", untold={}),
    ),
    "a dead letter": ("message given up", lambda books: books.dead_letters.update({"tasks-dlq": 1})),
}


def put_answers(books: Books, answers: list[str]) -> None:
    books.accepted = {**books.accepted, SHIPPED: answers}


def tell(books: Books, kind: str, fact: str) -> None:
    books.facts[SHIPPED][kind].add(fact)


def test_given_correct_records_when_they_are_audited_then_no_violation_is_found() -> None:
    assert audit(right()) == []


def test_given_a_workflow_aborted_while_undoing_an_order_when_it_is_audited_then_no_violation_is_found() -> (
    None
):
    books = right()
    books.patience, books.aborted_undoing = 31.0, frozenset({CANCELLED})
    assert audit(books) == []


@pytest.mark.parametrize("entry", FALSE)
def test_given_one_false_entry_when_the_records_are_audited_then_its_violation_is_found(entry: str) -> None:
    rule, falsify = FALSE[entry]
    books = right()
    falsify(books)
    assert rule in {violation.rule for violation in audit(books)}
