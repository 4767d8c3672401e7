"""The events of orders that are counted. The contracts of the order service define their structure."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from services.common.values.money import Money
from services.sales.domain import Accepted, Ended, Fact

_Count = Annotated[int, Field(ge=1)]
_Text = Annotated[str, Field(min_length=1)]


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Amount(_Shape):
    amount: int = Field(ge=0)
    currency: str = Field(pattern=r"^[A-Z]{3}$")

    def money(self) -> Money:
        return Money(self.amount, self.currency)


class _Item(_Shape):
    sku: _Text
    quantity: _Count


class _Order(_Shape):
    order_id: _Text


class _AcceptedOrder(_Order):
    items: list[_Item] = Field(min_length=1)
    total: _Amount


class _UndoneOrder(_Order):
    refunded: _Amount


class _Event(_Shape):
    id: _Text
    # Only the order service publishes events of orders.
    source: Literal["/order"]
    # JSON has no type for times: the string is converted.
    time: AwareDatetime = Field(strict=False)


class _AcceptedEvent(_Event):
    type: Literal["shop.order.accepted.v1"]
    data: _AcceptedOrder


class _ShippedEvent(_Event):
    type: Literal["shop.order.shipped.v1"]
    data: _Order


class _UndoneEvent(_Event):
    type: Literal["shop.order.rejected.v1", "shop.order.cancelled.v1"]
    data: _UndoneOrder


_EVENT: TypeAdapter[_AcceptedEvent | _ShippedEvent | _UndoneEvent] = TypeAdapter(
    Annotated[_AcceptedEvent | _ShippedEvent | _UndoneEvent, Field(discriminator="type")]
)
TYPES = (
    "shop.order.accepted.v1",
    "shop.order.cancelled.v1",
    "shop.order.rejected.v1",
    "shop.order.shipped.v1",
)


def fact(event: Mapping[str, Any]) -> Fact:
    """Parses a CloudEvent.

    Raises:
        ValueError: the event violates its contract, or its type is not counted.
    """
    read = _EVENT.validate_python(event)
    return Fact(read.id, read.data.order_id, read.time.astimezone(UTC).date(), _content(read))


def _content(event: _AcceptedEvent | _ShippedEvent | _UndoneEvent) -> Accepted | Ended:
    match event:
        case _AcceptedEvent():
            units: Counter[str] = Counter()
            for item in event.data.items:
                units[item.sku] += item.quantity
            return Accepted(event.data.total.money(), units)
        case _ShippedEvent():
            return Ended("shipped")
        case _UndoneEvent():
            return Ended(event.type.split(".")[2], event.data.refunded.money())
