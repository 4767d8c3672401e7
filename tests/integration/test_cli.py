"""`kubectl shop` as run by a user, on a real API server with a real operator."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.cluster import Cluster, condition
from tests.integration.operators import ROOT, Operator
from tests.integration.shopservices import AUTOSCALING, WORKER, shopservice
from tests.waiting import wait_for

PROGRAM = "import sys; from shop_operator.cli.commands import {0}; sys.argv[0] = 'kubectl-shop'; {0}()"


class Shop:
    """The program, with the cluster's kubeconfig."""

    def __init__(self, kubeconfig: Path | None) -> None:
        self._env = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "operator"),
            "KUBECONFIG": str(kubeconfig or "/nowhere"),
        }

    def run(self, *arguments: str, given: str = "", entry: str = "main") -> subprocess.CompletedProcess[str]:
        """Its exit code and what it printed."""
        command = [sys.executable, "-c", PROGRAM.format(entry), *arguments]
        return subprocess.run(
            command, env=self._env, input=given, capture_output=True, text=True, check=False, timeout=60
        )

    def says(self, *arguments: str, given: str = "", code: int = 0) -> str:
        """Output of the command, if it ended as expected."""
        done = self.run(*arguments, given=given)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code in {0, 1} else done.stderr


@pytest.fixture
def shop(cluster: Cluster) -> Shop:
    return Shop(cluster.kubeconfig)


def text(namespace: str, **spec: Any) -> str:
    return yaml.safe_dump(shopservice(namespace, **spec))


def reconciled(cluster: Cluster, namespace: str, name: str = "web") -> dict[str, Any]:
    """The ShopService once the operator has observed this version of it."""
    found = cluster.get("ShopService", namespace, name)
    assert found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"]
    return found


def test_given_a_changed_manifest_when_diff_runs_then_it_shows_the_changes_of_an_apply_until_it_is_applied(
    cluster: Cluster, operator: Operator, namespace: str, shop: Shop
) -> None:
    wanted = text(namespace, autoscaling=AUTOSCALING, workers=[WORKER])
    new = shop.says("diff", "-f", "-", given=wanted, code=1)
    assert "+++ applied/Deployment/web-relay" in new

    cluster.apply(yaml.safe_load(wanted))
    wait_for(lambda: reconciled(cluster, namespace))
    wait_for(lambda: "Deployment/web-relay" in cluster.children(namespace))
    assert shop.says("diff", "-f", "-", given=wanted) == ""

    changed = text(namespace, args=["--verbose"], autoscaling=AUTOSCALING)
    shown = shop.says("diff", "-f", "-", given=changed, code=1)
    assert "+        - --verbose" in shown
    assert "--- live/Deployment/web-relay" in shown
    (own, *children) = json.loads(shop.says("-o", "json", "diff", "-f", "-", given=changed, code=1))
    assert own["kind"] == "ShopService"
    assert {(each["action"], each["kind"], each["name"]) for each in children} == {
        ("update", "Deployment", "web"),
        ("delete", "Deployment", "web-relay"),
    }

    cluster.apply(yaml.safe_load(changed))
    wait_for(lambda: reconciled(cluster, namespace))
    assert shop.says("diff", "-f", "-", given=changed) == ""


FULL: dict[str, Any] = {
    "args": ["--verbose"],
    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "64Mi"}},
    "autoscaling": {**AUTOSCALING, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}},
    "podTemplate": {"spec": {"nodeSelector": {"disk": "ssd"}, "priorityClassName": "high"}},
}


@pytest.mark.parametrize(
    ("kept", "kind", "gone"),
    [
        ({**FULL, "args": None}, "Deployment", ["- args:", "- --verbose"]),
        (
            {**FULL, "resources": {"limits": {"memory": "64Mi"}}},
            "Deployment",
            ["requests:", "cpu: 100m"],
        ),
        ({**FULL, "env": FULL["env"][:1]}, "Deployment", ["- name: B", "value: '2'"]),
        ({**FULL, "autoscaling": AUTOSCALING}, "HorizontalPodAutoscaler", ["stabilizationWindowSeconds: 60"]),
        (
            {**FULL, "podTemplate": {"spec": {"priorityClassName": "high"}}},
            "Deployment",
            ["nodeSelector:", "disk: ssd"],
        ),
    ],
    ids=["args", "resources", "env", "behavior", "podTemplate"],
)
def test_given_a_manifest_without_a_field_when_diff_runs_then_it_shows_the_removed_lines_only(
    cluster: Cluster,
    operator: Operator,
    namespace: str,
    shop: Shop,
    kept: dict[str, Any],
    kind: str,
    gone: list[str],
) -> None:
    cluster.apply(shopservice(namespace, **FULL))
    wait_for(lambda: reconciled(cluster, namespace))
    note = {"metadata": {"annotations": {"theirs": "1"}}}
    cluster.patch("Deployment", namespace, "web", {**note, "spec": {"template": note}})
    before = cluster.get(kind, namespace, "web")
    wanted = text(namespace, **{key: value for key, value in kept.items() if value is not None})

    changes = json.loads(shop.says("-o", "json", "diff", "-f", "-", given=wanted, code=1))
    shown = shop.says("diff", "-f", "-", given=wanted, code=1)

    assert [each["kind"] for each in changes] == ["ShopService", kind]
    of_child = shown.partition(f"+++ applied/{kind}/web\n")[2].splitlines()
    assert set(gone) <= {line[1:].strip() for line in of_child if line.startswith("-")}
    assert "theirs" not in shown
    assert "replicas" not in shown

    cluster.apply(yaml.safe_load(wanted))
    wait_for(lambda: reconciled(cluster, namespace))
    after = wait_for(lambda: changed(cluster, before))
    assert shop.says("diff", "-f", "-", given=wanted) == ""
    left = yaml.safe_dump(after["spec"])
    assert [line for line in gone if line in left] == []


