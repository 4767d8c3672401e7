"""No piece of stock is created or lost, for any order of tasks."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.common.values.errors import TaskFailed
from services.product import handlers
from services.product.domain import Contradiction, Item, State
from tests.services.product.fakes import MemoryShop
from tests.services.product.world import inventory, product

START = {"CUP": 7, "TEA": 3, "POT": 1}
ORDERS = st.sampled_from([f"order-{number}" for number in range(6)])
ITEMS = st.lists(
    st.builds(Item, st.sampled_from([*START, "UNKNOWN"]), st.integers(1, 5)), min_size=1, max_size=4
)


class Stock(RuleBasedStateMachine):
    """Tasks for a few orders, each at any time and any number of times."""

    def __init__(self) -> None:
        super().__init__()
        self.shop = MemoryShop()
        self.ended: dict[str, State] = {}
        for sku, quantity in START.items():
            handlers.put_product(product(sku), quantity, catalogue=self.shop)

    @rule(order_id=ORDERS, items=ITEMS)
    def reserve(self, order_id: str, items: list[Item]) -> None:
        try:
            handlers.reserve_stock(order_id, items, stock=self.shop)
        except TaskFailed:
            known = self.shop.reservation(order_id)
            assert known is not None
            assert known.state in {State.REFUSED, State.RELEASED}

    @rule(order_id=ORDERS)
    def release(self, order_id: str) -> None:
        try:
            handlers.release_stock(order_id, stock=self.shop)
        except Contradiction:
            assert self.ended[order_id] is State.COMMITTED
        else:
            self.ended[order_id] = State.RELEASED

    @rule(order_id=ORDERS)
    def commit(self, order_id: str) -> None:
        try:
            handlers.commit_stock(order_id, stock=self.shop)
        except Contradiction:
            assert self.ended.get(order_id) is not State.COMMITTED
        else:
            self.ended[order_id] = State.COMMITTED

    @rule(sku=st.sampled_from(list(START)), quantity=st.integers(0, 100))
    def seed(self, sku: str, quantity: int) -> None:
        handlers.put_product(product(sku), quantity, catalogue=self.shop)

    @invariant()
    def every_piece_is_on_one_shelf(self) -> None:
        for sku, start in START.items():
            held = inventory(self.shop, sku)
            assert held.available + held.reserved + held.sold == start
            assert min(held.available, held.reserved, held.sold) >= 0

    @invariant()
    def what_is_reserved_is_some_orders(self) -> None:
        kept = dict.fromkeys(START, 0)
        for number in range(6):
            known = self.shop.reservation(f"order-{number}")
            if known is not None and known.state is State.RESERVED:
                for item in known.items:
                    kept[item.sku] += item.quantity
        assert kept == {sku: inventory(self.shop, sku).reserved for sku in START}


Stock.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestStock = Stock.TestCase
