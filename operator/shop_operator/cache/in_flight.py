"""Events of objects that the operator is writing wait for the response to that write.

A watch is often faster than the response, and shows the same object. Handled before the response, the event would cause
another pass.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from shop_operator.names import KIND, ChildId, Key
from shop_operator.objects.lenient import mapping

Show = Callable[[str | None, Mapping[str, Any]], None]
"""Takes the type and the object of an event."""


@dataclass
class _Writes:
    """The writes of one object that are not answered yet: two ShopServices may write a child of the same name.

    Attributes:
        number: the number of these writes.
        waiting: the last event of each UID, in order.
    """

    number: int = 0
    waiting: dict[str, tuple[str | None, Mapping[str, Any]]] = field(default_factory=dict)


class InFlight:
    """The objects that are being written.

    Args:
        show: receives the events that have waited.
    """

    def __init__(self, show: Show = lambda *_: None) -> None:
        self._show = show
        self._writes: dict[tuple[str, str, str], _Writes] = {}

    @contextmanager
    def writing(self, key: Key, child: ChildId | None = None) -> Iterator[None]:
        """Hold back the events of a ShopService or its child while it is written; at the end, the response must be in the store."""
        kind, name = (KIND, key.name) if child is None else child
        place = (kind, key.namespace, name)
        writes = self._writes.setdefault(place, _Writes())
        writes.number += 1
        try:
            yield
        finally:
            writes.number -= 1
            if not writes.number:
                del self._writes[place]
                for event, obj in writes.waiting.values():
                    self._show(event, obj)

    def waits(self, event: str | None, obj: Mapping[str, Any]) -> bool:
        """Whether an event is held back; it is shown later."""
        if not self._writes:
            return False
        metadata = mapping(obj.get("metadata"))
        writes = self._writes.get(
            (obj.get("kind", ""), metadata.get("namespace", ""), metadata.get("name", ""))
        )
        if writes is None:
            return False
        uid = metadata.get("uid", "")
        writes.waiting.pop(uid, None)
        writes.waiting[uid] = (event, obj)
        return True
