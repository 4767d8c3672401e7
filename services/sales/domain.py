"""The contribution of an order's events to the sales of a day.

An order counts as ordered on the day of its acceptance, and as revenue on the day of its shipment. An order that was rejected
or cancelled in between was not sold. Days are in UTC. Only the event of the acceptance contains the value of an order, and
events arrive in any order, so the revenue is counted when both events have arrived.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from services.common.values.money import Money

ENDS = ("shipped", "rejected", "cancelled")


@dataclass(frozen=True, slots=True)
class Accepted:
    """An order was accepted.

    Args:
        total: total of the order.
        units: SKU -> number of pieces.
    """

    total: Money
    units: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Ended:
    """An order has ended.

    Args:
        how: one of ENDS.
        refunded: refunded amount, for an order that was not shipped.
    """

    how: str
    refunded: Money | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """An event of an order.

    Args:
        id: ID of the event, which is the same for each delivery.
        order_id: ID of the order.
        day: day of the event in UTC.
        content: the acceptance or the end of the order.
    """

    id: str
    order_id: str
    day: date
    content: Accepted | Ended


@dataclass(frozen=True, slots=True)
class Known:
    """The counted events of an order.

    Args:
        order_id: ID of the order.
        accepted: the acceptance, once its event has arrived.
        shipped_on: day of the shipment, once its event has arrived.
        facts: IDs of the counted events.
        version: version of the record; 0 if it does not exist yet.
    """

    order_id: str
    accepted: Accepted | None = None
    shipped_on: date | None = None
    facts: frozenset[str] = frozenset()
    version: int = 0


@dataclass(frozen=True, slots=True)
class Addition:
    """An addition to the sales of a day in one currency.

    Args:
        day: day in UTC.
        currency: ISO 4217 code.
        amounts: name -> number of orders, pieces, or minor units.
        sold: SKU -> number of shipped pieces.
    """

    day: date
    currency: str
    amounts: Mapping[str, int]
    sold: Mapping[str, int] = field(default_factory=dict)


def count(known: Known, fact: Fact) -> tuple[Known, tuple[Addition, ...]]:
    """The record of an order with an event, and the additions of the event. An event is counted once."""
    if fact.id in known.facts:
        return known, ()
    after = replace(known, facts=known.facts | {fact.id})
    match fact.content:
        case Accepted(total, units) as accepted:
            after = replace(after, accepted=accepted)
            amounts = {"orders": 1, "units": sum(units.values()), "ordered": total.amount}
            ordered = Addition(fact.day, total.currency, amounts)
            return after, (ordered, *_sale(accepted, after.shipped_on))
        case Ended(how="shipped"):
            after = replace(after, shipped_on=fact.day)
            return after, _sale(after.accepted, fact.day)
        case Ended(how, Money() as refunded):
            return after, (Addition(fact.day, refunded.currency, {how: 1, "refunded": refunded.amount}),)
    raise ValueError(f"event {fact.id} contains neither a sale nor a refund")


def _sale(accepted: Accepted | None, shipped_on: date | None) -> tuple[Addition, ...]:
    if accepted is None or shipped_on is None:
        return ()
    amounts = {"shipped": 1, "revenue": accepted.total.amount}
    return (Addition(shipped_on, accepted.total.currency, amounts, accepted.units),)
