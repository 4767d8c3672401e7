"""The network namespace of the cluster: one node address, and no route to other networks.

Commands enter it with nsenter. `ip netns exec` mounts another /sys, in which the kubelet finds no cgroups.
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
    """The network namespace of the cluster of a checkout."""

    paths: Paths

    @property
    def enter(self) -> tuple[str, ...]:
        """The command prefix that runs a command in it."""
        return ("nsenter", f"--net={self.paths.netns}", "--")

    @property
    def resolv_conf(self) -> Path:
        """The resolv.conf inside, with the DNS of the cluster."""
        return self.paths.state / "resolv.conf"

    def with_names(self, command: list[str]) -> list[str]:
        """A command line with the DNS of the cluster, in a new mount namespace; it does not enter the network namespace."""
        script = f'mount --bind {self.resolv_conf} /etc/resolv.conf && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, "sh", *command]

    def create(self) -> None:
        """Create it, with the address of the node on a veth pair, because some kernels lack dummy devices."""
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
        """Remove it if it exists."""
        if self.paths.netns.exists():
            _run("ip", "netns", "delete", self.paths.name)


def _let_bridges_meet_iptables() -> None:
    """Load the module with which kube-proxy handles traffic between pods, unless it is built into the kernel.

    Raises:
        ClusterError: when the kernel has no such module, so that pods could not reach Services.
    """
    if not BRIDGE_SWITCH.exists():
        subprocess.run(["modprobe", "br_netfilter"], check=False, capture_output=True)
    if not BRIDGE_SWITCH.exists():
        raise ClusterError(
            "the kernel module br_netfilter is not loaded, so pods cannot reach Services; load it with `modprobe br_netfilter`"
        )


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
