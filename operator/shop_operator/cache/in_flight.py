"""What a watch shows of an object while an own write of it is under way waits for the answer of that write.

The watch is often faster than the answer, and shows the same. Without the answer it would be news, and cost another pass.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from shop_operator.names import KIND, ChildId, Key
from shop_operator.objects.lenient import mapping

Show = Callable[[str | None, Mapping[str, Any]], None]
"""Stores an event."""


class InFlight:
    """The objects that are being written.

    Args:
        show: told of what has waited.
    """

    def __init__(self, show: Show = lambda *_: None) -> None:
        self._show = show
        # By object, the last event of each UID, in their order.
        self._waiting: dict[tuple[str, str, str], dict[str, tuple[str | None, Mapping[str, Any]]]] = {}

    @contextmanager
    def writing(self, key: Key, child: ChildId | None = None) -> Iterator[None]:
        """A child of that ShopService, or itself, is being written; in the end the answer must be in the store."""
        kind, name = (KIND, key.name) if child is None else child
        place = (kind, key.namespace, name)
        self._waiting[place] = {}
        try:
            yield
        finally:
            for event, obj in self._waiting.pop(place).values():
                self._show(event, obj)

    def waits(self, event: str | None, obj: Mapping[str, Any]) -> bool:
        """Whether this has to wait, and is shown later."""
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
