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
        served: the kinds that the API server serves; None for all.
        image: runs in place of spec.image, after an automatic rollback.
        hold: no pods yet, since dependencies are waited for.
    """

    dependencies: Mapping[str, int] = field(default_factory=dict)
    dependants: AbstractSet[str] = frozenset()
    checksum: str | None = None
    served: AbstractSet[str] | None = None
    image: str | None = None
    hold: bool = False

    def port(self, dependency: str) -> int:
        """Where a dependency answers; the default port as long as it does not exist."""
        return self.dependencies.get(dependency, DEFAULT_PORT)

    def serves(self, kind: str) -> bool:
        """Whether there can be objects of a kind."""
        return self.served is None or kind in self.served
