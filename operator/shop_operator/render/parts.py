"""The parts of a ShopService that become a Deployment each: the web part, and one per worker.

What the two have in common is told here once, so that the Deployment, the pod and the autoscaler need no cases.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from shop_operator.render.labels import WEB, worker_component
from shop_operator.render.surroundings import Surroundings
from shop_operator.spec import Autoscaling, EnvVar, Probes, Resources, ShopService

GRACE_SECONDS: Final = 30
NOWHERE: Final = Surroundings()


@dataclass(frozen=True)
class Part:
    """One Deployment's worth of a ShopService.

    Args:
        name: of its Deployment and of its autoscaler.
        component: value of the component label.
        container: name of its container.
        port: where it listens, None when it does not.
        serves: whether a Service sends it traffic.
        replicas: the count that the user chose, None when that is left open.
    """

    name: str
    component: str
    container: str
    command: list[str] | None
    args: list[str] | None
    env: list[EnvVar]
    port: int | None
    serves: bool
    probes: Probes
    replicas: int | None
    autoscaling: Autoscaling | None
    resources: Resources | None
    grace: int

    @property
    def floor(self) -> int:
        """The pods that there are at least."""
        if self.autoscaling is not None:
            return self.autoscaling.min_replicas
        return 1 if self.replicas is None else self.replicas


def parts(shop: ShopService, around: Surroundings = NOWHERE) -> Iterator[Part]:
    """The web part first, then the workers in their order."""
    spec = shop.spec
    env = _overlaid(_dependencies(shop, around), spec.env)
    yield Part(
        name=shop.name,
        component=WEB,
        container="app",
        command=spec.command,
        args=spec.args,
        env=env,
        port=spec.port,
        serves=True,
        probes=spec.probes or Probes(),
        replicas=spec.replicas,
        autoscaling=spec.autoscaling,
        resources=spec.resources,
        grace=_grace(spec.termination_grace_period_seconds),
    )
    for worker in spec.workers or ():
        yield Part(
            name=f"{shop.name}-{worker.name}",
            component=worker_component(worker.name),
            container=worker.name,
            command=worker.command,
            args=worker.args,
            env=_overlaid(env, worker.env),
            port=worker.port,
            serves=False,
            probes=worker.probes or Probes(),
            replicas=worker.replicas,
            autoscaling=worker.autoscaling,
            resources=worker.resources or spec.resources,
            grace=_grace(worker.termination_grace_period_seconds),
        )


def _grace(seconds: int | None) -> int:
    return GRACE_SECONDS if seconds is None else seconds


def _dependencies(shop: ShopService, around: Surroundings) -> list[EnvVar]:
    """Where each dependency answers, as PRODUCT_URL."""
    return [
        EnvVar(
            name=f"{each.upper().replace('-', '_')}_URL",
            value=f"http://{each}.{shop.namespace}.svc:{around.port(each)}",
        )
        for each in shop.spec.depends_on or ()
    ]


def _overlaid(env: list[EnvVar], own: list[EnvVar] | None) -> list[EnvVar]:
    """These variables, with others in place of, or after, them."""
    return list({each.name: each for each in [*env, *(own or [])]}.values())
