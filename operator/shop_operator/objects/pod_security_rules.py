"""The rules of the Pod Security Standards, a function for each control. `pod_security` applies those of a level.

A rule yields a clause for every violation, which begins with the field. A rule of the level restricted does not repeat the violations
of baseline.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from shop_operator.objects.lenient import mapping, mappings

_BASELINE_CAPABILITIES: Final = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
_RESTRICTED_CAPABILITIES: Final = frozenset({"NET_BIND_SERVICE"})
_SELINUX_TYPES: Final = frozenset(
    {"container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
)
_SYSCTLS: Final = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
_RESTRICTED_VOLUMES: Final = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_PROFILES: Final = frozenset({"RuntimeDefault", "Localhost"})
_APPARMOR_ANNOTATION: Final = "container.apparmor.security.beta.kubernetes.io/"
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS: Final = ("postStart", "preStop")
_LONGEST_NAME: Final = 63

Container = tuple[str, Mapping[str, Any]]
"""The path of a container, and the container."""
Check = Callable[[Mapping[str, Any], Mapping[str, Any], Sequence[Container]], Iterator[str]]
"""A rule, for the metadata and the spec of a pod template and its containers."""


def shortened(value: Any) -> str:
    """A value from the template, truncated."""
    text = str(value)
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"


def _contexts(
    spec: Mapping[str, Any], containers: Sequence[Container]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The security contexts of the pod and of its containers."""
    yield "spec.securityContext", mapping(spec.get("securityContext"))
    for path, container in containers:
        yield f"{path}.securityContext", mapping(container.get("securityContext"))


def _host_namespaces(_: Any, spec: Mapping[str, Any], __: Any) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"spec.{field} must not be true"


def _privileged(_: Any, __: Any, containers: Sequence[Container]) -> Iterator[str]:
    for path, container in containers:
        if mapping(container.get("securityContext")).get("privileged"):
            yield f"{path}.securityContext.privileged must not be true"


def _capabilities(_: Any, __: Any, containers: Sequence[Container]) -> Iterator[str]:
    yield from _added(containers, _BASELINE_CAPABILITIES)


def _added(containers: Sequence[Container], allowed: frozenset[str]) -> Iterator[str]:
    for path, container in containers:
        added = mapping(mapping(container.get("securityContext")).get("capabilities")).get("add")
        beyond = [shortened(each) for each in added if each not in allowed] if isinstance(added, list) else []
        if beyond:
            yield f"{path}.securityContext.capabilities.add must not include {', '.join(beyond)}"


def _host_paths(_: Any, spec: Mapping[str, Any], __: Any) -> Iterator[str]:
    for volume in mappings(spec.get("volumes")):
        if volume.get("hostPath") is not None:
            yield f"spec.volumes[{shortened(volume.get('name'))}].hostPath must not be set"


def _host_ports(_: Any, __: Any, containers: Sequence[Container]) -> Iterator[str]:
    for path, container in containers:
        ports = [
            shortened(each["hostPort"]) for each in mappings(container.get("ports")) if each.get("hostPort")
        ]
        if ports:
            yield f"{path}.ports must not set hostPort ({', '.join(ports)})"


def _host_of_handlers(_: Any, __: Any, containers: Sequence[Container]) -> Iterator[str]:
    for path, container in containers:
        lifecycle = mapping(container.get("lifecycle"))
        handlers = [(name, mapping(container.get(name))) for name in _PROBES]
        handlers += [(f"lifecycle.{name}", mapping(lifecycle.get(name))) for name in _HOOKS]
        for name, handler in handlers:
            for kind in ("httpGet", "tcpSocket"):
                if mapping(handler.get(kind)).get("host"):
                    yield f"{path}.{name}.{kind}.host must not be set"


def _apparmor(metadata: Mapping[str, Any], spec: Mapping[str, Any], containers: Any) -> Iterator[str]:
    for path, context in _contexts(spec, containers):
        kind = mapping(context.get("appArmorProfile")).get("type")
        if kind is not None and kind not in _PROFILES:
            yield f"{path}.appArmorProfile.type must be RuntimeDefault or Localhost"
    for key, value in mapping(metadata.get("annotations")).items():
        if key.startswith(_APPARMOR_ANNOTATION) and not (
            value in ("", "runtime/default") or str(value).startswith("localhost/")
        ):
            yield f"metadata.annotations[{shortened(key)}] must be runtime/default or localhost/*"


def _selinux(_: Any, spec: Mapping[str, Any], containers: Any) -> Iterator[str]:
    for path, context in _contexts(spec, containers):
        options = mapping(context.get("seLinuxOptions"))
        if options.get("type") and options["type"] not in _SELINUX_TYPES:
            yield f"{path}.seLinuxOptions.type must be unset or one of {', '.join(sorted(_SELINUX_TYPES))}"
        for field in ("user", "role"):
            if options.get(field):
                yield f"{path}.seLinuxOptions.{field} must not be set"


