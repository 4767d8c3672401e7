"""The documents of the shop's API and of Jaeger, as far as the pages use them. Further fields are ignored."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shop_operator.cli.errors import NotReachable

Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class _Document(BaseModel):
    model_config = ConfigDict(strict=True)


class Amount(_Document):
    """Money in minor units."""

    amount: Integer
    currency: str


class Entry(_Document):
    """A state that an order has reached."""

    state: str
    at: str
    cause: str | None = None


class Item(_Document):
    """A product in an order."""

    name: str
    quantity: Integer


class Order(_Document):
    """An order."""

    id: str
    state: str
    items: list[Item]
    total: Amount
    created_at: str
    timeline: list[Entry]
    confirmed_at: str | None = None
    tracking_number: str | None = None


class Attempt(_Document):
    """An attempt to charge."""

    at: str
    outcome: str
    cause: str = ""


class Payment(_Document):
    """The payment of an order."""

    state: str
    charged: Amount | None = None
    refunded: Amount | None = None
    attempts: list[Attempt] = []


class Shipment(_Document):
    """The shipment of an order."""

    state: str
    tracking_number: str | None = None
    booked_at: str | None = None
    cause: str | None = None


class Missing(_Document):
    """A part of an order that could not be loaded."""

    part: str
    reason: str


class Details(_Document):
    """Response of GET /orders/{id}/details."""

    order: Order
    payment: Payment | None
    shipment: Shipment | None
    missing: list[Missing]


class Summary(_Document):
    """An order in a list."""

    id: str


class Orders(_Document):
    """Response of GET /orders."""

    items: list[Summary]


class Product(_Document):
    """A product in a list."""

    sku: str
    name: str


class Products(_Document):
    """Response of GET /products."""

    items: list[Product]
    next: str | None = None


class Inventory(_Document):
    """Response of GET /inventory/{sku}."""

    available: Integer
    reserved: Integer
    sold: Integer


class Tag(_Document):
    """An attribute of a span."""

    key: str
    value: Any = None


class Reference(_Document):
    """The parent of a span, or a link."""

    refType: str = ""  # noqa: N815  as in Jaeger
    spanID: str  # noqa: N815


class Span(_Document):
    """A span, with its times in microseconds."""

    spanID: str  # noqa: N815
    operationName: str = ""  # noqa: N815
    processID: str = ""  # noqa: N815
    startTime: Integer  # noqa: N815
    duration: Integer
    references: list[Reference] | None = None
    tags: list[Tag] | None = None


class Process(_Document):
    """The service that recorded a span."""

    serviceName: str = ""  # noqa: N815


class Trace(_Document):
    """A trace."""

    traceID: str  # noqa: N815
    spans: list[Span] | None = None
    processes: dict[str, Process] | None = None


class Traces(_Document):
    """Response of GET /api/traces."""

    data: list[Trace] | None = None


def checked(model: type[BaseModel], found: Any, name: str) -> dict[str, Any]:
    """The fields of the model in a document.

    Args:
        model: the model.
        found: the document.
        name: name of its API in the error message.

    Raises:
        NotReachable: a field is missing, or has another type.
    """
    try:
        return model.model_validate(found).model_dump()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise NotReachable(f"{name} returned an unexpected document ({place}: {first['msg']})") from error
