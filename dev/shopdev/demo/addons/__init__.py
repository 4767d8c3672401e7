"""Programs beside the shop on the local node, for the demo with OBSERVE=1 and for tests.

Each has a module here with `install(target)`, which may be called again. It runs in pods of its own namespace at the pod-security
level `restricted`, in an image that contains only the programs of the tool with that name in dev/tools. Its objects are in the YAML
file beside the module, in which `${name}` stands for a value.
"""

import os
import sys
from importlib import resources
from string import Template

from shopdev.checkout import ROOT
from shopdev.console import CommandError, run
from shopdev.demo import namespaces
from shopdev.demo.target import LocalNode, Target

OBSERVABILITY = "observability"
"""The namespace of Jaeger and Prometheus."""


def deliver(target: Target, tool: str) -> str:
    """Build a tool of dev/tools, load its image into the node, and return the name of the image.

    Raises:
        CommandError: when the target is not the local node, or the tool cannot be built.
    """
    if not isinstance(target, LocalNode):
        raise CommandError(
            f"{tool} is only installed on the local node; unset OBSERVE, and use what your cluster has"
        )
    from shopdev.cluster import images, tools  # noqa: PLC0415  Linux only, and only here

    reference = images.build_program(tools.ensure(tool))
    run([sys.executable, str(ROOT / "dev" / "cluster"), "load", reference], env=os.environ, show=True)
    return reference


def apply(target: Target, name: str, namespace: str, **values: str) -> None:
    """Apply the objects of `<name>.yaml`, and wait until the Deployments of the namespace are available.

    Args:
        target: the cluster.
        name: name of the add-on.
        namespace: its namespace, which is created.
        values: what `${…}` in the file stands for; `namespace` is known.
    """
    namespaces.ensure(target, namespace)
    text = (resources.files(__name__) / f"{name}.yaml").read_text()
    manifest = Template(text).substitute(values, namespace=namespace)
    run(["kubectl", "apply", "--server-side", "--force-conflicts", "-f", "-"], env=target.env(), stdin=manifest)  # fmt: skip
    wait_for_rollout(target, namespace, f"deployment/{name}")


def wait_for_rollout(target: Target, namespace: str, *workloads: str, seconds: int = 120) -> None:
    """Wait until the pods of workloads, named as `deployment/x`, are of the latest revision and ready.

    Raises:
        CommandError: at the deadline, for each workload.
    """
    for each in workloads:
        run(
            ["kubectl", "-n", namespace, "rollout", "status", each, f"--timeout={seconds}s"], env=target.env()
        )


def expose(service: str, namespace: str, port: int) -> str:
    """The URL on this machine of a port of a Service, forwarded until the node is removed."""
    from shopdev.cluster.forwarders import expose as forward  # noqa: PLC0415  Linux only, and only here
    from shopdev.cluster.network import Namespace  # noqa: PLC0415  Linux only, and only here
    from shopdev.cluster.paths import Paths  # noqa: PLC0415  Linux only, and only here

    host = f"{service}.{namespace}.svc.cluster.local"
    return f"http://127.0.0.1:{forward(Namespace(Paths()), host, port)}"
