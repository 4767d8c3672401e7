"""The cluster's network namespace: one node address, no way out.

nsenter and not `ip netns exec`: the latter mounts another /sys, in which the kubelet finds no cgroups.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from shopdev.cluster.paths import Paths
from shopdev.cluster.progress import ClusterError

NODE_ADDRESS = "192.0.2.10"
POD_RANGE = "10.244.0.0/24"
BRIDGE_SWITCH = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


@dataclass(frozen=True)
class Namespace:
    """The network namespace of one checkout's cluster."""

    paths: Paths

    @property
    def enter(self) -> tuple[str, ...]:
        """Command prefix that runs something inside."""
        return ("nsenter", f"--net={self.paths.netns}", "--")

    @property
    def resolv_conf(self) -> Path:
        """How names are looked up inside: the cluster's own DNS."""
        return self.paths.state / "resolv.conf"

    def with_names(self, command: list[str]) -> list[str]:
        """A command line that runs with the cluster's DNS, in a mount namespace of its own; not yet inside."""
        script = f'mount --bind {self.resolv_conf} /etc/resolv.conf && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, "sh", *command]

    def create(self) -> None:
        """Make it, with the node's address on a veth pair, since not every kernel has dummy devices."""
        _run("ip", "netns", "add", self.paths.name)
        for command in (
            "ip link set lo up",
            "ip link add node0 type veth peer name node0p",
            "ip link set node0p up",
            f"ip addr add {NODE_ADDRESS}/24 dev node0",
            "ip link set node0 up",
            "ip route add default via 192.0.2.1 dev node0",
            "sysctl -qw net.ipv4.ip_forward=1",
        ):
            _run(*self.enter, *command.split())
        _let_bridges_meet_iptables()
        _run(*self.enter, "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1")
        self.resolv_conf.write_text(
            f"nameserver {NODE_ADDRESS}\nsearch svc.cluster.local cluster.local\noptions ndots:2\n"
        )

    def delete(self) -> None:
        """Remove it, if it is there."""
        if self.paths.netns.exists():
            _run("ip", "netns", "delete", self.paths.name)


def _let_bridges_meet_iptables() -> None:
    """Load what makes kube-proxy see the traffic between pods; some kernels have it built in, others need the module.

    Raises:
        ClusterError: when the kernel has it neither way: a pod could not reach a Service.
    """
    if not BRIDGE_SWITCH.exists():
        subprocess.run(["modprobe", "br_netfilter"], check=False, capture_output=True)
    if not BRIDGE_SWITCH.exists():
        raise ClusterError(
            "the kernel module br_netfilter is not loaded, so pods cannot reach Services; load it with `modprobe br_netfilter`"
        )


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
