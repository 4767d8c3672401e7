"""Where everything of one checkout's cluster lives.

State is outside the checkout and short, because the path of a Unix socket may have 107 bytes at most; its name is a hash
of the checkout, so that two checkouts on one machine never meet.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from shopdev.checkout import ROOT


@dataclass(frozen=True)
class Paths:
    """The names that belong to one checkout."""

    checkout: Path = ROOT

    @property
    def name(self) -> str:
        """Name of the network namespace and of the cgroup root: `shop-` and eight hexadecimal digits."""
        return "shop-" + hashlib.sha256(str(self.checkout).encode()).hexdigest()[:8]

    @property
    def state(self) -> Path:
        """Folder of the running cluster: certificates, logs, etcd, containerd."""
        return Path("/var/lib") / self.name

    @property
    def netns(self) -> Path:
        """The network namespace's handle, for `nsenter --net`."""
        return Path("/run/netns") / self.name

    @property
    def env_file(self) -> Path:
        """What the cluster tells to others, KEY=VALUE."""
        return self.checkout / ".dev" / "env"


def cache() -> Path:
    """Folder outside every checkout for what takes long to make: SHOP_CACHE_DIR, else below XDG_CACHE_HOME."""
    chosen = os.environ.get("SHOP_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shop-dev"
