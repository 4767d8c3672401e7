"""What a fact of an order adds to which day's sales.

An order counts as ordered on the day it was accepted, and as revenue on the day it was shipped: what was refused or
taken back in between was never sold. Days are those of UTC. Only the acceptance tells what an order is worth, and
facts come in any order: whichever of the two comes last has both counted.
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
        total: what it costs.
        units: SKU -> pieces.
    """

    total: Money
    units: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Ended:
    """An order has ended.

    Args:
        how: one of ENDS.
        refunded: what was given back, for an order that was not shipped.
    """

    how: str
    refunded: Money | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that became true of an order.

    Args:
        id: the same again when the same fact comes again.
        order_id: the order.
        day: when, in UTC.
        content: what.
    """

    id: str
    order_id: str
    day: date
    content: Accepted | Ended


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an order so far.

    Args:
        order_id: the order.
        accepted: what it is worth, once that is known.
        shipped_on: the day, once that is known.
        facts: ids of what was counted.
        version: of the record; 0 is one that is not there yet.
    """

    order_id: str
    accepted: Accepted | None = None
    shipped_on: date | None = None
    facts: frozenset[str] = frozenset()
    version: int = 0


@dataclass(frozen=True, slots=True)
class Addition:
    """What is added to one day's sales in one currency.

    Args:
        day: in UTC.
        currency: ISO 4217 code.
        amounts: name -> number of orders, pieces, or minor units.
        sold: SKU -> pieces shipped.
    """

    day: date
    currency: str
    amounts: Mapping[str, int]
    sold: Mapping[str, int] = field(default_factory=dict)


def count(known: Known, fact: Fact) -> tuple[Known, tuple[Addition, ...]]:
    """What is known with the fact, and what it adds; nothing when it was counted before."""
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
    raise ValueError(f"{fact.id} says neither what was sold nor what was given back")


def _sale(accepted: Accepted | None, shipped_on: date | None) -> tuple[Addition, ...]:
    if accepted is None or shipped_on is None:
        return ()
    amounts = {"shipped": 1, "revenue": accepted.total.amount}
    return (Addition(shipped_on, accepted.total.currency, amounts, accepted.units),)
