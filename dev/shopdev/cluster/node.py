"""The node: control plane, containerd, kubelet and add-ons, in one network namespace.

Certificates, logs and data are in one folder (`Paths.state`); settings for other commands are in `.dev/env`.
"""

import contextlib
import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from shopdev import environment_file
from shopdev.aws_environment import EMULATOR_PORT
from shopdev.cluster import cgroups, debian, forwarders, images, tools
from shopdev.cluster.controlplane import ControlPlane
from shopdev.cluster.daemon import Daemon, all_of, wait_until
from shopdev.cluster.forward import Route
from shopdev.cluster.network import NODE_ADDRESS, POD_RANGE, Namespace
from shopdev.cluster.paths import Paths
from shopdev.cluster.progress import ClusterError, say, timed
from shopdev.ports import preferred_port

MANIFESTS = Path(__file__).parent / "manifests"
TOOLS = ("kubernetes", "helm3", "coredns", "metrics-server", "gateway-api")
ON_PATH = ("kubernetes", "helm3")
CERTIFICATES = {
    "scheduler": "/CN=system:kube-scheduler",
    "kubelet": "/O=system:nodes/CN=system:node:node0",
    "proxy": "/CN=system:kube-proxy",
    "coredns": "/CN=local:coredns",
    "metrics-server": "/CN=local:metrics-server",
    "traefik": "/CN=local:traefik",
}
EMULATOR = ("local-aws.aws.svc.cluster.local", EMULATOR_PORT)


@dataclass(frozen=True)
class Ports:
    """The ports of the cluster on loopback: the usual ones, or free ones if they are taken."""

    api: int
    gateway: int
    aws: int

    @classmethod
    def choose(cls) -> "Ports":
        """Choose the usual ports if they are free."""
        return cls(preferred_port(6443), preferred_port(8000), preferred_port(EMULATOR_PORT))


