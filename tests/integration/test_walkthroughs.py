"""Pages with commands that build on each other: each runs in the order of the page, with an operator and without a kubelet."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import yaml

from shopdev.cluster import tools
from tests.integration.cluster import Cluster
from tests.integration.kubelet import ready_pods
from tests.integration.operators import ROOT, Operator, run
from tests.printed import of_page, typed
from tests.waiting import wait_for

_PLUGIN: Final = (
    "#!{}\nimport sys\nfrom shop_operator.cli.commands import main\nsys.argv[0] = 'kubectl-shop'\nmain()\n"
)
HEALING: Final = (ROOT / "docs/tutorial/break-it-and-watch-it-heal.md").read_text(encoding="utf-8")
MOVING: Final = (ROOT / "docs/how-to/move-to-shopservices.md").read_text(encoding="utf-8")
CONFLICT: Final = (
    "Service taken already exists and was not created by the operator. Delete or rename it, or give this ShopService"
    " another name; the operator retries every 30 s."
)
# What the page says about the output of a command, by the end of the command.
SAID: Final = {
    "get service web": "ClusterIP",
    "reason=Recreated": "Recreated",
    '.image}{"\\n"}\'': "shop-sample:0.1.0",
    '.drift.last}{"\\n"}\'': '"Deployment web"',
    'mine}{"\\n"}\'': "yes",
    '.message}{"\\n"}\'': CONFLICT,
    "get shopservice web": "True",
    "explain web -n shop": "shop-sample:none",
}
Typed = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def kubeconfig(cluster: Cluster) -> Callable[[str], Path]:
    """A kubeconfig with the namespace as the current one."""

    def of(namespace: str) -> Path:
        config = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))
        for each in config["contexts"]:
            each["context"]["namespace"] = namespace
        path = cluster.kubeconfig.with_name(f"{namespace}.kubeconfig")
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return path

    return of


@pytest.fixture
def shell(kubeconfig: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Typed]:
    """Types commands as the reader, in the repository and with the plugin, in a namespace."""
    plugin = tmp_path / "kubectl-shop"
    plugin.write_text(_PLUGIN.format(sys.executable), encoding="utf-8")
    plugin.chmod(0o755)
    path = [str(tmp_path), str(tools.ensure("kubernetes")), os.environ["PATH"]]

    def of(namespace: str) -> Typed:
        environment = {
            **os.environ,
            "PATH": os.pathsep.join(path),
            "KUBECONFIG": str(kubeconfig(namespace)),
            "PYTHONPATH": str(ROOT / "operator"),
        }
        return lambda command: typed(command.replace("dev/cluster exec -- ", ""), environment, 120)

    return of


def test_given_the_tutorial_when_its_commands_run_in_order_then_everything_heals_as_it_says(
    cluster: Cluster, operator: Operator, shell: Callable[[str], Typed]
) -> None:
    cluster.namespace("shop")
    said = dict.fromkeys(SAID, False)

    reader = shell("shop")

    def answers(command: str) -> bool:
        done = reader(command)
        # `explain` exits with 1 while a ShopService is not ready.
        assert done.returncode == int("shop explain" in command), f"{command}\n{done.stdout}{done.stderr}"
        for end, text in SAID.items():
            if command.endswith(end):
                assert text in done.stdout, command
                said[end] = True
        return True

    with ready_pods(cluster, "shop", missing="shop-sample:none"):
        for command in of_page(HEALING):
            if re.search(r"\b(get|explain)\b", command):
                wait_for(partial(answers, command), 30, what=command)
            else:
                answers(command)

    assert [end for end, found in said.items() if not found] == []
    assert f"```\n{CONFLICT}\n```" in HEALING


def test_given_objects_of_another_owner_when_the_commands_of_the_page_run_then_a_shopservice_takes_their_place(
    cluster: Cluster, operator: Operator, shell: Callable[[str], Typed], kubectl: Path
) -> None:
    namespace = cluster.namespace("moving")
    admin: list[str | Path] = [kubectl, "--kubeconfig", cluster.kubeconfig, "-n", namespace]
    run([*admin, "create", "deployment", "cart", "--image=old"])
    run([*admin, "create", "service", "clusterip", "cart", "--tcp=80:8080"])
    old = {"labelSelector": "app=cart"}
    pods = f"/api/v1/namespaces/{namespace}/pods"
    (before,) = wait_for(lambda: cluster.http.get(pods, params=old).json()["items"])

    reader = shell(namespace)
    with ready_pods(cluster, namespace):
        for command in of_page(MOVING):
            done = reader(command)
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    (kept,) = cluster.http.get(pods, params=old).json()["items"]
    assert kept["metadata"]["uid"] == before["metadata"]["uid"]
    for kind in ("Deployment", "Service"):
        owners = cluster.get(kind, namespace, "cart")["metadata"]["ownerReferences"]
        assert [each["kind"] for each in owners] == ["ShopService"]
    cluster.delete("ShopService", namespace, "cart")
