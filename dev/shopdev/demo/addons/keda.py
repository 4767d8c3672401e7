"""KEDA: scales Deployments by the length of the emulator's queues, and serves the metrics to their HorizontalPodAutoscalers.

The certificates are made here, once for each checkout: with its own rotation, KEDA writes them after it has started, restarts, and
is ready two minutes later.
"""

import base64

from shopdev.console import run
from shopdev.demo import addons, namespaces
from shopdev.demo.target import STATE, Target

NAMESPACE = "keda"
CRDS = "keda-crds"
API = "apiservice/v1beta1.external.metrics.k8s.io"
_ROLES = (
    "config/service_account/service_account.yaml",
    "config/rbac/role.yaml",
    "config/rbac/role_binding.yaml",
    "config/metrics-server/role.yaml",
    "config/metrics-server/role_binding.yaml",
)
"""Manifests of the module that its pods need beside those of `keda.yaml`: its ServiceAccount and its permissions."""
_CERTIFICATES = ("ca.crt", "tls.crt", "tls.key")


def install(target: Target) -> None:
    """Install KEDA, and wait until its metrics are served. Its AWS identity has any credentials, which the emulator accepts."""
    image = addons.deliver(target, NAMESPACE)
    from shopdev.cluster import tools  # noqa: PLC0415  Linux only, and only here

    module = tools.module_folder(NAMESPACE, "github.com/kedacore/keda/v2")
    env = target.env()
    kubectl = ["kubectl", "apply", "--server-side", "--force-conflicts"]
    run([*kubectl, "-f", str(tools.ensure(CRDS))], env=env)
    namespaces.ensure(target, NAMESPACE)
    for each in _ROLES:
        run([*kubectl, "-f", str(module / each)], env=env)
    addons.apply(target, NAMESPACE, NAMESPACE, image=image, **_certificates())
    addons.wait_for_rollout(target, NAMESPACE, "deployment/keda-adapter")
    run(["kubectl", "wait", "--for=condition=Available", API, "--timeout=60s"], env=env)


def remove(target: Target) -> None:
    """Remove KEDA and its kinds, and with them every ScaledObject."""
    from shopdev.cluster import tools  # noqa: PLC0415  Linux only, and only here

    kubectl, env = ["kubectl", "delete", "--ignore-not-found", "--timeout=60s"], target.env()
    run([*kubectl, "-f", str(tools.ensure(CRDS))], env=env)
    run([*kubectl, API], env=env)
    module = tools.module_folder(NAMESPACE, "github.com/kedacore/keda/v2")
    for each in _ROLES:
        run([*kubectl, "-f", str(module / each)], env=env)
    run([*kubectl, "namespace", NAMESPACE, "--wait=false"], env=env)


def _certificates() -> dict[str, str]:
    """The files of one certificate for both programs and its authority, in base64, by their names with underscores."""
    from shopdev.cluster.pki import Authority  # noqa: PLC0415  Linux only, and only here

    folder = STATE / "keda-pki"
    if not (folder / "tls.crt").is_file():
        authority = Authority(folder)
        authority.create()
        services = ("keda-operator", "keda-metrics-apiserver")
        names = [
            f"DNS:{each}.{NAMESPACE}.svc{domain}" for each in services for domain in ("", ".cluster.local")
        ]
        authority.issue("tls", "/CN=keda", ",".join(names))
    return {
        each.replace(".", "_"): base64.b64encode((folder / each).read_bytes()).decode()
        for each in _CERTIFICATES
    }
