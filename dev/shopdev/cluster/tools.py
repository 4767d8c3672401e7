"""The pinned Go tools, which are built once per version into a cache that all checkouts share.

Every folder in dev/tools is a Go module. Its `tool` lines name the programs to build (kstatus is a program of this project). The
modules in MANIFESTS only provide CustomResourceDefinitions.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from shopdev.checkout import ROOT
from shopdev.cluster.paths import cache
from shopdev.cluster.progress import ClusterError, say

MODULES = ROOT / "dev" / "tools"
EXPECTED = {
    "kubernetes": "6 min",
    "helm3": "70 s",
    "helm4": "90 s",
    "coredns": "2 min",
    "metrics-server": "2.5 min",
    "kubeconform": "5 s",
    "kube-score": "80 s",
    "external-dns": "7 min",
    "keda": "10 min",
    "promtool": "3 min",
    "prometheus": "5 min",
    "jaeger": "8 min",
    "argo-rollouts": "10 min",
    "kstatus": "2 min",
}
MANIFESTS = {
    "gateway-api": ("sigs.k8s.io/gateway-api", "config/crd/standard"),
    "keda-crds": ("github.com/kedacore/keda/v2", "config/crd/bases"),
    "prometheus-operator-crds": (
        "github.com/prometheus-operator/prometheus-operator",
        "example/prometheus-operator-crd",
    ),
    "argo-rollouts-crds": ("github.com/argoproj/argo-rollouts", "manifests/crds"),
}
TAGS = {"prometheus": "remove_all_sd,enable_kubernetes_sd,enable_dns_sd"}
"""Build tags. Prometheus finds targets in ten clouds; only the code for Kubernetes and DNS is compiled."""
ETCD = "go.etcd.io/etcd/server/v3"
OLDEST_GO = (1, 26)


def names() -> list[str]:
    """The names of all tools."""
    return sorted(each.parent.name for each in MODULES.glob("*/go.mod"))


def folder(name: str) -> Path:
    """The folder of a tool in the cache, which depends on its go.mod and go.sum.

    Raises:
        ClusterError: for an unknown tool.
    """
    module = MODULES / name
    if not (module / "go.mod").is_file():
        raise ClusterError(f"unknown tool {name!r}; known tools: {', '.join(names())}")
    own = sorted(module.rglob("*.go"))
    pins = hashlib.sha256(
        b"".join(each.read_bytes() for each in (module / "go.mod", module / "go.sum", *own))
    )
    pins.update(" ".join((*_helm_stamps(module), *_tags(name))).encode())
    return cache() / "tools" / f"{name}-{pins.hexdigest()[:12]}" / "bin"


def ensure(name: str) -> Path:
    """Build a tool unless it is in the cache, and return its folder.

    Raises:
        ClusterError: when Go is missing or too old, or the build fails.
    """
    target = folder(name)
    if target.is_dir():
        return target
    target.parent.parent.mkdir(parents=True, exist_ok=True)
    with only_one(target.parent.with_suffix(".lock")):
        if not target.is_dir():
            _build(name, target)
    return target


def _build(name: str, target: Path) -> None:
    check_go()
    say(f"building {name}… (usually {EXPECTED.get(name, 'a few seconds')}, once per version)")
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=target.parent.parent, prefix=f".{name}-") as scratch:
        made = Path(scratch) / "bin"
        made.mkdir()
        if name in MANIFESTS:
            _copy_manifests(name, made)
        else:
            _compile(name, made)
        shutil.rmtree(target.parent, ignore_errors=True)
        target.parent.mkdir()
        made.rename(target)
    say(f"built {name} in {time.monotonic() - start:.0f} s")


def _compile(name: str, made: Path) -> None:
    module, tags = MODULES / name, _tags(name)
    packages = _go(module, "list", *tags, "-f", "{{.ImportPath}}", "tool").split()
    stamps = ["-s", "-w", *_version_stamps(module), *_helm_stamps(module)]
    flags = [*tags, "-trimpath", "-ldflags", " ".join(stamps)]
    others = [each for each in packages if each != ETCD]
    if others:
        _go(module, "build", *flags, "-o", f"{made}/", *others)
    if ETCD in packages:
        _go(module, "build", *flags, "-o", str(made / "etcd"), ETCD)


def _tags(name: str) -> list[str]:
    return [f"-tags={TAGS[name]}"] if name in TAGS else []


def _version_stamps(module: Path) -> Iterator[str]:
    """Linker flags for the version of Kubernetes; without them, `kubectl version` prints v0.0.0-master."""
    found = re.search(r"k8s\.io/kubernetes v(\d+)\.(\d+)(\.\S+)", (module / "go.mod").read_text())
    if not found:
        return
    major, minor, _ = found.groups()
    version = "v" + "".join((major, ".", minor, found.group(3)))
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        yield f"-X {package}.gitVersion={version}"
        yield f"-X {package}.gitMajor={major}"
        yield f"-X {package}.gitMinor={minor}"


def _helm_stamps(module: Path) -> Iterator[str]:
    """Linker flags for the version of Helm 3, and of the Kubernetes for which it renders without a cluster (default: v1.20)."""
    pins = (module / "go.mod").read_text()
    helm = re.search(r"helm\.sh/helm/v3 (v3\.\S+)", pins)
    client = re.search(r"k8s\.io/client-go v0\.(\d+)\.", pins)
    if not helm or not client:
        return
    yield f"-X helm.sh/helm/v3/internal/version.version={helm[1]}"
    for package in ("chartutil", "lint/rules"):
        yield f"-X helm.sh/helm/v3/pkg/{package}.k8sVersionMajor=1"
        yield f"-X helm.sh/helm/v3/pkg/{package}.k8sVersionMinor={client[1]}"


def _copy_manifests(name: str, made: Path) -> None:
    module, subfolder = MANIFESTS[name]
    for manifest in sorted((module_folder(name, module) / subfolder).glob("*.yaml")):
        (made / manifest.name).write_bytes(manifest.read_bytes())


def traefik() -> str:
    """The program from the PyPI wheel: beside this interpreter, in .venv, or on PATH.

    Raises:
        ClusterError: when it is not installed.
    """
    folders = (str(Path(sys.executable).parent), str(ROOT / ".venv" / "bin"), os.environ.get("PATH", ""))
    found = shutil.which("traefik", path=os.pathsep.join(folders))
    if found is None:
        raise ClusterError("traefik is not installed: run `dev/bootstrap`, which creates .venv")
    return found


def module_folder(name: str, module: str) -> Path:
    """The source of a Go module at the version that the tool with that name pins; it is downloaded unless Go has cached it.

    Raises:
        ClusterError: when Go is missing or the download fails.
    """
    check_go()
    return Path(json.loads(_go(MODULES / name, "mod", "download", "-json", module))["Dir"])


def _go(module: Path, *arguments: str) -> str:
    env = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOWORK": "off",
        "GOFLAGS": "-buildvcs=false -mod=readonly",
        # A module may require a later patch release of Go, which Go then downloads.
        "GOTOOLCHAIN": "auto",
    }
    done = subprocess.run(
        ["go", *arguments], cwd=module, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ClusterError(f"`go {arguments[0]}` failed in {module}:\n{done.stderr[-3000:]}")
    return done.stdout


def check_go() -> None:
    """Check that Go can build the tools.

    Raises:
        ClusterError: when Go is missing or too old.
    """
    if shutil.which("go") is None:
        raise ClusterError("Go is not on PATH; install Go 1.26 from your distribution or go.dev")
    found = re.search(
        r"go(\d+)\.(\d+)",
        subprocess.run(["go", "version"], capture_output=True, text=True, check=True).stdout,
    )
    if not found or tuple(map(int, found.groups())) < OLDEST_GO:
        raise ClusterError(
            "Go is too old to build Kubernetes; install Go 1.26 from your distribution or go.dev"
        )


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Hold a lock file; other processes wait for it."""
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def search_path(tools: Sequence[str]) -> str:
    """The folders of the tools as a prefix of PATH; missing tools are built."""
    return os.pathsep.join(str(ensure(each)) for each in tools)