def _proc_mount(_: Any, __: Any, containers: Sequence[Container]) -> Iterator[str]:
    for path, container in containers:
        if mapping(container.get("securityContext")).get("procMount") not in (None, "", "Default"):
            yield f"{path}.securityContext.procMount must be Default"


def _seccomp(_: Any, spec: Mapping[str, Any], containers: Any) -> Iterator[str]:
    for path, context in _contexts(spec, containers):
        kind = mapping(context.get("seccompProfile")).get("type")
        if kind is not None and kind not in _PROFILES:
            yield f"{path}.seccompProfile.type must be RuntimeDefault or Localhost"


def _sysctls(_: Any, spec: Mapping[str, Any], __: Any) -> Iterator[str]:
    for each in mappings(mapping(spec.get("securityContext")).get("sysctls")):
        if each.get("name") not in _SYSCTLS:
            yield f"spec.securityContext.sysctls must not set {shortened(each.get('name'))}"


def _host_process(_: Any, spec: Mapping[str, Any], containers: Any) -> Iterator[str]:
    for path, context in _contexts(spec, containers):
        if mapping(context.get("windowsOptions")).get("hostProcess"):
            yield f"{path}.windowsOptions.hostProcess must not be true"


def _volume_types(_: Any, spec: Mapping[str, Any], __: Any) -> Iterator[str]:
    for volume in mappings(spec.get("volumes")):
        kinds = [key for key, value in volume.items() if key != "name" and value is not None]
        for kind in kinds:
            # The baseline level already reports hostPath volumes.
            if kind not in _RESTRICTED_VOLUMES and kind != "hostPath":
                yield f"spec.volumes[{shortened(volume.get('name'))}] must not be of type {shortened(kind)}"


def _windows(spec: Mapping[str, Any]) -> bool:
    return mapping(spec.get("os")).get("name") == "windows"


def _escalation(_: Any, spec: Mapping[str, Any], containers: Sequence[Container]) -> Iterator[str]:
    if _windows(spec):
        return
    for path, container in containers:
        if mapping(container.get("securityContext")).get("allowPrivilegeEscalation") is not False:
            yield f"{path}.securityContext.allowPrivilegeEscalation must be false"


def _non_root(_: Any, spec: Mapping[str, Any], containers: Sequence[Container]) -> Iterator[str]:
    pod = mapping(spec.get("securityContext")).get("runAsNonRoot")
    if pod not in (None, True):
        yield "spec.securityContext.runAsNonRoot must be true"
    for path, container in containers:
        own = mapping(container.get("securityContext")).get("runAsNonRoot")
        if own not in (None, True) or (own is None and pod is None):
            yield f"{path}.securityContext.runAsNonRoot must be true"


def _user(_: Any, spec: Mapping[str, Any], containers: Any) -> Iterator[str]:
    for path, context in _contexts(spec, containers):
        user = context.get("runAsUser")
        if user is not None and not user:
            yield f"{path}.runAsUser must not be 0"


def _seccomp_set(_: Any, spec: Mapping[str, Any], containers: Sequence[Container]) -> Iterator[str]:
    if _windows(spec) or mapping(mapping(spec.get("securityContext")).get("seccompProfile")).get("type"):
        return
    for path, container in containers:
        if not mapping(mapping(container.get("securityContext")).get("seccompProfile")).get("type"):
            yield f"{path}.securityContext.seccompProfile.type must be RuntimeDefault or Localhost"


def _all_dropped(_: Any, spec: Mapping[str, Any], containers: Sequence[Container]) -> Iterator[str]:
    if _windows(spec):
        return
    for path, container in containers:
        dropped = mapping(mapping(container.get("securityContext")).get("capabilities")).get("drop")
        if not isinstance(dropped, list) or "ALL" not in dropped:
            yield f"{path}.securityContext.capabilities.drop must include ALL"
    # The baseline level already reports all other capabilities.
    within = [
        (path, {"securityContext": {"capabilities": {"add": _within_baseline(container)}}})
        for path, container in containers
    ]
    yield from _added(within, _RESTRICTED_CAPABILITIES)


def _within_baseline(container: Mapping[str, Any]) -> list[Any]:
    added = mapping(mapping(container.get("securityContext")).get("capabilities")).get("add")
    return [each for each in added if each in _BASELINE_CAPABILITIES] if isinstance(added, list) else []


BASELINE: Final[tuple[Check, ...]] = (
    _host_namespaces,
    _privileged,
    _capabilities,
    _host_paths,
    _host_ports,
    _host_of_handlers,
    _apparmor,
    _selinux,
    _proc_mount,
    _seccomp,
    _sysctls,
    _host_process,
)
RESTRICTED: Final[tuple[Check, ...]] = (
    _volume_types,
    _escalation,
    _non_root,
    _user,
    _seccomp_set,
    _all_dropped,
)
