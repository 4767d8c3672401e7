"""Pod templates that violate the Pod Security Standards, each in one way, and their neighbors that do not."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from shop_operator.objects.pod_security import Level

SAFE: Final[dict[str, Any]] = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "app",
                "image": "registry.test/web:1",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    },
}
_BOTH: Final[tuple[Level, ...]] = ("baseline", "restricted")
_RESTRICTED: Final[tuple[Level, ...]] = ("restricted",)


@dataclass(frozen=True)
class Case:
    """One pod template.

    Attributes:
        name: what is special about it.
        template: the pod template.
        forbidden_by: the levels that refuse it.
        field: part of the sentence that tells of it.
    """

    name: str
    template: dict[str, Any]
    forbidden_by: tuple[Level, ...] = ()
    field: str = ""


def _pod(name: str, fields: dict[str, Any], levels: tuple[Level, ...] = (), field: str = "") -> Case:
    template = copy.deepcopy(SAFE)
    template["spec"] = _over(template["spec"], fields)
    return Case(name, template, levels, field)


def _container(
    name: str, fields: dict[str, Any], levels: tuple[Level, ...] = (), field: str = ""
) -> Iterator[Case]:
    """In a container, and in an init container."""
    template = copy.deepcopy(SAFE)
    (app,) = template["spec"]["containers"]
    template["spec"]["containers"] = [_over(app, fields)]
    yield Case(name, template, levels, f"spec.containers[app].{field}" if levels else "")
    if "lifecycle" in fields or any(key.endswith("Probe") for key in fields):
        return
    beside = copy.deepcopy(SAFE)
    beside["spec"]["initContainers"] = [_over({**copy.deepcopy(app), "name": "before"}, fields)]
    yield Case(
        f"{name} in an init container",
        beside,
        levels,
        f"spec.initContainers[before].{field}" if levels else "",
    )


def _over(base: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in fields.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = _over(base[key], value)
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged


def _context(**fields: Any) -> dict[str, Any]:
    return {"securityContext": fields}


def _annotated(key: str, value: str, levels: tuple[Level, ...] = ()) -> Case:
    template = copy.deepcopy(SAFE)
    template["metadata"]["annotations"] = {key: value}
    return Case(f"{key}={value}", template, levels, f"metadata.annotations[{key}" if levels else "")


_ANNOTATION: Final = "container.apparmor.security.beta.kubernetes.io/app"
_VOLUMES: Final[dict[str, dict[str, Any]]] = {
    "awsElasticBlockStore": {"volumeID": "v"},
    "cephfs": {"monitors": ["m"]},
    "fc": {"targetWWNs": ["w"], "lun": 1},
    "flexVolume": {"driver": "a/b"},
    "flocker": {"datasetName": "d"},
    "gcePersistentDisk": {"pdName": "d"},
    "iscsi": {"targetPortal": "10.0.0.1", "iqn": "iqn.2001-04.com.example:disk", "lun": 0},
    "nfs": {"server": "s", "path": "/p"},
    "quobyte": {"registry": "r:1", "volume": "v"},
    "rbd": {"monitors": ["m"], "image": "i"},
    "scaleIO": {"gateway": "g", "system": "s", "volumeName": "v", "secretRef": {"name": "s"}},
    "storageos": {"volumeName": "v"},
    "vsphereVolume": {"volumePath": "p"},
}
_ALLOWED_VOLUMES: Final[dict[str, dict[str, Any]]] = {
    "configMap": {"name": "c"},
    "csi": {"driver": "d.example.com"},
    "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]},
    "persistentVolumeClaim": {"claimName": "p"},
    "projected": {"sources": [{"secret": {"name": "s"}}]},
    "secret": {"secretName": "s"},
}

CASES: Final = (
    Case("nothing unusual", SAFE),
    *(_pod(field, {field: True}, _BOTH, f"spec.{field}") for field in ("hostNetwork", "hostPID", "hostIPC")),
    _pod("hostPID false", {"hostPID": False}),
    _pod("a token", {"automountServiceAccountToken": True}),
    _pod(
        "hostPath",
        {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]},
        _BOTH,
        "spec.volumes[host].hostPath",
    ),
    *(
        _pod(
            kind,
            {"volumes": [{"name": "v", kind: source}]},
            _RESTRICTED,
            f"spec.volumes[v] must not be of type {kind}",
        )
        for kind, source in _VOLUMES.items()
    ),
    *(_pod(kind, {"volumes": [{"name": "v", kind: source}]}) for kind, source in _ALLOWED_VOLUMES.items()),
    *_container(
        "SYS_ADMIN", _context(capabilities={"add": ["SYS_ADMIN"]}), _BOTH, "securityContext.capabilities.add"
    ),
    *_container(
        "CAP_CHOWN", _context(capabilities={"add": ["CAP_CHOWN"]}), _BOTH, "securityContext.capabilities.add"
    ),
    *_container(
        "chown", _context(capabilities={"add": ["chown"]}), _BOTH, "securityContext.capabilities.add"
    ),
    *_container(
        "CHOWN", _context(capabilities={"add": ["CHOWN"]}), _RESTRICTED, "securityContext.capabilities.add"
    ),
    *_container("NET_BIND_SERVICE", _context(capabilities={"add": ["NET_BIND_SERVICE"]})),
    *_container(
        "no capability dropped", _context(capabilities=None), _RESTRICTED, "securityContext.capabilities.drop"
    ),
    *_container(
        "one capability dropped",
        _context(capabilities={"drop": ["KILL"]}),
        _RESTRICTED,
        "securityContext.capabilities.drop",
    ),
    *_container("hostPort", {"ports": [{"containerPort": 80, "hostPort": 80}]}, _BOTH, "ports"),
    *_container("no hostPort", {"ports": [{"containerPort": 80}]}),
    *(
        case
        for probe in ("livenessProbe", "readinessProbe", "startupProbe")
        for case in (
            *_container(
                f"httpGet.host of {probe}",
                {probe: {"httpGet": {"port": 80, "host": "169.254.169.254"}}},
                _BOTH,
                f"{probe}.httpGet.host",
            ),
            *_container(
                f"tcpSocket.host of {probe}",
                {probe: {"tcpSocket": {"port": 80, "host": "127.0.0.1"}}},
                _BOTH,
                f"{probe}.tcpSocket.host",
            ),
            *_container(f"no host of {probe}", {probe: {"httpGet": {"port": 80}}}),
        )
    ),
    *(
        case
        for hook in ("postStart", "preStop")
        for case in _container(
            f"httpGet.host of {hook}",
            {"lifecycle": {hook: {"httpGet": {"port": 80, "host": "10.0.0.1"}}}},
            _BOTH,
            f"lifecycle.{hook}.httpGet.host",
        )
    ),
    _pod(
        "AppArmor unconfined",
        _context(appArmorProfile={"type": "Unconfined"}),
        _BOTH,
        "spec.securityContext.appArmorProfile",
    ),
    _pod("AppArmor of the node", _context(appArmorProfile={"type": "Localhost", "localhostProfile": "p"})),
    *_container(
        "AppArmor unconfined in a container",
        _context(appArmorProfile={"type": "Unconfined"}),
        _BOTH,
        "securityContext.appArmorProfile",
    ),
    _annotated(_ANNOTATION, "unconfined", _BOTH),
    _annotated(_ANNOTATION, "runtime/default"),
    _annotated(_ANNOTATION, "localhost/p"),
    _pod(
        "SELinux type",
        _context(seLinuxOptions={"type": "spc_t"}),
        _BOTH,
        "spec.securityContext.seLinuxOptions.type",
    ),
    _pod("SELinux type of containers", _context(seLinuxOptions={"type": "container_t", "level": "s0:c1,c2"})),
    _pod(
        "SELinux user",
        _context(seLinuxOptions={"user": "u"}),
        _BOTH,
        "spec.securityContext.seLinuxOptions.user",
    ),
    *_container(
        "SELinux role",
        _context(seLinuxOptions={"role": "r"}),
        _BOTH,
        "securityContext.seLinuxOptions.role",
    ),
    _pod(
        "seccomp unconfined",
        _context(seccompProfile={"type": "Unconfined"}),
        _BOTH,
        "spec.securityContext.seccompProfile",
    ),
    *_container(
        "seccomp unconfined in a container",
        _context(seccompProfile={"type": "Unconfined"}),
        _BOTH,
        "securityContext.seccompProfile",
    ),
    _pod(
        "no seccomp profile",
        _context(seccompProfile=None),
        _RESTRICTED,
        "spec.containers[app].securityContext.seccompProfile",
    ),
    _pod(
        "sysctl",
        _context(sysctls=[{"name": "kernel.msgmax", "value": "1"}]),
        _BOTH,
        "spec.securityContext.sysctls must not set kernel.msgmax",
    ),
    _pod("safe sysctl", _context(sysctls=[{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}])),
    *_container(
        "privilege escalation",
        _context(allowPrivilegeEscalation=True),
        _RESTRICTED,
        "securityContext.allowPrivilegeEscalation",
    ),
    *_container(
        "privilege escalation by default",
        _context(allowPrivilegeEscalation=None),
        _RESTRICTED,
        "securityContext.allowPrivilegeEscalation",
    ),
    _pod(
        "root allowed",
        _context(runAsNonRoot=False),
        _RESTRICTED,
        "spec.securityContext.runAsNonRoot",
    ),
    _pod(
        "nothing said of root",
        _context(runAsNonRoot=None),
        _RESTRICTED,
        "spec.containers[app].securityContext.runAsNonRoot",
    ),
    *_container(
        "root allowed in a container",
        _context(runAsNonRoot=False),
        _RESTRICTED,
        "securityContext.runAsNonRoot",
    ),
    _pod("user 0", _context(runAsUser=0), _RESTRICTED, "spec.securityContext.runAsUser"),
    _pod("group 0", _context(runAsGroup=0, fsGroup=0, supplementalGroups=[0])),
    *_container("user 0 in a container", _context(runAsUser=0), _RESTRICTED, "securityContext.runAsUser"),
    *_container("user 1000", _context(runAsUser=1000)),
)
