"""The data of one pass over one ShopService."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.snapshot import Shop
from shop_operator.names import ChildId, Key
from shop_operator.render.configuration import Configuration
from shop_operator.status.dependencies import Dependencies


@dataclass(frozen=True)
class Read:
    """The results of the requests that a pass sends before it renders; None for what could not be read.

    Attributes:
        config: the configuration of the pods.
        calls: the ports on which pods that no NetworkPolicy restricts yet call each ShopService, by its name.
        drain_wait: seconds until the pods are listed again that may call an earlier port of the Service; 0: no pod may.
    """

    config: Configuration | None
    calls: Mapping[str, Collection[int]] | None
    drain_wait: float


@dataclass(frozen=True)
class Pass:
    """One pass over one ShopService.

    Attributes:
        key: the key of the ShopService.
        cached: the ShopService as the store has it.
        shop: the ShopService.
        known: the children that it has had.
        depends: its dependencies.
        read: the results of the requests; empty until they are sent.
    """

    key: Key
    cached: Shop
    shop: ShopService
    known: frozenset[ChildId]
    depends: Dependencies | None = None
    read: Read = Read(None, None, 0.0)

    @property
    def owner(self) -> str:
        """The UID of the ShopService, which its children name as their controller."""
        return self.cached.uid
