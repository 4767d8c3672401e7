"""What the sales view does with a fact."""

from services.common.runtime.retrying import retry_on_stale
from services.sales import domain
from services.sales.domain import Fact
from services.sales.ports import Sales


def count(fact: Fact, *, sales: Sales) -> bool:
    """Counts a fact once, however often it comes; answers whether it was new.

    Raises:
        Unavailable: when others were always faster; the same may succeed later.
    """

    def add() -> bool:
        known = sales.known(fact.order_id)
        after, additions = domain.count(known, fact)
        if after == known:
            return False
        sales.save(after, additions)
        return True

    # Functions that work at once on orders of one day meet at the day's sums.
    return retry_on_stale(add, f"the count of order {fact.order_id}")
