"""The state outside the ShopService that affects its children; `prepare` derives it from the facts."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from shop_operator.api.v1alpha1.common_metadata import NOTHING, CommonMetadata
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.api.v1alpha1.spec import DEFAULT_PORT
from shop_operator.objects.pod_security import Level
from shop_operator.objects.rollouts import LiveRollout
from shop_operator.objects.summary.http_route import LiveRoute
from shop_operator.render.configuration import Record


@dataclass(frozen=True)
class ClusterState:
    """The state of the cluster and the settings of the operator that affect the children of one ShopService.

    Attributes:
        called_ports: for each dependency, the ports on which its pods may answer; the first is the one to call.
        dependants: the ShopServices of the namespace that depend on this one.
        routes: the live HTTPRoutes, by name.
        rollouts: the live Rollouts, by name.
        picking: the Services whose selectors Argo Rollouts has restricted to the pods of one version.
        prometheus: the URL at which Argo Rollouts reaches Prometheus; empty for none.
        pods: the ShopService whose pods are rendered, after an automatic rollback; None for the ShopService itself.
        old_ports: earlier ports of the Service that are still in use.
        routed_port: the port to which HTTPRoutes send requests; None for spec.port.
        old_parents: for each HTTPRoute, references to Gateways that it still needs.
        served: the kinds that the API server serves; None for all.
        pod_security: the pod-security level of the namespace.
        queue_endpoints: prefixes of the queue addresses that are allowed in addition to those of AWS; None for any.
        common: metadata of the children of all ShopServices.
    """

    called_ports: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    dependants: AbstractSet[str] = frozenset()
    routes: Mapping[str, LiveRoute] = field(default_factory=dict)
    rollouts: Mapping[str, LiveRollout] = field(default_factory=dict)
    picking: AbstractSet[str] = frozenset()
    prometheus: str = ""
    pods: ShopService | None = None
    old_ports: tuple[int, ...] = ()
    routed_port: int | None = None
    old_parents: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    served: AbstractSet[str] | None = None
    pod_security: Level = "restricted"
    queue_endpoints: Sequence[str] | None = None
    common: CommonMetadata = NOTHING

    def serves(self, kind: str) -> bool:
        """Whether the API server serves a kind."""
        return self.served is None or kind in self.served


@dataclass(frozen=True)
class Surroundings(ClusterState):
    """The rest of the cluster, as far as it affects a child.

    Attributes:
        dependencies: the port on which to call each dependency, by the name of the dependency.
        records: the records of the configuration of each Deployment, by its name.
        part_of: the part-of label that the pods of each Deployment keep, by its name.
        hold: no pods are rendered yet, because the ShopService waits for dependencies.
        counts: the live replica counts of the Deployments themselves, by name.
        rolled_out: the Deployments that have completed a rollout, by name.
        discovered: whether the ShopService is registered under its discovery hostname, and no other ShopService is.
    """

    dependencies: Mapping[str, int] = field(default_factory=dict)
    records: Mapping[str, Record] = field(default_factory=dict)
    part_of: Mapping[str, str] = field(default_factory=dict)
    hold: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)
    rolled_out: AbstractSet[str] = frozenset()
    discovered: bool = True

    def record(self, deployment: str) -> Record:
        """The annotations that record the configuration of one Deployment."""
        return self.records.get(deployment, Record())

    def port(self, dependency: str) -> int:
        """The port on which to call a dependency; the default port if it is unknown."""
        return self.dependencies.get(dependency, DEFAULT_PORT)
