"""The target of the demo: the local node, or the cluster of the current kube context (kind, EKS or any other).

Both have the same interface, so that the steps in `steps.py` are the same for each.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from shopdev import environment_file
from shopdev.aws_environment import EMULATOR_PORT, client_environment
from shopdev.checkout import ROOT
from shopdev.console import CommandError, run, say
from shopdev.demo import images
from shopdev.demo.images import SOURCES, Image

STATE = ROOT / ".dev"
PAGES_PORT = 8085
_KIND_PAGE = "docs/how-to/run-on-your-own-cluster.md"
OPERATOR_NAMESPACE, SHOP_NAMESPACE, AWS_NAMESPACE = "shop-operator", "shop", "aws"


class Target(Protocol):
    """The cluster operations that the steps require."""

    emulated: bool
    """Whether AWS is the emulator in the cluster rather than an account."""

    def prepare(self) -> None:
        """Make sure that the cluster exists and responds."""

    def env(self) -> dict[str, str]:
        """The environment for kubectl and helm."""

    def deliver_images(self, tree: Path = ROOT, targets: Collection[str] = SOURCES) -> dict[str, Image]:
        """Build images from a source tree and make them available to the nodes."""

    def shop_values(self) -> list[str]:
        """The arguments for `helm upgrade` of the shop that are specific to this cluster."""

    def stack_parameters(self) -> list[str]:
        """The arguments for `dev/aws deploy` that are specific to this cluster."""

    def aws(self) -> AbstractContextManager[dict[str, str]]:
        """The environment for the AWS CLI, valid inside the context."""

    def way_to_aws(self) -> str:
        """The command that keeps the connection of `aws` open; empty if none is required."""

    def way_in(self) -> str:
        """The prefix of a kubectl command that the user types; empty if kubectl needs none."""

    def way_off(self) -> str:
        """The command that removes everything."""

    def shop_url(self) -> AbstractContextManager[str]:
        """The URL of the gateway from this machine, valid inside the context."""

    def pages_url(self) -> str:
        """The URL of the pages of the shop for a browser of this machine."""

    def way_to_pages(self) -> str:
        """The command that makes the pages reachable at that URL; empty if none is required."""

    def remove_cluster(self) -> bool:
        """Remove the cluster if the demo created it; otherwise return False."""


class LocalNode:
    """The single node of dev/cluster."""

    emulated = True

    def prepare(self) -> None:
        """Start the node, unless it is healthy. Before the first compilation, suggest a cluster of kind if it is installed."""
        from shopdev.cluster import tools  # noqa: PLC0415  only here

        if not tools.folder("kubernetes").is_dir() and all(map(shutil.which, ("kind", "docker"))):
            say(f"      kind and Docker are installed: {_KIND_PAGE} runs the shop without this compilation")
        run([sys.executable, str(ROOT / "dev" / "cluster"), "up"], env=os.environ, show=True)

    def env(self) -> dict[str, str]:
        """The variables of `.dev/env`, with its tools first on PATH."""
        env = {**os.environ, **read_env_file(STATE / "env")}
        return {**env, "PATH": f"{env['PATH_TOOLS']}:{env['PATH']}"}

    def base_image(self) -> str:
        """The reference of the debootstrap image on which every image here is built."""
        from shopdev.cluster import images as store  # noqa: PLC0415  Linux only, and only here

        return store.ensure_base()[0]

    def deliver_images(self, tree: Path = ROOT, targets: Collection[str] = SOURCES) -> dict[str, Image]:
        """Build with buildah on a debootstrap base, without a registry, and load the images into the node."""
        from shopdev.cluster import images as store  # noqa: PLC0415  Linux only, and only here

        base, build_base = store.ensure_base()
        say(f"      base image: {base} (debootstrap; equivalent to {images.OFFICIAL_BASE})")
        planned = images.plan("localhost", base, tree, targets)
        for image in planned.values():
            store.build(image.target, image.reference, tree, {"BASE": base, "BUILD_BASE": build_base})
        references = [image.reference for image in planned.values()]
        if "sample" in planned:
            references.append(store.name_again(planned["sample"].reference, images.SAMPLE))
        run([sys.executable, str(ROOT / "dev" / "cluster"), "load", *references], env=os.environ, show=True)
        return planned

    def shop_values(self) -> list[str]:
        """The port of the listener, which must be the port of Traefik on the node."""
        return ["--set", f"gateway.port={self.env()['GATEWAY_PORT']}"]

    def stack_parameters(self) -> list[str]:
        """The address of Traefik for the API Gateway in the pod of the emulator, and for browsers."""
        from shopdev.cluster.network import NODE_ADDRESS  # noqa: PLC0415  Linux only, and only here

        backend = f"http://{NODE_ADDRESS}:{self.env()['GATEWAY_PORT']}"
        return ["--set", f"BackendUrl={backend}", "--set", f"StorefrontUrl={self.pages_url()}"]

    @contextmanager
    def aws(self) -> Iterator[dict[str, str]]:
        """The emulator, through the forwarder of the node."""
        env = self.env()
        yield {**env, **client_environment(env["AWS_ENDPOINT_URL"])}

    def way_to_aws(self) -> str:
        """Empty: the forwarder runs as long as the node."""
        return ""

    def way_in(self) -> str:
        """A command in the network of the node, with its kubectl."""
        return "dev/cluster exec -- "

    def way_off(self) -> str:
        """The command without variables, because the local node is the default."""
        return "make clean-demo"

    @contextmanager
    def shop_url(self) -> Iterator[str]:
        """Traefik, through the forwarder of the node."""
        yield self.env()["SHOP_URL"]

    def pages_url(self) -> str:
        """Traefik, through the forwarder of the node."""
        return self.env()["SHOP_URL"]

    def way_to_pages(self) -> str:
        """Empty: the forwarder runs as long as the node."""
        return ""

    def remove_cluster(self) -> bool:
        """Remove the node completely."""
        run([sys.executable, str(ROOT / "dev" / "cluster"), "down"], env=os.environ, show=True)
        return True


class CurrentContext:
    """The cluster of the current kube context.

    Args:
        registry: registry of the images, e.g. `123456789012.dkr.ecr.eu-central-1.amazonaws.com`; may be empty for kind.
        account: use the AWS account of the caller's credentials instead of the emulator.
        gateway_class: GatewayClass of the Gateway API controller in the cluster.
        url: URL of the shop, if the address of the Gateway is not reachable from this machine.
        backend: URL of the gateway for pods, used by the API Gateway in the pod of the emulator.
        emulator_port: local port that is forwarded to the pod of the emulator. It is always the same, because it is part of
            the stored address of the API.
    """

    def __init__(
        self,
        registry: str,
        *,
        account: bool,
        gateway_class: str,
        url: str,
        backend: str,
        emulator_port: int = EMULATOR_PORT,
    ) -> None:
        self.registry = registry
        self.emulated = not account
        self.gateway_class = gateway_class
        self.url = url
        self.backend = backend
        self.emulator_port = emulator_port

    def env(self) -> dict[str, str]:
        """The caller's own environment."""
        return dict(os.environ)

    def prepare(self) -> None:
        """Check that the cluster has what the demo requires.

        Raises:
            CommandError: when the cluster does not respond or has no such GatewayClass.
        """
        say(f"      context {self._context()}")
        run(["kubectl", "version"], env=self.env())
        found = subprocess.run(
            ["kubectl", "get", "gatewayclass", self.gateway_class],
            capture_output=True,
            check=False,
            env=self.env(),
        )
        if found.returncode:
            raise CommandError(
                f"the cluster has no GatewayClass {self.gateway_class!r}: install a Gateway API controller, or set "
                "GATEWAY_CLASS to a GatewayClass of the cluster"
            )

    def deliver_images(self, tree: Path = ROOT, targets: Collection[str] = SOURCES) -> dict[str, Image]:
        """Build with docker or podman; load into kind, or push to the registry.

        Raises:
            CommandError: when the cluster is not kind and no registry is named.
        """
        kind = re.fullmatch(r"kind-(.+)", self._context())
        if not self.registry and not kind:
            raise CommandError(
                "images cannot be loaded into this cluster: set REGISTRY to a registry that its nodes can reach"
            )
        planned = images.plan(self.registry or "localhost", images.OFFICIAL_BASE, tree, targets)
        engine = images.build_with_engine(planned, images.OFFICIAL_BASE, self.env(), tree)
        if self.registry:
            images.push(planned, engine, self.env())
        elif kind:
            images.load_into_kind(planned, kind.group(1), engine, self.env())
        return planned

    def shop_values(self) -> list[str]:
        """The class of the Gateway."""
        return ["--set", f"gateway.className={self.gateway_class}"]

    def stack_parameters(self) -> list[str]:
        """The addresses of gateway and pages for the emulator. In an account, `make eks-install` finds the load balancer."""
        if not self.emulated:
            return []
        return ["--set", f"BackendUrl={self.backend}", "--set", f"StorefrontUrl={self.pages_url()}"]

    @contextmanager
    def aws(self) -> Iterator[dict[str, str]]:
        """The account of the caller's credentials, or the emulator through `kubectl port-forward`."""
        if not self.emulated:
            yield self.env()
            return
        with self._port_forward():
            yield {**self.env(), **client_environment(f"http://127.0.0.1:{self.emulator_port}")}

    def way_to_aws(self) -> str:
        """A `kubectl port-forward` like that of `aws`, which ends with the demo."""
        return " ".join(self._forward()) if self.emulated else ""

    def way_in(self) -> str:
        """The PATH of the plugin, which is in the environment of the checkout."""
        return 'PATH="$PWD/.venv/bin:$PATH" '

    def way_off(self) -> str:
        """The command that leaves the cluster in place."""
        return "make clean-demo CLUSTER=current" + ("" if self.emulated else " AWS=account")

    @contextmanager
    def shop_url(self) -> Iterator[str]:
        """The configured URL, or the first address of the Gateway.

        Raises:
            CommandError: when the Gateway has no address.
        """
        if self.url:
            yield self.url
            return
        gateway = json.loads(
            run(["kubectl", "-n", "shop", "get", "gateway", "shop", "-o", "json"], env=self.env())
        )
        addresses = gateway.get("status", {}).get("addresses", [])
        if not addresses:
            raise CommandError("Gateway shop/shop has no address: set SHOP_URL to the URL of the shop")
        yield f"http://{addresses[0]['value']}:{gateway['spec']['listeners'][0]['port']}"

    def pages_url(self) -> str:
        """The configured URL, or the port of `way_to_pages`."""
        return self.url or f"http://127.0.0.1:{PAGES_PORT}"

    def way_to_pages(self) -> str:
        """A `kubectl port-forward` to the storefront, because the address of the Gateway is not known before it is created."""
        if self.url:
            return ""
        return f"kubectl -n {SHOP_NAMESPACE} port-forward service/storefront {PAGES_PORT}:8080 --address 127.0.0.1"

    def remove_cluster(self) -> bool:
        """Return False: the demo did not create the cluster."""
        return False

    def _context(self) -> str:
        return run(["kubectl", "config", "current-context"], env=self.env()).strip()

    def _forward(self) -> list[str]:
        ports = f"{self.emulator_port}:{EMULATOR_PORT}"
        return ["kubectl", "-n", "aws", "port-forward", "service/local-aws", ports, "--address", "127.0.0.1"]

    @contextmanager
    def _port_forward(self) -> Iterator[None]:
        with subprocess.Popen(self._forward(), env=self.env(), stdout=subprocess.PIPE, text=True) as forward:
            try:
                line = forward.stdout.readline() if forward.stdout else ""
                if f"127.0.0.1:{self.emulator_port}" not in line:
                    raise CommandError(
                        f"`{' '.join(self._forward())}` did not start: stop the process that listens on that port, or set "
                        "EMULATOR_PORT to another port"
                    )
                yield
            finally:
                forward.terminate()


