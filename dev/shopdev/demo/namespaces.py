"""The namespaces of the demo, which admit only pods that meet the pod-security level `restricted`."""

from shopdev.console import run
from shopdev.demo.target import Target

NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata:
  name: {name}
  labels:
    app.kubernetes.io/managed-by: shop-demo
    pod-security.kubernetes.io/enforce: restricted
"""


def ensure(target: Target, *names: str) -> None:
    """Create the namespaces that do not exist."""
    manifest = "---\n".join(NAMESPACE.format(name=name) for name in names)
    run(["kubectl", "apply", "--server-side", "-f", "-"], env=target.env(), stdin=manifest)
