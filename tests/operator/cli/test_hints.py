"""A word that is not known is answered with the one that was meant: fields, values, names, types, commands, contexts."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from shop_operator.cli.commands import shop
from tests.operator.cli.conftest import Program
from tests.operator.cli.objects import owned, shopservice
from tests.operator.cli.server import Server

HEAD = """\
apiVersion: shopservice.dev/v1alpha1
kind: ShopService
metadata:
  name: web
spec:
  image: web:1
"""


def rendered(folder: Path, text: str) -> str:
    """Error of `render` for an invalid file."""
    (folder / "web.yaml").write_text(text)
    done = CliRunner().invoke(shop, ["render", "-f", str(folder / "web.yaml")])
    assert done.exit_code == 6, done.output
    return done.stderr.replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("  replica: 2\n", "web.yaml:7: spec.replica: unknown field; did you mean replicas?"),
        ("  Replicas: 2\n", "web.yaml:7: spec.Replicas: unknown field; did you mean replicas?"),
        ("  autoscalling: {}\n", "web.yaml:7: spec.autoscalling: unknown field; did you mean autoscaling?"),
        ("  minReplicas: 2\n", "spec.minReplicas: unknown field; did you mean autoscaling.minReplicas?"),
        ("  livenessProbe: {}\n", "spec.livenessProbe: unknown field; did you mean probes.liveness?"),
        ("  envVars: []\n", "spec.envVars: unknown field; did you mean env?"),
        (
            "  probes:\n    readiness:\n      httpget: {path: /}\n",
            "web.yaml:9: spec.probes.readiness.httpget: unknown field; did you mean httpGet?",
        ),
        (
            "  workers:\n    - name: relay\n      comand: [run]\n",
            "web.yaml:9: spec.workers[0].comand: unknown field; did you mean command?",
        ),
        (
            "  imagePullPolicy: ifnotpresent\n",
            "did you mean IfNotPresent?",
        ),
        ("  color: red\n", "web.yaml:7: spec.color: unknown field.\n"),
        (
            "  replicas: 2\n  replicas: 3\n",
            "web.yaml:8: replicas is defined twice; remove one of the definitions.",
        ),
    ],
)
def test_given_an_unknown_field_then_the_error_has_its_line_and_the_similar_field(
    tmp_path: Path, given: str, sentence: str
) -> None:
    assert sentence in rendered(tmp_path, HEAD + given)


def test_given_several_mistakes_in_a_file_then_each_has_a_line(tmp_path: Path) -> None:
    said = rendered(tmp_path, HEAD + "  replica: 2\n  prot: 80\n")

    assert said == (
        "kubectl shop: web.yaml:7: spec.replica: unknown field; did you mean replicas?\n"
        "web.yaml:8: spec.prot: unknown field; did you mean port?\n"
    )


@pytest.mark.parametrize(
    ("wrong", "right", "sentence"),
    [
        ("kind: ShopService", "kind: Shopservice", "web.yaml:2: kind is 'Shopservice'; write ShopService."),
        (
            "spec:",
            "sepc:",
            "web.yaml:5: ShopService web has no spec; sepc is not a field of it; did you mean spec?",
        ),
        (
            "/v1alpha1",
            "/v1",
            "web.yaml:1: apiVersion is 'shopservice.dev/v1'; write shopservice.dev/v1alpha1.",
        ),
    ],
)
def test_given_a_mistake_in_the_head_of_a_document_then_the_error_has_its_line(
    tmp_path: Path, wrong: str, right: str, sentence: str
) -> None:
    assert sentence in rendered(tmp_path, HEAD.replace(wrong, right))


def test_given_a_mistake_in_an_item_of_a_list_then_the_error_has_the_line_of_the_item(tmp_path: Path) -> None:
    item = yaml.safe_load(HEAD)
    item["spec"]["replica"] = 2
    text = (
        HEAD.replace("name: web", "name: other")
        + "---\n"
        + yaml.safe_dump({"kind": "List", "items": [item]}, sort_keys=False)
    )

    said = rendered(tmp_path, text)

    line = next(number for number, each in enumerate(text.splitlines(), 1) if "replica:" in each)
    assert f"web.yaml:{line}: spec.replica" in said


def test_given_aliases_that_expand_exponentially_then_the_file_is_refused_at_once(tmp_path: Path) -> None:
    levels = "".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))

    said = rendered(tmp_path, f"{HEAD}  a0: &a0 [x]\n{levels}")

    assert "web.yaml has aliases that expand to more than 200000 values; write the values out" in said


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ["explain", "databse"],
            4,
            "ShopService databse not found in namespace shop; did you mean database?",
        ),
        (["status", "databse"], 4, "did you mean database?"),
        (["tree", "databse"], 4, "did you mean database?"),
        (["suspend", "databse"], 4, "did you mean database?"),
        (["rollback", "databse"], 4, "did you mean database?"),
        (["-n", "shpo", "status", "web"], 4, "in namespace shpo, which does not exist; did you mean shop?"),
        (
            ["status", "deployment/web"],
            2,
            "deployment/web is not a ShopService: use NAME or shopsvc/NAME",
        ),
        (["expain", "web"], 2, "No such command 'expain'. Did you mean 'explain'?"),
        (["describe", "web"], 2, "No such command 'describe'. Use: kubectl describe shopservice web"),
        (["get", "web"], 2, "Use: kubectl get shopservice web"),
        (["--context", "hree", "status"], 3, "did you mean here?"),
    ],
)
def test_given_an_unknown_name_or_command_then_the_error_suggests_the_similar_one(
    server: Server, program: Program, arguments: list[str], code: int, sentence: str
) -> None:
    server.objects += [shopservice(), shopservice("database")]
    server.namespaces = ["default", "shop"]

    done = program(*arguments)

    assert sentence in done.stderr
    assert done.exit_code == code


def test_given_a_namespace_that_does_not_exist_when_status_runs_then_a_similar_namespace_is_suggested(
    server: Server, program: Program
) -> None:
    server.namespaces = ["default", "shop"]

    assert program("-n", "shpo", "status").stderr == (
        "No ShopServices found in namespace shpo, which does not exist; did you mean shop?\n"
    )
    assert program("status").stderr == "No ShopServices found in namespace shop.\n"


@pytest.mark.parametrize(
    "kind", ["shopservice", "shopservices", "shopsvc", "ShopService", "shopservices.shopservice.dev"]
)
@pytest.mark.parametrize("command", ["status", "explain", "tree", "suspend", "resume", "rollback"])
def test_given_a_type_before_a_name_then_the_command_accepts_it(
    server: Server, program: Program, command: str, kind: str
) -> None:
    server.objects += [shopservice(), owned("Service", "web")]

    assert program(command, f"{kind}/web").exit_code == 0


@pytest.mark.parametrize("command", ["explain", "tree", "status"])
def test_given_several_names_or_none_then_the_command_shows_these_or_all_shopservices(
    server: Server, program: Program, command: str
) -> None:
    server.objects += [shopservice("a"), shopservice("b"), shopservice("c")]

    some: list[Any] = yaml.safe_load(program(command, "c", "shopsvc/a", "-o", "yaml").stdout)
    every: list[Any] = yaml.safe_load(program(command, "-o", "yaml").stdout)

    assert len(some) == 2
    assert len(every) == 3
    assert program(command, "-A").exit_code == 0


def test_given_several_names_when_one_is_not_ready_then_explain_exits_with_1(
    server: Server, program: Program
) -> None:
    server.objects += [shopservice("a"), shopservice("b", reason="RollingOut", message="0 of 2.")]

    done = program("explain", "a", "b")

    assert done.exit_code == 1
    assert done.stdout.splitlines()[0].startswith("a is ready")
    assert "b is not ready" in done.stdout


def test_given_several_names_when_suspend_runs_then_all_of_them_are_suspended(
    server: Server, program: Program
) -> None:
    server.objects += [shopservice("a"), shopservice("b")]

    assert (
        program("suspend", "a", "b").stdout
        == "Reconciliation of a is suspended.\nReconciliation of b is suspended.\n"
    )
    assert [each["spec"]["suspend"] for each in server.objects] == [True, True]


@pytest.mark.parametrize("plural", ["httproutes", "pods", "replicasets", "horizontalpodautoscalers"])
def test_given_no_permission_to_list_a_kind_when_tree_runs_then_it_shows_the_rest_and_names_the_kind(
    server: Server, program: Program, plural: str
) -> None:
    kind = {"httproutes": "HTTPRoute", "pods": "Pod", "replicasets": "ReplicaSet"}.get(
        plural, "HorizontalPodAutoscaler"
    )
    found = shopservice()
    found["status"]["children"] = [{"kind": "HTTPRoute", "name": "web", "ready": True, "message": ""}]
    server.objects += [found, owned("Service", "web")]
    server.forbidden = {plural}

    done = program("tree", "web")

    assert done.exit_code == 0
    assert "Service/web" in done.stdout
    assert f"(not allowed to list: {kind})" in done.stdout
    assert ("✓ HTTPRoute/web" in done.stdout) is (kind == "HTTPRoute")
    assert yaml.safe_load(program("tree", "web", "-o", "yaml").stdout)["hidden"] == [kind]


def test_given_no_permission_for_replicasets_when_rollback_runs_then_the_image_comes_from_the_status(
    server: Server, program: Program
) -> None:
    server.objects.append(shopservice())
    server.forbidden = {"replicasets"}

    assert program("rollback", "web").exit_code == 0
