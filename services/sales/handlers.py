"""What the sales view does with a fact."""

import random
import time

from services.common.values.errors import Unavailable
from services.sales import domain
from services.sales.domain import Fact
from services.sales.ports import Sales, Stale

# Functions that work at once on orders of one day meet at the day's sums.
TRIES = 8
LONGEST_PAUSE = 0.05


def count(fact: Fact, *, sales: Sales) -> bool:
    """Counts a fact once, however often it comes; answers whether it was new.

    Raises:
        Unavailable: when others were always faster; the same may succeed later.
    """
    for _ in range(TRIES):
        known = sales.known(fact.order_id)
        after, additions = domain.count(known, fact)
        if after == known:
            return False
        try:
            sales.save(after, additions)
        except Stale:
            time.sleep(random.uniform(0, LONGEST_PAUSE))  # noqa: S311 - a pause, not a secret
            continue
        return True
    raise Unavailable(f"order {fact.order_id} is being counted too often; send the same again")
