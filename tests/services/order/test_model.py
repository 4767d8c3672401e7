"""For any order of requests, tasks and events, an order reaches one final state, and its timeline shows how."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.common.http.idempotency import Answer, KeyedRequest
from services.common.values import clock
from services.common.values.caller import Caller
from services.order import handlers
from services.order.domain import Address, Contradiction, Item, Order, State, TooLateToCancel
from services.order.handlers import PlaceOrder
from tests.services.order.world import World

ALICE = Caller("alice", frozenset({"orders:read", "orders:write"}))
WISH = PlaceOrder(
    "alice", (Item("TEA", 2),), "tok_approve", Address("Ada", "1 Analytical Way", "London", "N1", "GB")
)
KEYS = st.sampled_from([f"key-{number}" for number in range(3)])
ENDS = {State.SHIPPED, State.REJECTED, State.CANCELLED}


class Orders(RuleBasedStateMachine):
    """Requests, tasks and events of a few orders, at any time and any number of times."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.answered: dict[str, Answer] = {}
        self.ids: list[str] = []
        self.cancelled: set[str] = set()
        self.confirmed: set[str] = set()
        self.ended: dict[str, State] = {}

    def _id(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(self.ids), "order")

    def _order(self, order_id: str) -> Order:
        found = self.world.orders.get(order_id)
        assert found is not None
        return found

    def _task(self, name: str, order_id: str, **fields: Any) -> Any:
        self.world.now.passes(seconds=1)
        return self.world.task(name, order_id, **fields)

    @rule(key=KEYS)
    def place(self, key: str) -> None:
        answer = handlers.place_order(
            WISH,
            KeyedRequest("alice POST /orders", key, "the same"),
            lambda order: Answer(202, {"id": order.id}),
            orders=self.world.orders,
            products=self.world.products,
            idempotency=self.world.idempotency,
            now=self.world.now,
        )
        assert self.answered.setdefault(key, answer) == answer
        if answer.body["id"] not in self.ids:
            self.ids.append(answer.body["id"])

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        order_id = self._id(data)
        was = self._order(order_id)
        try:
            handlers.cancel_order(order_id, ALICE, orders=self.world.orders, now=self.world.now)
        except TooLateToCancel:
            assert order_id in self.confirmed or was.state in {State.SHIPPED, State.REJECTED}
            assert was.state is State.REJECTED or not was.is_undone
        else:
            assert was.is_undone or order_id not in self.confirmed
            self.cancelled.add(order_id)

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def check(self, data: st.DataObject) -> None:
        order_id = self._id(data)
        was = self._order(order_id)
        answer = self._task("CheckOrder", order_id, reserved_at=clock.rfc3339(self.world.now()))
        assert ("error" in answer) == was.is_undone

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        order_id = self._id(data)
        was = self._order(order_id)
        answer = self._task("ConfirmOrder", order_id, charged_at=clock.rfc3339(self.world.now()))
        assert ("error" in answer) == was.is_undone
        if "error" not in answer:
            self.confirmed.add(order_id)

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def turn_back(self, data: st.DataObject) -> None:
        order_id = self._id(data)
        shipped = self._order(order_id).state is State.SHIPPED
        try:
            self._task("StartCancelling", order_id, error="ShipmentRefused", cause="no")
        except Contradiction:
            assert shipped
        else:
            assert not shipped

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        order_id = self._id(data)
        undone = self._order(order_id).is_undone
        at = clock.rfc3339(self.world.now())
        times = dict.fromkeys(("reserved_at", "charged_at", "booked_at"), at)
        try:
            answer = self._task("CompleteOrder", order_id, tracking_number="T-1", **times)
        except Contradiction:
            assert undone
        else:
            assert answer == {"state": "SHIPPED"}

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), refunded=st.sampled_from((0, 2598)))
    def undo(self, data: st.DataObject, refunded: int) -> None:
        order_id = self._id(data)
        shipped = self._order(order_id).state is State.SHIPPED
        money = {"amount": refunded, "currency": "EUR"}
        try:
            answer = self._task("CancelOrder", order_id, error="PaymentDeclined", cause="no", refunded=money)
        except Contradiction:
            assert shipped
        else:
            assert answer["state"] in {"CANCELLED", "REJECTED"}
            if self._order(order_id).cancel_requested_at is not None:
                assert answer["state"] == "CANCELLED"

    @invariant()
    def an_end_is_the_last_word(self) -> None:
        for order_id in self.ids:
            state = self._order(order_id).state
            if state in ENDS:
                assert self.ended.setdefault(order_id, state) is state
            else:
                assert order_id not in self.ended

    @invariant()
    def what_was_cancelled_in_time_is_not_shipped(self) -> None:
        assert not any(self._order(order_id).state is State.SHIPPED for order_id in self.cancelled)

    @invariant()
    def a_timeline_goes_one_way_and_names_each_state_once(self) -> None:
        for order_id in self.ids:
            states = [step.state for step in self._order(order_id).timeline]
            assert states == sorted(set(states), key=lambda state: state.rank)

    @invariant()
    def each_order_is_told_of_once_and_each_end_once(self) -> None:
        kinds = [
            (message.payload["type"], message.payload["subject"])
            for record in self.world.outbox.pending(1000)
            for message in record.messages
            if message.kind == "fact"
        ]
        ends = [(f"shop.order.{state.lower()}.v1", order_id) for order_id, state in self.ended.items()]
        accepted = [("shop.order.accepted.v1", order_id) for order_id in self.ids]
        assert sorted(kinds) == sorted([*accepted, *ends])


Orders.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestOrders = Orders.TestCase