class Node:
    """The cluster of a checkout.

    Args:
        paths: names and folders of the cluster.
    """

    def __init__(self, paths: Paths | None = None) -> None:
        self.paths = paths or Paths()
        self.state = self.paths.state
        self.namespace = Namespace(self.paths)

    # ---- up

    def up(self) -> None:
        """Start the cluster, unless it is healthy.

        Raises:
            ClusterError: when this machine lacks a requirement, or a component does not become ready.
        """
        debian.ensure()
        for name in TOOLS:
            tools.ensure(name)
        if self.healthy():
            say(f"{self.paths.name} is already running")
            return
        if self.state.exists() or self.paths.netns.exists():
            with timed("removing an earlier cluster"):
                self.down()
        with timed("starting the control plane", "5 s"):
            ports = self._control_plane()
        with timed("starting the node", "5 s"):
            self._node()
        with timed("installing gateway, DNS and metrics", "3 s"):
            self._platform(ports)
        self._write_env(ports)
        say(
            f"ready: KUBECONFIG={self.state}/admin.kubeconfig (also in {self.paths.env_file.relative_to(self.paths.checkout)})"
        )

    def _control_plane(self) -> Ports:
        ports = Ports.choose()
        self.state.mkdir(parents=True)
        (self.state / "ports.json").write_text(json.dumps(asdict(ports)))
        self.namespace.create()
        # The forwarder starts first, because the URL of the API server uses the loopback of this machine.
        self._forward(ports)
        plane = ControlPlane(
            self.state, enter=self.namespace.enter, address=NODE_ADDRESS, port=ports.api, node=True
        )
        plane.start()
        for name, subject in CERTIFICATES.items():
            plane.authority.issue(name, subject, f"DNS:node0,IP:{NODE_ADDRESS},IP:127.0.0.1")
            plane.authority.kubeconfig(name, plane.server, self.state / f"{name}.kubeconfig")
        scheduler = tools.ensure("kubernetes") / "kube-scheduler"
        self._start(
            "kube-scheduler",
            scheduler,
            kubeconfig="scheduler",
            leader_elect="false",
            bind_address="127.0.0.1",
        )
        return ports

    def _forward(self, ports: Ports) -> None:
        forwarders.start(
            self.namespace,
            "forward",
            Route(ports.api, "127.0.0.1", ports.api),
            Route(ports.gateway, "127.0.0.1", ports.gateway),
            Route(ports.aws, *EMULATOR, inside=True),
        )

    def _node(self) -> None:
        binaries = tools.ensure("kubernetes")
        for name, target in (
            ("containerd.toml", "containerd.toml"),
            ("kubelet.yaml", "kubelet.yaml"),
            ("kube-proxy.yaml", "kube-proxy.yaml"),
            ("Corefile", "Corefile"),
            ("cni.conflist", "cni/net.d/10-pods.conflist"),
        ):
            path = self.state / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._filled(name))
        cgroups.create(self.paths.name)
        containerd = self._process("containerd", ["containerd", "-c", self.state / "containerd.toml"])
        wait_until(lambda: self._ctr("version") is not None, "containerd", 30, containerd)
        images.load_pause(self.state)
        self._process(
            "kubelet",
            [
                *(
                    binaries / "kubelet",
                    f"--config={self.state}/kubelet.yaml",
                    f"--root-dir={self.state}/kubelet",
                ),
                *(f"--kubeconfig={self.state}/kubelet.kubeconfig", "--hostname-override=node0"),
                f"--node-ip={NODE_ADDRESS}",
            ],
        )
        self.kubectl("apply", "--server-side", "-f", "-", stdin=self._filled("platform.yaml"))
        self._process("kube-proxy", [binaries / "kube-proxy", f"--config={self.state}/kube-proxy.yaml"])
        wait_until(self._node_ready, "node", 90, Daemon(self.state, "kubelet"))

    def _platform(self, ports: Ports) -> None:
        self._process("coredns", [tools.ensure("coredns") / "coredns", "-conf", self.state / "Corefile"])
        kubeconfig = self.state / "metrics-server.kubeconfig"
        self._start(
            "metrics-server",
            tools.ensure("metrics-server") / "metrics-server",
            kubeconfig="metrics-server",
            authentication_kubeconfig=str(kubeconfig),
            authorization_kubeconfig=str(kubeconfig),
            secure_port="10443",
            cert_dir=str(self.state / "metrics-server"),
            kubelet_insecure_tls="true",
            kubelet_preferred_address_types="InternalIP",
            metric_resolution="10s",
            kubelet_request_timeout="5s",
        )
        self.kubectl("apply", "--server-side", "-f", str(tools.ensure("gateway-api")))
        wait_until(self._gateway_api_served, "Gateway API", 30)
        self.kubectl("apply", "--server-side", "-f", "-", stdin=self._filled("gateway-class.yaml"))
        process = Daemon(self.state, "traefik")
        process.start(
            [
                *self.namespace.enter,
                *(
                    tools.traefik(),
                    f"--entrypoints.web.address=:{ports.gateway}",
                    "--providers.kubernetesgateway=true",
                ),
                *("--providers.kubernetesgateway.statusaddress.ip=127.0.0.1", "--log.level=WARN"),
                *("--global.checknewversion=false", "--global.sendanonymoususage=false"),
                "--providers.kubernetesgateway.throttleduration=100ms",
            ],
            {"KUBECONFIG": str(self.state / "traefik.kubeconfig"), "PATH": "/usr/bin:/bin"},
        )
        wait_until(self._gateway_accepted, "GatewayClass accepted by Traefik", 60, process)
        wait_until(self._metrics_served, "metrics API", 60, Daemon(self.state, "metrics-server"))

    # ---- down

    def down(self) -> None:
        """Remove every process, mount, namespace, cgroup and folder of the cluster."""
        for process in all_of(self.state):
            process.stop(grace=2.0)
        cgroups.kill(self.paths.name)
        _kill_those_that_name(self.state)
        _unmount_below(self.state)
        with contextlib.suppress(subprocess.CalledProcessError):
            self.namespace.delete()
        cgroups.remove(self.paths.name)
        shutil.rmtree(self.state, ignore_errors=True)
        self.paths.env_file.unlink(missing_ok=True)

    # ---- status

    def healthy(self) -> bool:
        """Whether every component runs and the node is ready."""
        processes = list(all_of(self.state))
        return (
            bool(processes)
            and all(p.pid for p in processes)
            and self.paths.env_file.exists()
            and self._node_ready()
        )

    def status(self) -> bool:
        """Print every component, and return whether the cluster is healthy."""
        processes = list(all_of(self.state))
        for process in processes:
            say(
                f"{process.name:<24} {'pid ' + str(process.pid) if process.pid else 'not running, see ' + str(process.log)}"
            )
        well = self.healthy()
        if well:
            sys.stdout.write(self.paths.env_file.read_text())
        else:
            say(
                "not running: run `dev/cluster up`"
                if not processes
                else "not healthy: run `dev/cluster up` to recreate it"
            )
        return well

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as administrator, over loopback.

        Raises:
            ClusterError: when it fails.
        """
        command = [str(tools.ensure("kubernetes") / "kubectl"), f"--kubeconfig={self.state}/admin.kubeconfig"]
        done = subprocess.run(
            [*command, *arguments], input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ClusterError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def environment(self) -> dict[str, str]:
        """The variables of `.dev/env`.

        Raises:
            ClusterError: when the cluster is not running.
        """
        if not self.paths.env_file.exists():
            raise ClusterError("the cluster is not running: run `dev/cluster up`")
        return environment_file.parse(self.paths.env_file.read_text())

    # ---- inside

    def _process(self, name: str, command: list[Path | str]) -> Daemon:
        process = Daemon(self.state, name)
        process.start([*self.namespace.enter, *map(str, command)])
        return process

    def _start(self, name: str, binary: Path, *, kubeconfig: str, **flags: str) -> Daemon:
        command: list[Path | str] = [binary, f"--kubeconfig={self.state}/{kubeconfig}.kubeconfig"]
        return self._process(
            name, command + [f"--{key.replace('_', '-')}={value}" for key, value in flags.items()]
        )

    def _filled(self, manifest: str) -> str:
        text = (MANIFESTS / manifest).read_text()
        known = {
            "STATE": self.state,
            "NAME": self.paths.name,
            "NODE_ADDRESS": NODE_ADDRESS,
            "POD_RANGE": POD_RANGE,
        }
        for key in sorted(known, key=len, reverse=True):
            text = text.replace(key, str(known[key]))
        return text

    def _ctr(self, *arguments: str) -> str | None:
        return images.ctr(self.state, *arguments)

    def _node_ready(self) -> bool:
        return "True" in self._asked(
            "get", "node", "node0", "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        )

    def _gateway_api_served(self) -> bool:
        return bool(self._asked("get", "--raw", "/apis/gateway.networking.k8s.io/v1/gatewayclasses"))

    def _gateway_accepted(self) -> bool:
        return "True" in self._asked(
            "get",
            "gatewayclass",
            "traefik",
            "-o",
            "jsonpath={.status.conditions[?(@.type=='Accepted')].status}",
        )

    def _metrics_served(self) -> bool:
        return bool(self._asked("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes/node0"))

    def _asked(self, *arguments: str) -> str:
        try:
            return self.kubectl("--request-timeout=5s", *arguments)
        except ClusterError:
            return ""

    def _write_env(self, ports: Ports) -> None:
        env = {
            "KUBECONFIG": self.state / "admin.kubeconfig",
            "SHOP_URL": f"http://127.0.0.1:{ports.gateway}",
            "GATEWAY_PORT": ports.gateway,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports.aws}",
            "NETNS": self.paths.name,
            "CONTAINERD_ADDRESS": self.state / "containerd.sock",
            "PATH_TOOLS": tools.search_path(ON_PATH),
        }
        self.paths.env_file.parent.mkdir(exist_ok=True)
        self.paths.env_file.write_text(environment_file.text(env))


def _kill_those_that_name(state: Path) -> None:
    """Kill processes without a record: the shims of containerd, whose arguments contain the state folder."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (
                str(state) in (entry / "cmdline").read_text()
                and "containerd-shim" in (entry / "cmdline").read_text()
            ):
                cgroups.kill_process(int(entry.name))


def _unmount_below(folder: Path) -> None:
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
