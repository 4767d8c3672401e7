"""Finds children that an earlier process created and that only their owner reference still gives away.

A process that is killed between the creation of a child and its status write leaves a child that no status lists. If the label
of this child is removed before the next process starts, no watch shows it either.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import aclosing

from shop_operator.names import ChildId, Key
from shop_operator.objects.ownership import controller_of
from shop_operator.reconcile.api import Api
from shop_operator.reconcile.passes import Pass
from shop_operator.render import KINDS


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
        # Whether the children of a ShopService are known; decided before this process writes its status.
        self._complete: dict[Key, bool] = {}
        self._found: dict[str, Mapping[str, frozenset[ChildId]]] = {}
        self._listing = asyncio.Lock()

    async def children(self, this: Pass) -> frozenset[ChildId]:
        """The children of a ShopService that have lost their label; empty without a request if its status is up to date.

        Raises:
            OperatorError: a LIST failed; the next pass repeats it.
        """
        key, shop = this.key, this.shop
        # The children of the first generation are all desired.
        is_current = shop.generation == 1 or shop.status.get("observedGeneration") == shop.generation
        if self._complete.setdefault(key, is_current):
            return frozenset()
        found = (await self._of_namespace(key.namespace)).get(this.owner, frozenset())
        self._complete[key] = True
        return found

    def forget(self, key: Key) -> None:
        """Drop what is known of a deleted ShopService."""
        self._complete.pop(key, None)

    def clear(self) -> None:
        """Look again for every ShopService, because another process may have created children."""
        self._complete.clear()
        self._found.clear()

    async def _of_namespace(self, namespace: str) -> Mapping[str, frozenset[ChildId]]:
        """The unlabeled children in a namespace, by the UID of their controller."""
        async with self._listing:
            if namespace not in self._found:
                self._found[namespace] = await self._list(namespace)
            return self._found[namespace]

    async def _list(self, namespace: str) -> Mapping[str, frozenset[ChildId]]:
        found: defaultdict[str, set[ChildId]] = defaultdict(set)
        for kind in (each.kind for each in KINDS if each.kind in self._served()):
            async with aclosing(self._api.unlabeled(kind, namespace)) as objects:
                async for each in objects:
                    owner = controller_of(each).get("uid")
                    if isinstance(owner, str):
                        found[owner].add(ChildId(kind, each["metadata"]["name"]))
        return {owner: frozenset(children) for owner, children in found.items()}
