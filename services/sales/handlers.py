"""The use case of the sales figures: counts an event."""

from services.common.runtime.retrying import retry_on_stale
from services.sales import domain
from services.sales.domain import Fact
from services.sales.ports import Sales


def count(fact: Fact, *, sales: Sales) -> bool:
    """Counts an event once, even if it is delivered repeatedly. Returns whether it was new.

    Raises:
        Unavailable: a concurrent write won at every attempt. The same call may succeed later.
    """

    def add() -> bool:
        known = sales.known(fact.order_id)
        after, additions = domain.count(known, fact)
        if after == known:
            return False
        sales.save(after, additions)
        return True

    # Concurrent functions compete for the sums of a day.
    return retry_on_stale(add, f"the count of order {fact.order_id}")
