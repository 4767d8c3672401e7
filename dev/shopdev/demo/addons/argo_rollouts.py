"""Argo Rollouts: moves the requests of the shop to new versions step by step, with the plugin `gateway-weights` of dev/tools.

It acts in the namespace of the shop only, and may read no Secret there.
"""

from shopdev.console import run
from shopdev.demo import addons
from shopdev.demo.target import SHOP_NAMESPACE, Target

NAMESPACE = "argo-rollouts"
CRDS = "argo-rollouts-crds"
_KINDS = "*-crd.yaml"


def install(target: Target) -> None:
    """Install Argo Rollouts, and wait until its controller is ready."""
    image = addons.deliver(target, NAMESPACE)
    env = target.env()
    for crd in _crds():
        run(["kubectl", "apply", "--server-side", "--force-conflicts", "-f", crd], env=env)
    for crd in _crds():
        run(["kubectl", "wait", "--for=condition=Established", "-f", crd, "--timeout=30s"], env=env)
    addons.apply(target, NAMESPACE, NAMESPACE, image=image, shop=SHOP_NAMESPACE)


def remove(target: Target) -> None:
    """Remove Argo Rollouts and its kinds, and with them every Rollout."""
    kubectl, env = ["kubectl", "delete", "--ignore-not-found", "--timeout=60s"], target.env()
    for crd in _crds():
        run([*kubectl, "-f", crd], env=env)
    for each in ("rolebinding", "role"):
        run([*kubectl, "-n", SHOP_NAMESPACE, each, NAMESPACE], env=env)
    run([*kubectl, "namespace", NAMESPACE, "--wait=false"], env=env)


def _crds() -> list[str]:
    """The files of its CustomResourceDefinitions."""
    from shopdev.cluster import tools  # noqa: PLC0415  Linux only, and only here

    return sorted(map(str, tools.ensure(CRDS).glob(_KINDS)))
