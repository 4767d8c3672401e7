"""The order that a message is about, for log lines. Pure."""

from collections.abc import Mapping
from typing import Any

# Longer texts are no ID of an order.
LONGEST_ID = 64


def about(body: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a task, a CloudEvent or an outbox message for its log lines: {"order_id"}, or none of them."""
    data = body.get("data")
    order_id = body.get("order_id") or (data.get("order_id") if isinstance(data, Mapping) else None)
    if not isinstance(order_id, str) or len(order_id) > LONGEST_ID:
        return {}
    return {"order_id": order_id}