def read_env_file(path: Path) -> dict[str, str]:
    """Read KEY=VALUE lines.

    Raises:
        CommandError: when the file is missing, which means that the node is not running.
    """
    try:
        return environment_file.parse(path.read_text())
    except FileNotFoundError:
        raise CommandError(
            f"{path} is missing: the local node is not running; run `dev/cluster up`"
        ) from None


def choose(env: Mapping[str, str]) -> Target:
    """The target that CLUSTER, REGISTRY, AWS, GATEWAY_CLASS, SHOP_URL, BACKEND_URL and EMULATOR_PORT name.

    Raises:
        CommandError: when CLUSTER, AWS or EMULATOR_PORT has an invalid value.
    """
    cluster, aws = env.get("CLUSTER") or "local", env.get("AWS") or "emulator"
    if aws not in {"emulator", "account"}:
        raise CommandError(f"AWS={aws}: must be `emulator` (the default) or `account`")
    if cluster == "local":
        if aws == "account":
            raise CommandError("AWS=account requires CLUSTER=current: the local node has no network access")
        return LocalNode()
    if cluster == "current":
        return CurrentContext(
            env.get("REGISTRY", ""),
            account=aws == "account",
            gateway_class=env.get("GATEWAY_CLASS") or "traefik",
            url=env.get("SHOP_URL", ""),
            backend=env.get("BACKEND_URL") or "http://traefik.traefik.svc.cluster.local",
            emulator_port=_port(env.get("EMULATOR_PORT") or str(EMULATOR_PORT)),
        )
    raise CommandError(f"CLUSTER={cluster}: must be `local` (the default) or `current`")


def _port(text: str) -> int:
    if not text.isdecimal():
        raise CommandError(f"EMULATOR_PORT={text}: must be a port of this machine, such as {EMULATOR_PORT}")
    return int(text)
