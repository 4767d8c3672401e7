"""Under all faults, no order is lost, no money is kept or given away, and no piece of stock is created or lost.

`make test` runs 300 orders, and `make soak` 20,000. FAULT_ORDERS and FAULT_SEED override the number and the seed.
"""

import os
import sys
import time
from collections import Counter

import pytest

from services.common.runtime.breaker import Limits
from tests.services.faults.audit import ENDS
from tests.services.faults.functions import FUNCTIONS
from tests.services.faults.proxy import CARRIER
from tests.services.faults.schedule import CALM, Schedule
from tests.services.faults.shop import World, world

ORDERS = int(os.environ.get("FAULT_ORDERS", "300"))
SEED = int(os.environ.get("FAULT_SEED", "1"))
# Seconds for which the workflow waits before the charge. Short, so that outages that are longer leave time for calm.
TASK_TIMEOUT = 10
# Half as long again as what gives up: the workflow before the charge, and a caller of the carrier that has stopped to call.
LONGER = 1.5
AWS_AWAY = LONGER * TASK_TIMEOUT
OUTAGES = {
    **dict.fromkeys(("dynamodb", "sns", "sqs", "states"), AWS_AWAY),
    CARRIER: max(AWS_AWAY, LONGER * Limits().recovery),
}
# So that orders are placed in every outage, and before each: customers wait for answers for half of the time.
ORDERS_PER_SECOND = min(6.0, 2 * ORDERS / (sum(OUTAGES.values()) + len(OUTAGES) * max(CALM)))
# The longest pauses of the shop are a minute: for a message, for a record of the outbox, and for a step that was paid.
SETTLED_WITHIN = 300.0
# How many requests, and how many messages, come once more after all has ended.
REPEATED = 200

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.timeout(0),
    pytest.mark.skipif(sys.platform == "win32", reason="processes are stopped by POSIX signals"),
]


def say(what: str, began: float) -> None:
    sys.stderr.write(f"{time.monotonic() - began:6.1f} s  {what}\n")


def test_given_every_fault_when_orders_are_placed_then_each_order_ends_and_all_records_agree() -> None:
    began = time.monotonic()
    with world(
        SEED,
        pieces=max(300, ORDERS),
        functions=FUNCTIONS,
        parameters={"TaskTimeoutSeconds": str(TASK_TIMEOUT)},
    ) as shop:
        say("the shop runs, two of every process", began)
        patience = 900 + 5 * ORDERS / ORDERS_PER_SECOND
        with Schedule(shop.fleet, shop.proxy, shop.shop.emulator, shop, OUTAGES, SEED) as schedule:
            shop.customers.order(ORDERS, ORDERS_PER_SECOND, patience)
            say(f"{ORDERS} orders placed", began)
        say(f"the last fault is over, {dict(schedule.done)}, missed calls {dict(shop.proxy.missed)}", began)
        shop.fleet.mend()
        left = shop.settle(SETTLED_WITHIN)
        assert left == [], "\n".join([*left, *list(shop.fleet.told())[-200:]])
        say(f"settled; the customers were answered {dict(shop.customers.statuses)}", began)
        repeat_everything(shop)
        left = shop.settle(SETTLED_WITHIN)
        say(f"settled again; {shop.proxy.calls} calls of AWS, {dict(shop.proxy.injected)}", began)
        assert left == []
        assert shop.customers.unanswered == []
        assert shop.customers.refused == []
        violations = shop.audit()
        orders = shop.books().orders.values()
        ends = Counter(row["state"] for row in orders)
        causes = Counter(
            row["timeline"][-1]["cause"].partition(":")[0] for row in orders if row["state"] != "SHIPPED"
        )
        say(
            f"{len(violations)} promises broken; {dict(ends)}, by {dict(causes)}; slowest answer {shop.customers.slowest:.0f} s",
            began,
        )
        assert violations == [], "\n".join([*map(str, violations), *list(shop.fleet.told())[-200:]])
        assert len(shop.customers.accepted) == ORDERS
        assert shop.proxy.missed.keys() == OUTAGES.keys()
        assert ends.keys() == ENDS


def repeat_everything(shop: World) -> None:
    """Every customer retries, and messages of every kind are delivered again."""
    shop.customers.repeat(list(shop.customers.requests)[:REPEATED], SETTLED_WITHIN)
    known = list(shop.proxy.received)
    shop.send(known[:: max(1, len(known) // REPEATED)])
