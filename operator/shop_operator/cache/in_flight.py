"""Events of objects that the operator is writing wait for the response to that write.

A watch is often faster than the response, and shows the same object. Handled before the response, the event would cause
another pass.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from shop_operator.names import KIND, ChildId, Key
from shop_operator.objects.lenient import mapping

Show = Callable[[str | None, Mapping[str, Any]], None]
"""Takes the type and the object of an event."""


class InFlight:
    """The objects that are being written.

    Args:
        show: receives the events that have waited.
    """

    def __init__(self, show: Show = lambda *_: None) -> None:
        self._show = show
        # By object, the last event of each UID, in order.
        self._waiting: dict[tuple[str, str, str], dict[str, tuple[str | None, Mapping[str, Any]]]] = {}

    @contextmanager
    def writing(self, key: Key, child: ChildId | None = None) -> Iterator[None]:
        """Hold back the events of a ShopService or its child while it is written; at the end, the response must be in the store."""
        kind, name = (KIND, key.name) if child is None else child
        place = (kind, key.namespace, name)
        self._waiting[place] = {}
        try:
            yield
        finally:
            for event, obj in self._waiting.pop(place).values():
                self._show(event, obj)

    def waits(self, event: str | None, obj: Mapping[str, Any]) -> bool:
        """Whether an event is held back; it is shown later."""
        if not self._waiting:
            return False
        metadata = mapping(obj.get("metadata"))
        waiting = self._waiting.get(
            (obj.get("kind", ""), metadata.get("namespace", ""), metadata.get("name", ""))
        )
        if waiting is None:
            return False
        uid = metadata.get("uid", "")
        waiting.pop(uid, None)
        waiting[uid] = (event, obj)
        return True
