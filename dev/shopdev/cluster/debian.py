"""The programs of the distribution: containerd, runc, CNI plugins, buildah and network tools."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from shopdev.cluster.progress import ClusterError, timed

# Required program or file -> its Debian package.
NEEDED: Mapping[str, str] = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "sysctl": "procps",
    "openssl": "openssl",
    "cc": "gcc",
    "/usr/include/stdio.h": "libc6-dev",
}
_LOCKED_SECONDS = 120


def ensure() -> None:
    """Install missing packages with apt-get.

    Raises:
        ClusterError: when the system is not Linux, the user is not root, or a package is missing on a machine without apt-get.
    """
    if platform.system() != "Linux":
        raise ClusterError(
            "the local node requires Linux; use your own cluster instead: make demo CLUSTER=current"
        )
    if os.geteuid() != 0:
        raise ClusterError(
            "the local node requires root access; run it as root, or use your own cluster: CLUSTER=current"
        )
    packages = missing()
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise ClusterError(f"install these packages (this machine has no apt-get): {' '.join(packages)}")
    install(packages)


def missing() -> list[str]:
    """The packages of the missing programs and files."""
    return sorted({package for thing, package in NEEDED.items() if not _there(thing)})


def install(packages: Sequence[str]) -> None:
    """Install packages with apt-get, as root.

    Raises:
        ClusterError: when apt-get fails.
    """
    # Another apt-get of this machine, such as that of an unattended upgrade, is waited for.
    command = ["apt-get", "-o", f"DPkg::Lock::Timeout={_LOCKED_SECONDS}"]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with timed(f"installing {' '.join(packages)}", "15 s"):
        for step in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
            done = subprocess.run([*command, *step], env=env, capture_output=True, text=True, check=False)
            if done.returncode:
                raise ClusterError(f"apt-get {step[0]} failed:\n{done.stderr[-2000:]}")


def _there(thing: str) -> bool:
    return Path(thing).exists() if thing.startswith("/") else shutil.which(thing) is not None
