"""The names and folders of the cluster of a checkout.

The state folder is outside the checkout and has a short path, because the path of a Unix socket must not exceed 107 bytes. Its name
is a hash of the checkout, so that the clusters of two checkouts on one machine are separate.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from shopdev.checkout import ROOT


@dataclass(frozen=True)
class Paths:
    """The names and folders of one checkout."""

    checkout: Path = ROOT

    @property
    def name(self) -> str:
        """Name of the network namespace and of the root cgroup: `shop-` and eight hexadecimal digits."""
        return "shop-" + hashlib.sha256(str(self.checkout).encode()).hexdigest()[:8]

    @property
    def state(self) -> Path:
        """Folder of the running cluster: certificates, logs, etcd, containerd."""
        return Path("/var/lib") / self.name

    @property
    def netns(self) -> Path:
        """File of the network namespace, for `nsenter --net`."""
        return Path("/run/netns") / self.name

    @property
    def env_file(self) -> Path:
        """File with the settings for other commands, as KEY=VALUE lines."""
        return self.checkout / ".dev" / "env"


def cache() -> Path:
    """The cache of files that take long to build, outside every checkout: SHOP_CACHE_DIR, or a folder in XDG_CACHE_HOME."""
    chosen = os.environ.get("SHOP_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shop-dev"
