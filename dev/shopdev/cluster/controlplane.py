"""etcd, kube-apiserver and optionally kube-controller-manager: a real Kubernetes API without a node.

The integration tests run it on loopback, without root access: it ends with the thread that started it. The node runs the same
programs in its network namespace: they outlive the command that started them.
"""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from shopdev.cluster import tools
from shopdev.cluster.daemon import BOUND, Daemon, wait_until
from shopdev.cluster.pki import Authority
from shopdev.ports import free_port

READY_SECONDS = 90.0
SERVICE_RANGE = "10.96.0.0/16"
FIRST_SERVICE_ADDRESS = "10.96.0.1"
STATIC_NAMES = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1"


class ControlPlane:
    """A real API server.

    Args:
        run_dir: folder for all of its files; must be empty or not exist.
        controller_manager: whether to start kube-controller-manager (garbage collection, Deployments, HPAs).
        enter: command prefix that enters the network namespace.
        address: address for clients inside the cluster.
        port: port of the API server; by default, a free one.
        node: whether to serve a node (client certificate of the kubelet, aggregation of the metrics API).
        flags: further flags of the API server, such as audit-log-path.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        controller_manager: bool = True,
        enter: tuple[str, ...] = (),
        address: str = "127.0.0.1",
        port: int | None = None,
        node: bool = False,
        flags: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        self.run_dir = run_dir
        self._flags = flags
        self.controller_manager = controller_manager
        self._prefix = enter if node else (*BOUND, *enter)
        self.address = address
        self.port = port or free_port()
        self.node = node
        self.authority = Authority(run_dir / "pki")
        self.server = f"https://127.0.0.1:{self.port}"
        self.kubeconfig = run_dir / "admin.kubeconfig"
        self.bin = tools.ensure("kubernetes")
        self._etcd = Daemon(run_dir, "etcd")
        self._apiserver = Daemon(run_dir, "kube-apiserver")
        self._controllers = Daemon(run_dir, "kube-controller-manager")
        self._etcd_client, self._etcd_peer = free_port(), free_port()

    @property
    def ca(self) -> Path:
        """The CA certificate for clients."""
        return self.authority.certificate

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Create the certificates, start all processes and wait until the API server is ready.

        Raises:
            ClusterError: when a process does not become ready, with the end of its log.
        """
        pki = self.authority
        pki.create()
        sans = f"{STATIC_NAMES},IP:{FIRST_SERVICE_ADDRESS},IP:{self.address}"
        pki.issue("apiserver", "/CN=kube-apiserver", sans)
        pki.issue("admin", "/O=system:masters/CN=admin")
        pki.issue("controllers", "/CN=system:kube-controller-manager")
        pki.kubeconfig("admin", self.server, self.kubeconfig)
        pki.kubeconfig("controllers", self.server, self.run_dir / "controllers.kubeconfig")
        client, peer = (f"http://127.0.0.1:{port}" for port in (self._etcd_client, self._etcd_peer))
        self._etcd.start(
            [
                *self._prefix,
                *(str(self.bin / "etcd"), "--data-dir", str(self.run_dir / "etcd"), "--unsafe-no-fsync"),
                *("--listen-client-urls", client, "--advertise-client-urls", client),
                *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                *("--initial-cluster", f"default={peer}", "--log-level", "warn"),
            ]
        )
        self.start_apiserver()
        if self.controller_manager:
            self.restart_controllers()

    def start_apiserver(self) -> None:
        """Start the API server, also after `stop_apiserver`, and wait until it is ready. The port stays the same."""
        pki = self.authority.folder
        flags = {
            "etcd-servers": f"http://127.0.0.1:{self._etcd_client}",
            "secure-port": self.port,
            "advertise-address": self.address,
            "tls-cert-file": pki / "apiserver.crt",
            "tls-private-key-file": pki / "apiserver.key",
            "client-ca-file": self.ca,
            "service-account-key-file": pki / "sa.pub",
            "service-account-signing-key-file": pki / "sa.key",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-cluster-ip-range": SERVICE_RANGE,
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
        }
        if self.node:
            flags |= {
                "kubelet-client-certificate": pki / "admin.crt",
                "kubelet-client-key": pki / "admin.key",
                "kubelet-certificate-authority": self.ca,
                "kubelet-preferred-address-types": "InternalIP",
                "requestheader-client-ca-file": self.ca,
                "requestheader-allowed-names": "",
                "requestheader-username-headers": "X-Remote-User",
                "requestheader-group-headers": "X-Remote-Group",
                "requestheader-extra-headers-prefix": "X-Remote-Extra-",
                "proxy-client-cert-file": pki / "admin.crt",
                "proxy-client-key-file": pki / "admin.key",
                "enable-aggregator-routing": "true",
            }
        elif self.address.startswith("127."):
            # A loopback address cannot be an endpoint of the Service `kubernetes`, which is not used here.
            flags |= {"endpoint-reconciler-type": "none"}
        flags |= self._flags
        command = [str(self.bin / "kube-apiserver"), *(f"--{key}={value}" for key, value in flags.items())]
        self._apiserver.start([*self._prefix, *command])
        wait_until(self._ready, "kube-apiserver", READY_SECONDS, self._apiserver)

    def stop_apiserver(self) -> None:
        """Stop only the API server; etcd keeps the objects."""
        self._apiserver.stop()

    def compact(self, revision: int) -> None:
        """Make etcd discard the states before a revision; a resourceVersion is such a revision."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._etcd_client}/v3/kv/compaction",
            data=json.dumps({"revision": str(revision), "physical": True}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=READY_SECONDS):  # noqa: S310
            pass

    def stop(self) -> None:
        """Stop all processes; the folder with the logs remains."""
        for process in (self._controllers, self._apiserver, self._etcd):
            process.stop()

    def restart_controllers(self) -> None:
        """Restart kube-controller-manager, or start it if it does not run."""
        self._controllers.stop()
        pki = self.authority.folder
        flags = {
            "kubeconfig": self.run_dir / "controllers.kubeconfig",
            "service-account-private-key-file": pki / "sa.key",
            "root-ca-file": self.ca,
            "use-service-account-credentials": "true",
            "leader-elect": "false",
            "bind-address": "127.0.0.1",
            "secure-port": free_port(),
        }
        if not self.node:
            # Metrics are not available without a node. Tests wait only for the first status of an autoscaler (default: 15 s).
            flags |= {"horizontal-pod-autoscaler-sync-period": "2s"}
        command = [
            str(self.bin / "kube-controller-manager"),
            *(f"--{key}={value}" for key, value in flags.items()),
        ]
        self._controllers.start([*self._prefix, *command])

    def _ready(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.ca))
        pki = self.authority.folder
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        try:
            with urllib.request.urlopen(f"{self.server}/readyz", context=context, timeout=2) as answer:  # noqa: S310  an https URL of our own
                return bool(answer.status == HTTPStatus.OK)
        except (OSError, urllib.error.URLError):
            return False
