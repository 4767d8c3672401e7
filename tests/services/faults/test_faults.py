"""Whatever fails and however often: no order is lost, no money is kept or given away, no piece of stock appears or vanishes.

`make test` runs 300 orders, `make soak` 20,000. FAULT_ORDERS and FAULT_SEED choose other ones.
"""

import os
import sys
import time

import pytest

from tests.services.faults.schedule import Schedule
from tests.services.faults.shop import World, world

ORDERS = int(os.environ.get("FAULT_ORDERS", "300"))
SEED = int(os.environ.get("FAULT_SEED", "1"))
ORDERS_PER_SECOND = 6.0
# A task may time out while its message is still on its way; one that has to be done is asked for again.
PATIENCE = {"TaskTimeoutSeconds": "20", "PaidTaskTimeoutSeconds": "60", "FinalTaskTimeoutSeconds": "30"}
# Long enough for a machine that does much else; a quiet one needs a tenth.
SETTLED_WITHIN = 900.0
# How many requests, and how many messages, come once more after all has ended.
REPEATED = 200

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.timeout(0),
    pytest.mark.skipif(sys.platform == "win32", reason="processes are stopped by POSIX signals"),
]


def say(what: str, began: float) -> None:
    sys.stderr.write(f"{time.monotonic() - began:6.1f} s  {what}\n")


def test_given_every_fault_when_orders_are_placed_then_each_ends_and_all_books_agree() -> None:
    began = time.monotonic()
    with world(SEED, pieces=max(300, ORDERS), parameters=PATIENCE) as shop:
        say("the shop runs, two of every process", began)
        patience = SETTLED_WITHIN + 5 * ORDERS / ORDERS_PER_SECOND
        with Schedule(shop.fleet, shop.proxy, shop.shop.emulator, shop.copy, SEED) as schedule:
            shop.customers.order(ORDERS, ORDERS_PER_SECOND, patience)
        say(f"{ORDERS} orders placed, {dict(schedule.done)}", began)
        shop.fleet.mend()
        shop.settle(SETTLED_WITHIN)
        say(f"settled; the customers were answered {dict(shop.customers.statuses)}", began)
        repeat_everything(shop)
        shop.settle(SETTLED_WITHIN)
        say(f"settled again; {shop.proxy.calls} calls of AWS, {dict(shop.proxy.injected)}", began)
        assert shop.customers.unanswered == []
        assert shop.customers.refused == []
        violations = shop.audit()
        say(f"{len(violations)} promises broken; slowest answer {shop.customers.slowest:.0f} s", began)
        assert violations == [], "\n".join([*map(str, violations), *list(shop.fleet.told())[-200:]])
        assert len(shop.customers.accepted) == ORDERS


def repeat_everything(shop: World) -> None:
    """Every customer asks once more, and messages of every kind come once more."""
    shop.customers.repeat(list(shop.customers.requests)[:REPEATED], SETTLED_WITHIN)
    known = list(shop.proxy.received)
    shop.send(known[:: max(1, len(known) // REPEATED)])
