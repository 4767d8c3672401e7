"""The desired children of a ShopService, from its spec and from facts about the cluster. Pure.

The operator and `kubectl shop diff` gather the facts and both call `prepare`, so they agree on the children and on the problems.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from shop_operator.api.v1alpha1.common_metadata import NOTHING, CommonMetadata
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import Conflict, NotInstalled
from shop_operator.names import ChildId, Key
from shop_operator.objects.pod_security import Level
from shop_operator.objects.rollouts import LiveRollout
from shop_operator.objects.summary.http_route import LiveRoute
from shop_operator.render import account_name, render
from shop_operator.render.configuration import Configuration, Record
from shop_operator.render.discovery import hostname, taken
from shop_operator.render.installed import left_out, not_installed
from shop_operator.render.replicas import LiveScale
from shop_operator.render.surroundings import Surroundings


@dataclass(frozen=True)
class LiveDeployment:
    """A live Deployment of the ShopService.

    Attributes:
        images: the images of its containers.
        part_of: the part-of label of its pods; None unless the operator set it.
        record: the annotations that record its configuration.
        replicas: its desired number of pods.
        rolled_out: whether all of its pods have its newest template and are available.
    """

    images: frozenset[str]
    part_of: str | None
    record: Record
    replicas: int = 0
    rolled_out: bool = False


@dataclass(frozen=True)
class Facts:
    """The state of the cluster and the settings of the operator that affect the children of one ShopService.

    Attributes:
        called_ports: for each dependency, the ports on which its pods may answer; the first is the one to call.
        dependants: the ShopServices of the namespace that depend on this one.
        deployments: the live Deployments, by name.
        routes: the live HTTPRoutes, by name.
        rollouts: the live Rollouts, by name.
        picking: the Services whose selectors Argo Rollouts has restricted to the pods of one version.
        prometheus: the URL at which Argo Rollouts reaches Prometheus; empty for none.
        scale: the live replica counts; None before the first Deployment.
        configuration: the configuration that the pods use; None if it cannot be read.
        records: records to apply in place of those of `configuration`, by the name of the Deployment; None for those.
        pods: the ShopService whose pods are rendered, after an automatic rollback; None for the ShopService itself.
        hostname_holder: the ShopService that is registered under the discovery hostname of this one; None for none.
        old_ports: earlier ports of the Service that are still in use.
        routed_port: the port to which HTTPRoutes send requests; None for spec.port.
        old_parents: for each HTTPRoute, references to Gateways that it still needs.
        wait: seconds for which the first pods wait for dependencies.
        served: the kinds that the API server serves; None for all.
        pod_security: the pod-security level of the namespace.
        queue_endpoints: prefixes of the queue addresses that are allowed in addition to those of AWS; None for any.
        common: metadata of the children of all ShopServices.
    """

    called_ports: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    dependants: AbstractSet[str] = frozenset()
    deployments: Mapping[str, LiveDeployment] = field(default_factory=dict)
    routes: Mapping[str, LiveRoute] = field(default_factory=dict)
    rollouts: Mapping[str, LiveRollout] = field(default_factory=dict)
    picking: AbstractSet[str] = frozenset()
    prometheus: str = ""
    scale: LiveScale | None = None
    configuration: Configuration | None = None
    records: Mapping[str, Record] | None = None
    pods: ShopService | None = None
    hostname_holder: Key | None = None
    old_ports: tuple[int, ...] = ()
    routed_port: int | None = None
    old_parents: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    wait: float = 0.0
    served: AbstractSet[str] | None = None
    pod_security: Level = "restricted"
    queue_endpoints: Sequence[str] | None = None
    common: CommonMetadata = NOTHING

    def part_of(self, image: str) -> dict[str, str]:
        """The part-of label that the pods of each Deployment that runs an image keep, by the name of the Deployment."""
        return {
            name: live.part_of
            for name, live in self.deployments.items()
            if live.part_of is not None and image in live.images
        }


@dataclass(frozen=True)
class Prepared:
    """The desired state of one ShopService.

    Attributes:
        shop: the ShopService.
        desired: its children as complete apply configurations, in the order in which they are applied.
        around: the surroundings with which they are rendered.
        problems: what the cluster does not permit; the children are rendered without it.
        notes: what is omitted without being a problem.
    """

    shop: ShopService
    desired: list[dict[str, Any]]
    around: Surroundings
    problems: tuple[Conflict | NotInstalled, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def kept(self) -> frozenset[ChildId]:
        """The children that are not deleted: the desired ones, and the ServiceAccount of the pods, even if the operator created it."""
        account = ChildId("ServiceAccount", account_name(self.around.pods or self.shop))
        return frozenset(
            {account, *(ChildId(each["kind"], each["metadata"]["name"]) for each in self.desired)}
        )


def prepare(shop: ShopService, facts: Facts) -> Prepared:
    """Render a ShopService as it is desired in that cluster.

    Raises:
        InvalidSpec: the spec cannot be rendered.
    """
    conflicts = tuple(_hostname_taken(shop, facts.hostname_holder))
    around = Surroundings(
        dependencies={name: ports[0] for name, ports in facts.called_ports.items()},
        called_ports=facts.called_ports,
        dependants=facts.dependants,
        records=_records(facts),
        routes=facts.routes,
        part_of=facts.part_of((facts.pods or shop).spec.image),
        common=facts.common,
        old_ports=facts.old_ports,
        routed_port=facts.routed_port,
        old_parents=facts.old_parents,
        served=facts.served,
        pods=facts.pods,
        hold=facts.wait > 0,
        pod_security=facts.pod_security,
        queue_endpoints=facts.queue_endpoints,
        rollouts=facts.rollouts,
        counts={name: live.replicas for name, live in facts.deployments.items()},
        rolled_out={name for name, live in facts.deployments.items() if live.rolled_out},
        picking=facts.picking,
        prometheus=facts.prometheus,
        discovered=not conflicts,
    )
    return Prepared(
        shop,
        render(shop, live=facts.scale, around=around),
        around,
        (*conflicts, *not_installed(shop, around)),
        tuple(left_out(shop, around)),
    )


def _records(facts: Facts) -> Mapping[str, Record]:
    if facts.records is not None:
        return facts.records
    if facts.configuration is None:
        return {}
    return facts.configuration.records({name: live.record for name, live in facts.deployments.items()})


def _hostname_taken(shop: ShopService, holder: Key | None) -> Iterator[Conflict]:
    if holder is not None and holder != Key(shop.namespace, shop.name):
        yield taken(hostname(shop), holder.name if holder.namespace == shop.namespace else None)