def changed(cluster: Cluster, before: dict[str, Any]) -> dict[str, Any]:
    """The object once its spec is another one."""
    metadata = before["metadata"]
    found = cluster.get(before["kind"], metadata["namespace"], metadata["name"])
    assert found["spec"] != before["spec"]
    return found


def test_given_a_shopservice_that_is_not_ready_when_explain_runs_then_it_prints_the_cause_and_a_command(
    cluster: Cluster, operator: Operator, namespace: str, shop: Shop
) -> None:
    cluster.create(shopservice(namespace))
    cluster.create(shopservice(namespace, "order", dependsOn=["missing"]))
    wait_for(lambda: reconciled(cluster, namespace))
    wait_for(lambda: reconciled(cluster, namespace, "order"))

    answer = json.loads(shop.says("-n", namespace, "-o", "json", "explain", "order", code=1))
    assert answer["reason"] == "WaitingForDependencies"
    assert "ShopService missing does not exist in this namespace." in answer["sentence"]
    assert answer["next"] == f"kubectl shop status -n {namespace}"
    assert "web is not ready: Deployment web:" in shop.says("-n", namespace, "explain", "web", code=1)

    shop.says("-n", namespace, "suspend", "web")
    wait_for(lambda: condition(reconciled(cluster, namespace), "Ready")["reason"] == "Suspended")
    said = shop.says("-n", namespace, "explain", "web", code=1)
    assert "web is suspended: the operator changes nothing." in said
    assert f"Next: kubectl shop resume web -n {namespace}" in said
    shop.says("-n", namespace, "resume", "web")
    wait_for(lambda: condition(reconciled(cluster, namespace), "Ready")["reason"] != "Suspended")


def test_given_a_shopservice_when_tree_and_status_run_then_they_list_its_children_and_its_state(
    cluster: Cluster, operator: Operator, namespace: str, shop: Shop
) -> None:
    cluster.create(shopservice(namespace, workers=[WORKER]))
    wait_for(lambda: reconciled(cluster, namespace))

    shown = shop.says("-n", namespace, "tree", "web")
    assert "├─ ✗ Deployment/web  " in shown
    assert "ServiceAccount/web" in shown
    table = shop.says("-n", namespace, "status").splitlines()
    assert table[0].split() == ["NAME", "READY", "AVAILABLE", "REASON", "IMAGE"]
    assert table[1].split()[0] == "web"
    everywhere = shop.says("-A", "status").splitlines()
    assert everywhere[0].split() == ["NAMESPACE", *table[0].split()]
    assert [namespace, "web"] in [line.split()[:2] for line in everywhere]
    (row,) = yaml.safe_load(shop.says("-n", namespace, "-o", "yaml", "status", "web"))
    assert row["name"] == "web"


