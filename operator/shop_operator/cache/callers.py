"""The ShopServices that pods may call, as far as their Deployments show it. Pure.

The template of a Deployment names the dependencies that its newest pods call. The dependencies of older pods are unknown without
a request, so a Deployment that may have such pods counts as a caller of every ShopService in its namespace.
"""

from collections import defaultdict
from collections.abc import Collection


class Callers:
    """The calls in one namespace. A Deployment has a name, and belongs to a ShopService."""

    def __init__(self) -> None:
        self._calls: dict[str, frozenset[str]] = {}
        self._called: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._rolling: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._calls or self._rolling)

    def put(self, name: str, owner: str, calls: Collection[str], *, rolling: bool) -> None:
        """Store one Deployment.

        Args:
            name: of the Deployment.
            owner: its ShopService.
            calls: the ShopServices that its template names.
            rolling: whether it may have pods of an earlier template.
        """
        self.remove(name)
        if calls:
            self._calls[name] = frozenset(calls)
        for each in calls:
            self._called[each][name] = owner
        if rolling:
            self._rolling[name] = owner

    def remove(self, name: str) -> None:
        """Remove a deleted Deployment."""
        self._rolling.pop(name, None)
        for each in self._calls.pop(name, ()):
            del self._called[each][name]
            if not self._called[each]:
                del self._called[each]

    def of(self, shopservice: str) -> frozenset[str]:
        """The ShopServices that may call this one, without itself."""
        found = {*self._called.get(shopservice, {}).values(), *self._rolling.values()}
        return frozenset(found - {shopservice})
