"""The desired children of a ShopService, from its spec and from facts about the cluster. Pure.

The operator and `kubectl shop diff` gather the facts and both call `prepare`, so they agree on the children and on the problems.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import Conflict, NotInstalled
from shop_operator.names import ChildId, Key
from shop_operator.render import account_name, render
from shop_operator.render.configuration import Configuration, Record
from shop_operator.render.discovery import hostname, taken
from shop_operator.render.installed import left_out, not_installed
from shop_operator.render.replicas import LiveScale
from shop_operator.render.surroundings import ClusterState, Surroundings


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
class Facts(ClusterState):
    """The input of `prepare`, which derives the surroundings from it.

    Attributes:
        deployments: the live Deployments, by name.
        scale: the live replica counts; None before the first Deployment.
        configuration: the configuration that the pods use; None if it cannot be read.
        records: records to apply in place of those of `configuration`, by the name of the Deployment; None for those.
        hostname_holder: the ShopService that is registered under the discovery hostname of this one; None for none.
        wait: seconds for which the first pods wait for dependencies.
    """

    deployments: Mapping[str, LiveDeployment] = field(default_factory=dict)
    scale: LiveScale | None = None
    configuration: Configuration | None = None
    records: Mapping[str, Record] | None = None
    hostname_holder: Key | None = None
    wait: float = 0.0

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
        **{each.name: getattr(facts, each.name) for each in fields(ClusterState)},
        dependencies={name: ports[0] for name, ports in facts.called_ports.items()},
        records=_records(facts),
        part_of=facts.part_of((facts.pods or shop).spec.image),
        hold=facts.wait > 0,
        counts={name: live.replicas for name, live in facts.deployments.items()},
        rolled_out={name for name, live in facts.deployments.items() if live.rolled_out},
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
