"""The workloads of a ShopService, each of which is one Deployment: the web workload, and one for each worker.

A Workload has the common fields of both, so that the Deployment, the pod and the autoscaler do not distinguish them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from shop_operator.api.v1alpha1.environment import EnvVar
from shop_operator.api.v1alpha1.lifecycle import GRACE_SECONDS, Lifecycle
from shop_operator.api.v1alpha1.probes import Probes
from shop_operator.api.v1alpha1.resources import Resources
from shop_operator.api.v1alpha1.scaling import Autoscaling
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.api.v1alpha1.spec import ShopServiceSpec
from shop_operator.api.v1alpha1.worker import Worker
from shop_operator.objects.summary.deployment import url_variable
from shop_operator.render.labels import WEB, worker_component
from shop_operator.render.surroundings import Surroundings

NOWHERE: Final = Surroundings()
_REFERENCE: Final = re.compile(r"\$\$|\$\(([^)]*)\)")


@dataclass(frozen=True)
class Workload:
    """The fields of one Deployment of a ShopService.

    Args:
        name: the name of its Deployment and of its autoscaler.
        component: the value of the component label.
        container: the name of its container.
        port: the port on which it listens; None if it does not.
        serves: whether a Service sends it traffic.
        replicas: the replica count of the spec; None if it is not set.
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
    lifecycle: Lifecycle

    @property
    def floor(self) -> int:
        """The minimum number of pods."""
        if self.autoscaling is not None:
            return self.autoscaling.min_replicas
        return 1 if self.replicas is None else self.replicas


def queue_url(workload: Workload) -> str | None:
    """The URL of the queue that scales a workload; None without a queue, or if the URL is known only inside the container."""
    queue = workload.autoscaling.queue if workload.autoscaling else None
    if queue is None or queue.url is not None:
        return queue.url if queue else None
    value = next((each.value for each in workload.env if each.name == queue.url_from), None)
    return None if value is None or _REFERENCE.search(value) else value


def workloads(shop: ShopService, around: Surroundings = NOWHERE) -> Iterator[Workload]:
    """The web workload, followed by the workers in their order."""
    spec = shop.spec
    env = _overlaid(_dependencies(shop, around), spec.env)
    yield Workload(
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
        autoscaling=_autoscaling(spec, around),
        resources=spec.resources,
        grace=_grace(spec.termination_grace_period_seconds),
        lifecycle=spec.lifecycle or Lifecycle(),
    )
    for worker in spec.workers or ():
        yield Workload(
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
            autoscaling=_autoscaling(worker, around),
            resources=worker.resources or spec.resources,
            grace=_grace(worker.termination_grace_period_seconds),
            lifecycle=worker.lifecycle or Lifecycle(),
        )


def _autoscaling(scaled: ShopServiceSpec | Worker, around: Surroundings) -> Autoscaling | None:
    """The autoscaling of a workload; None if `replicas: 0` disables it. Without KEDA, which starts the first pod, the minimum is 1."""
    wished = None if scaled.replicas == 0 else scaled.autoscaling
    if wished is None or wished.min_replicas or around.serves("ScaledObject"):
        return wished
    return wished.model_copy(update={"min_replicas": 1})


def _grace(seconds: int | None) -> int:
    return GRACE_SECONDS if seconds is None else seconds


def _dependencies(shop: ShopService, around: Surroundings) -> list[EnvVar]:
    """The URL of each dependency, as a variable such as PRODUCT_URL."""
    return [
        EnvVar(
            name=url_variable(each),
            value=f"http://{each}.{shop.namespace}.svc:{around.port(each)}",
        )
        for each in shop.spec.depends_on or ()
    ]


def _overlaid(env: list[EnvVar], own: list[EnvVar] | None) -> list[EnvVar]:
    """Variables merged with others, which replace them or follow them. A variable precedes those that refer to it.

    A reference is valid if its target precedes it, where `env` precedes `own`. The order changes only where a replaced variable
    would otherwise break a reference.
    """
    written = [*env, *(own or [])]
    last = {each.name: each for each in written}
    if not any("$(" in (each.value or "") for each in own or ()):
        return list(last.values())
    first = {each.name: at for at, each in reversed(list(enumerate(written)))}
    at = {each.name: at for at, each in enumerate(written)}
    ordered: dict[str, EnvVar] = {}
    begun: set[str] = set()

    def put(variable: EnvVar) -> None:
        begun.add(variable.name)
        for name in references(variable.value or ""):
            # The first variable of a circle stays at its place.
            if name not in begun and first.get(name, len(written)) < at[variable.name]:
                put(last[name])
        ordered[variable.name] = variable

    for each in last.values():
        if each.name not in begun:
            put(each)
    return list(ordered.values())


def references(value: str) -> list[str]:
    """The variables to which a value refers as $(NAME); $$(NAME) is literal text."""
    return [name for name in _REFERENCE.findall(value) if name]