def test_given_a_running_status_watch_when_the_image_changes_then_the_new_image_is_printed(
    cluster: Cluster, operator: Operator, namespace: str, shop: Shop
) -> None:
    cluster.create(shopservice(namespace))
    command = [sys.executable, "-c", PROGRAM.format("main"), "-n", namespace, "status", "-w"]
    with subprocess.Popen(command, env=shop._env, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert namespace in watching.stdout.readline()
        cluster.patch("ShopService", namespace, "web", {"spec": {"image": "registry.test/shop:new"}})
        assert any("shop:new" in line for line in watching.stdout)
        watching.terminate()


def test_given_an_earlier_image_when_rollback_runs_then_the_spec_has_it_again(
    cluster: Cluster, operator: Operator, namespace: str, shop: Shop
) -> None:
    cluster.create(shopservice(namespace, image="registry.test/shop:1"))
    wait_for(lambda: cluster.get("Deployment", namespace, "web")["status"]["observedGeneration"] == 1)
    assert "no image before registry.test/shop:1 is known" in shop.says(
        "-n", namespace, "rollback", "web", code=4
    )
    cluster.patch("ShopService", namespace, "web", {"spec": {"image": "registry.test/shop:2"}})
    wait_for(lambda: cluster.get("Deployment", namespace, "web")["status"]["observedGeneration"] == 2)

    would = shop.says("-n", namespace, "rollback", "web", "--dry-run")
    assert would == "web would be rolled back from registry.test/shop:2 to registry.test/shop:1.\n"
    assert cluster.get("ShopService", namespace, "web")["spec"]["image"] == "registry.test/shop:2"
    shop.says("-n", namespace, "rollback", "web")
    assert cluster.get("ShopService", namespace, "web")["spec"]["image"] == "registry.test/shop:1"


@pytest.mark.parametrize(
    ("arguments", "given", "code", "sentence"),
    [
        (["explain", "missing"], "", 4, "ShopService missing not found in namespace"),
        (["tree", "missing"], "", 4, "ShopService missing not found in namespace"),
        (["suspend", "missing"], "", 4, "ShopService missing not found in namespace"),
        (["diff", "-f", "/nowhere.yaml"], "", 6, "/nowhere.yaml cannot be read: No such file or directory."),
        (["diff", "-f", "-"], "{", 6, "- is not YAML:"),
        (
            ["diff", "-f", "-"],
            "kind: ConfigMap",
            6,
            "no ShopService found in -; name a file that contains one.",
        ),
        (["--context", "elsewhere", "status"], "", 3, "no cluster is configured"),
        (["expain", "web"], "", 2, "No such command 'expain'"),
        (["-A", "status", "web"], "", 2, "use -n instead of -A"),
    ],
)
def test_given_a_mistake_on_the_command_line_when_the_command_runs_then_one_sentence_reports_it(
    cluster: Cluster,
    operator: Operator,
    namespace: str,
    shop: Shop,
    arguments: list[str],
    given: str,
    code: int,
    sentence: str,
) -> None:
    said = shop.says("-n", namespace, *arguments, given=given, code=code)

    assert sentence in said


def test_given_no_usable_cluster_when_the_command_runs_then_one_sentence_gives_the_cause(
    cluster: Cluster, tmp_path: Path
) -> None:
    assert "no cluster is configured" in Shop(None).says("status", code=3)
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    strangers = {**config["clusters"][0]["cluster"]}
    for key in ("certificate-authority", "certificate-authority-data"):
        strangers.pop(key, None)
    stranger = {**config, "clusters": [{**config["clusters"][0], "cluster": strangers}]}
    (tmp_path / "stranger").write_text(yaml.safe_dump(stranger))
    said = Shop(tmp_path / "stranger").says("status", code=3)
    assert f"{cluster.server} is not trusted (" in said
    assert said.endswith("; check certificate-authority in the kubeconfig.\n")
    config["users"][0]["user"] = {"token": "wrong"}
    (tmp_path / "wrong").write_text(yaml.safe_dump(config))
    assert "Unauthorized" in Shop(tmp_path / "wrong").says("status", code=5)
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "away").write_text(yaml.safe_dump(config))
    assert "does not respond" in Shop(tmp_path / "away").says("status", code=3)


def test_given_the_plugin_on_the_path_when_kubectl_shop_runs_then_kubectl_finds_it_and_its_completions(
    cluster: Cluster, namespace: str, shop: Shop, kubectl: Path, tmp_path: Path
) -> None:
    plugin = tmp_path / "kubectl-shop"
    plugin.write_text(f"#!{sys.executable}\n{PROGRAM.format('main')}\n")
    plugin.chmod(0o755)
    env = {**shop._env, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [kubectl, "shop", "-n", namespace, "status"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

    words = shop.run("exp", entry="complete").stdout.splitlines()
    assert words[0].startswith("explain\tExplain in one sentence")
    assert words[-1] == ":4"
    assert "_KUBECTL_SHOP_COMPLETE" in shop.run("completion", "bash").stdout


def test_given_a_kubeconfig_that_skips_tls_verification_when_the_command_runs_then_it_prints_no_warning(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    for each in config["clusters"]:
        ca = [key for key in each["cluster"] if key.startswith("certificate-authority")]
        each["cluster"] = {key: value for key, value in each["cluster"].items() if key not in ca}
        each["cluster"]["insecure-skip-tls-verify"] = True
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))

    done = Shop(file).run("-n", namespace, "status")

    assert done.returncode == 0
    assert done.stderr == f"No ShopServices found in namespace {namespace}.\n"
