"""What a rendering depends on beside the ShopService itself, gathered by whoever calls it."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from shop_operator.spec import DEFAULT_PORT


@dataclass(frozen=True)
class Surroundings:
    """The rest of the cluster, as far as it shows in a child.

    Args:
        dependencies: the port of each dependency that there is, by its name.
        dependants: the ShopServices of the namespace that depend on this one.
        checksum: of the ConfigMaps and Secrets that its variables come from; None when there are none.
        unmarked: the Deployments whose pods do not carry a checksum, each with the one that was true when that was seen first.
        served: the kinds that the API server serves; None for all.
        image: runs in place of spec.image, after an automatic rollback.
        hold: no pods yet, since dependencies are waited for.
    """

    dependencies: Mapping[str, int] = field(default_factory=dict)
    dependants: AbstractSet[str] = frozenset()
    checksum: str | None = None
    unmarked: Mapping[str, str | None] = field(default_factory=dict)
    served: AbstractSet[str] | None = None
    image: str | None = None
    hold: bool = False

    def checksum_of(self, deployment: str) -> tuple[str | None, str | None]:
        """The checksum that a Deployment carries itself, and the one that its pods carry.

        Pods that were made without one must not be replaced only to get it: their Deployment keeps the first that was seen
        beside them, and they get one with the first that differs.
        """
        first = self.unmarked.get(deployment, "")
        if self.checksum is None or first not in {None, self.checksum}:
            return None, self.checksum
        return self.checksum, None

    def port(self, dependency: str) -> int:
        """Where a dependency answers; the default port as long as it does not exist."""
        return self.dependencies.get(dependency, DEFAULT_PORT)

    def serves(self, kind: str) -> bool:
        """Whether there can be objects of a kind."""
        return self.served is None or kind in self.served
