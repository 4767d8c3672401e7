"""The processes that forward loopback ports of this machine to the cluster; `forward` is their program."""

import socket
import sys

from shopdev.checkout import ROOT
from shopdev.cluster.daemon import Daemon, wait_until
from shopdev.cluster.forward import Route
from shopdev.cluster.network import Namespace
from shopdev.ports import preferred_port


def start(namespace: Namespace, name: str, *routes: Route) -> Daemon:
    """Start a forwarder, which runs until the cluster is removed.

    Args:
        namespace: network namespace of the cluster.
        name: name of the process in the cluster.
        routes: the ports that it forwards.
    """
    process = Daemon(namespace.paths.state, name)
    command = [sys.executable, "-m", "shopdev.cluster.forward", str(namespace.paths.netns), *map(str, routes)]
    process.start(namespace.with_names(command), {"PYTHONPATH": str(ROOT / "dev"), "PATH": "/usr/bin:/bin"})
    return process


def expose(namespace: Namespace, host: str, port: int) -> int:
    """Forward a loopback port to a name in the cluster, and return that port. A second call returns the same port.

    Args:
        namespace: network namespace of the cluster.
        host: DNS name of a Service, such as `jaeger.observability.svc.cluster.local`.
        port: port of the Service. The loopback port has the same number unless it is taken.

    Raises:
        ClusterError: when the forwarder does not start.
    """
    process = Daemon(namespace.paths.state, f"forward-{host}")
    kept = namespace.paths.state / f"forward-{host}.port"
    if process.pid is None:
        chosen = preferred_port(port)
        start(namespace, process.name, Route(chosen, host, port))
        kept.write_text(str(chosen))
    chosen = int(kept.read_text())
    wait_until(lambda: _listens(chosen), f"forwarder of {host}", 20, process)
    return chosen


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
