"""Which ShopServices may call which others, as far as their Deployments tell. Pure.

The template of a Deployment names the dependencies that its newest pods call. Of pods of an earlier template nothing is known
without asking for them, so a Deployment that may have some is taken to call every ShopService of its namespace.
"""

from collections import defaultdict
from collections.abc import Collection


class Callers:
    """Of one namespace; a Deployment has a name, and belongs to a ShopService."""

    def __init__(self) -> None:
        self._calls: dict[str, frozenset[str]] = {}
        self._called: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._rolling: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._calls or self._rolling)

    def put(self, name: str, owner: str, calls: Collection[str], *, rolling: bool) -> None:
        """Take down one Deployment.

        Args:
            name: of the Deployment.
            owner: its ShopService.
            calls: what its template calls.
            rolling: whether pods of an earlier template may be left.
        """
        self.remove(name)
        if calls:
            self._calls[name] = frozenset(calls)
        for each in calls:
            self._called[each][name] = owner
        if rolling:
            self._rolling[name] = owner

    def remove(self, name: str) -> None:
        """It is gone."""
        self._rolling.pop(name, None)
        for each in self._calls.pop(name, ()):
            del self._called[each][name]
            if not self._called[each]:
                del self._called[each]

    def of(self, shopservice: str) -> frozenset[str]:
        """The ShopServices that may call this one, itself left out."""
        found = {*self._called.get(shopservice, {}).values(), *self._rolling.values()}
        return frozenset(found - {shopservice})
