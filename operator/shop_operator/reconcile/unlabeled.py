"""Finds children that an earlier process created and that only their owner reference still gives away.

A process that is killed between the creation of a child and its status write leaves a child that no status lists. If the label
of this child is removed before the next process starts, no watch shows it either.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from dataclasses import dataclass, field

from shop_operator.names import KIND, ChildId, Key
from shop_operator.objects.ownership import controller_of
from shop_operator.reconcile.api import Api
from shop_operator.reconcile.passes import Pass
from shop_operator.render import KINDS


@dataclass
class _Namespace:
    """One namespace as this process has found it.

    Attributes:
        complete: whether the children of a ShopService are known, by its name; decided before this process writes its status.
        listing: held while the objects of the namespace are listed.
        found: by the name of a ShopService, the unlabeled objects that it controls with its UID; None until they are listed.
    """

    complete: dict[str, bool] = field(default_factory=dict)
    listing: asyncio.Lock = field(default_factory=asyncio.Lock)
    found: dict[str, set[tuple[str, ChildId]]] | None = None


class Unlabeled:
    """Lists the objects without the operator's label, once per namespace, when a status may not list all children.

    Only the first pass over a ShopService in this process can have such children: the watches show a label that is removed later.

    Args:
        api: the cluster.
        served: the kinds that the API server serves.
    """

    def __init__(self, api: Api, served: Callable[[], AbstractSet[str]]) -> None:
        self._api = api
        self._served = served
        self._namespaces: dict[str, _Namespace] = {}

    async def children(self, this: Pass) -> frozenset[ChildId]:
        """The children of a ShopService that have lost their label; empty without a request if its status is up to date.

        Raises:
            OperatorError: a LIST failed; the next pass repeats it.
        """
        name, shop = this.key.name, this.shop
        namespace = self._namespaces.setdefault(this.key.namespace, _Namespace())
        # The children of the first generation are all desired.
        is_current = shop.generation == 1 or shop.status.get("observedGeneration") == shop.generation
        if namespace.complete.setdefault(name, is_current):
            return frozenset()
        async with namespace.listing:
            if namespace.found is None:
                namespace.found = await self._list(this.key.namespace)
        namespace.complete[name] = True
        return frozenset(child for owner, child in namespace.found.pop(name, ()) if owner == this.owner)

    def forget(self, key: Key) -> None:
        """Drop what is known of a deleted ShopService, and of its namespace with the last one."""
        namespace = self._namespaces.get(key.namespace)
        if namespace is None:
            return
        namespace.complete.pop(key.name, None)
        if namespace.found is not None:
            namespace.found.pop(key.name, None)
        if not namespace.complete:
            del self._namespaces[key.namespace]

    def clear(self) -> None:
        """Look again for every ShopService, because another process may have created children."""
        self._namespaces.clear()

    async def _list(self, namespace: str) -> dict[str, set[tuple[str, ChildId]]]:
        """The unlabeled objects of a namespace that a ShopService controls; see _Namespace.found."""
        found: defaultdict[str, set[tuple[str, ChildId]]] = defaultdict(set)
        for kind in (each.kind for each in KINDS if each.kind in self._served()):
            async with aclosing(self._api.unlabeled(kind, namespace)) as objects:
                async for each in objects:
                    owner = controller_of(each)
                    name, uid = owner.get("name"), owner.get("uid")
                    if owner.get("kind") == KIND and isinstance(name, str) and isinstance(uid, str):
                        found[name].add((uid, ChildId(kind, each["metadata"]["name"])))
        return dict(found)
