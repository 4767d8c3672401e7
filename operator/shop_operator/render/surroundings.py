"""What a rendering depends on beside the ShopService itself, gathered by whoever calls it."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from shop_operator.api.v1alpha1.common_metadata import NOTHING, CommonMetadata
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.api.v1alpha1.spec import DEFAULT_PORT
from shop_operator.objects.pod_security import Level
from shop_operator.objects.summary import LiveRoute
from shop_operator.render.configuration import Record


@dataclass(frozen=True)
class Surroundings:
    """The rest of the cluster, as far as it shows in a child.

    Args:
        dependencies: the port of each dependency that there is or that pods are told, by its name.
        dependants: the ShopServices of the namespace that depend on this one.
        records: of the configuration that each Deployment uses, by its name.
        routes: its HTTPRoutes that there are, by name.
        part_of: the part-of label that the pods of a Deployment keep, by its name.
        common: metadata of every child of all ShopServices.
        old_ports: earlier ports of its Service that are still needed.
        routed_port: where HTTPRoutes send requests; None for spec.port.
        called_ports: further ports on which pods of a dependency may answer, by its name.
        old_parents: references to Gateways that an HTTPRoute still needs, by its name.
        served: the kinds that the API server serves; None for all.
        pods: the ShopService by whose spec pods are made, after an automatic rollback; None for the same.
        hold: no pods yet, since dependencies are waited for.
        pod_security: the pod-security level of the namespace.
        queue_endpoints: the beginnings of addresses that KEDA may be pointed at beside those of AWS; None for any.
        discovered: whether its discovery hostname is its own, and not that of another ShopService.
    """

    dependencies: Mapping[str, int] = field(default_factory=dict)
    dependants: AbstractSet[str] = frozenset()
    records: Mapping[str, Record] = field(default_factory=dict)
    routes: Mapping[str, LiveRoute] = field(default_factory=dict)
    part_of: Mapping[str, str] = field(default_factory=dict)
    common: CommonMetadata = NOTHING
    old_ports: tuple[int, ...] = ()
    routed_port: int | None = None
    called_ports: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    old_parents: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    served: AbstractSet[str] | None = None
    pods: ShopService | None = None
    hold: bool = False
    pod_security: Level = "restricted"
    queue_endpoints: Sequence[str] | None = None
    discovered: bool = True

    def record(self, deployment: str) -> Record:
        """The annotations that record the configuration of one Deployment."""
        return self.records.get(deployment, Record())

    def port(self, dependency: str) -> int:
        """Where a dependency answers; the default port for one that is not known."""
        return self.dependencies.get(dependency, DEFAULT_PORT)

    def serves(self, kind: str) -> bool:
        """Whether there can be objects of a kind."""
        return self.served is None or kind in self.served
