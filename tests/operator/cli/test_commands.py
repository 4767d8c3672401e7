"""Every command as run by users and scripts: its output as text or as a document, and its exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from shop_operator.cli.errors import EXIT_CODES
from tests.operator.cli.conftest import Program
from tests.operator.cli.objects import condition, owned, pod, shopservice
from tests.operator.cli.server import Server, config

EXAMPLES: Final = sorted((Path(__file__).parents[3] / "manifests/examples").glob("*.yaml"))
LONG: Final = "l" * 63
IMAGE: Final = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop/order@sha256:{'0' * 64}"
WORDS: Final = " ".join(["it does not answer"] * 30)


def text(*shops: dict[str, Any]) -> str:
    """A file of them, without what the API server adds."""
    return yaml.safe_dump_all(
        {
            **{key: value for key, value in each.items() if key != "status"},
            "metadata": {"name": each["metadata"]["name"]},
        }
        for each in shops
    )


def crowded(server: Server, **spec: Any) -> None:
    """A ShopService of which everything is long."""
    found = shopservice(LONG, reason="WaitingForDependencies", message=WORDS, image=IMAGE, **spec)
    found["status"] |= {"ready": "12/100", "children": []}
    found["status"]["children"] = [{"kind": "Service", "name": LONG, "ready": False, "message": WORDS}]
    found["status"]["conditions"].append(condition("DependenciesReady", "Missing", "False", "x" * 300))
    server.objects += [found, owned("Service", LONG, f"uid-{LONG}", LONG, apiVersion="v1")]
    gone = {**found, "metadata": {**found["metadata"]}}
    server.happens = [{"type": "DELETED", "object": gone}]


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["status", "-A"],
        ["status", LONG],
        ["status", "-w"],
        ["status", "-w", "-A"],
        ["tree", LONG],
        ["explain", LONG],
        ["diff", "-f", "-"],
        ["rollback", LONG, "--dry-run"],
        ["suspend", LONG],
    ],
    ids=" ".join,
)
def test_given_a_pipe_when_a_command_prints_then_no_line_is_wrapped_cut_or_padded(
    server: Server, program: Program, arguments: list[str]
) -> None:
    crowded(server)
    file = shopservice(LONG, image=IMAGE, args=[WORDS, "y" * 200])

    shown = program(*arguments, given=text(file)).stdout

    assert LONG in shown
    assert [line for line in shown.splitlines() if line != line.rstrip()] == []
    for whole in (WORDS, IMAGE, "x" * 300, "y" * 200):
        # Whatever of it is shown is shown in one line.
        assert (whole in shown) is (whole[:40] in shown)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.stem))
def test_when_render_prints_long_values_then_each_is_on_one_line(program: Program, example: Path) -> None:
    given = example.read_text() + f"---\n{text(shopservice('another', args=[WORDS]))}"

    shown = program("render", "-f", "-", given=given).stdout

    assert f"- {WORDS}\n" in shown


@pytest.mark.parametrize("arguments", [["status"], ["status", "-A"], ["status", "-w"]], ids=" ".join)
def test_given_a_long_image_when_status_prints_then_the_image_and_the_short_columns_are_whole(
    server: Server, program: Program, arguments: list[str]
) -> None:
    crowded(server)

    shown = program(*arguments).stdout

    assert "12/100" in shown
    assert "WaitingForDependencies" in shown
    assert IMAGE in shown


def test_given_a_pipe_when_status_watches_then_it_prints_a_line_for_each_change(
    server: Server, program: Program
) -> None:
    server.objects.append(shopservice())
    server.happens = [{"type": "MODIFIED", "object": shopservice(image="web:3")}]

    lines = program("status", "-w").stdout.splitlines()

    assert lines[:2] == [
        "shop  web  2/2  True  Ready  web:2",
        "shop  web  2/2  True  Ready  web:3",
    ]


ROW: Final = {
    "namespace": "shop",
    "name": "web",
    "ready": "2/2",
    "available": "True",
    "reason": "Ready",
    "image": "web:2",
}
SERVICE: Final[dict[str, Any]] = {
    "kind": "Service",
    "name": "web",
    "ready": None,
    "message": "",
    "children": [],
}


@pytest.mark.parametrize(
    ("arguments", "document"),
    [
        (["status"], [ROW]),
        (["status", "web"], [ROW]),
        (
            ["tree", "web"],
            {"kind": "ShopService", "name": "web", "ready": True, "message": "", "children": [SERVICE]},
        ),
        (
            ["explain", "web"],
            {
                "ready": True,
                "reason": "Ready",
                "sentence": "web is ready: 2/2 pods of web:2.",
                "cure": "",
                "next": "",
            },
        ),
        (
            ["rollback", "web"],
            {"name": "web", "from": "web:2", "to": "web:1", "fields": ["image"], "dryRun": False},
        ),
        (
            ["rollback", "web", "--dry-run"],
            {"name": "web", "from": "web:2", "to": "web:1", "fields": ["image"], "dryRun": True},
        ),
        (["suspend", "web"], {"name": "web", "suspended": True}),
        (["resume", "web"], {"name": "web", "suspended": False}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and isinstance(value[0], str) else "",
)
@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_given_a_json_or_yaml_output_when_a_command_runs_then_it_prints_a_document(
    server: Server,
    program: Program,
    arguments: list[str],
    document: Any,
    form: str,
    read: Callable[[str], Any],
) -> None:
    server.objects += [shopservice(), owned("Service", "web")]

    done = program(*arguments, "-o", form)

    assert done.exit_code == 0
    assert read(done.stdout) == document


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_given_a_json_or_yaml_output_when_render_and_diff_run_then_they_print_documents(
    server: Server, program: Program, form: str
) -> None:
    given = text(shopservice())

    rendered = program("render", "-f", "-", "-o", form, given=given).stdout
    changes = program("diff", "-f", "-", "-o", form, given=given).stdout

    objects = json.loads(rendered) if form == "json" else list(yaml.safe_load_all(rendered))
    assert {each["kind"] for each in objects} >= {"Deployment", "Service", "ServiceAccount"}
    found = {each["kind"]: each for each in (json.loads if form == "json" else yaml.safe_load)(changes)}
    assert found["Deployment"] == {
        "action": "create",
        "kind": "Deployment",
        "name": "web",
        "before": None,
        "after": found["Deployment"]["after"],
    }


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_given_a_json_or_yaml_output_when_status_watches_then_it_prints_a_document_for_each_change(
    server: Server, program: Program, form: str
) -> None:
    server.objects.append(shopservice())
    server.happens = [{"type": "MODIFIED", "object": shopservice(image="web:3")}]

    shown = program("status", "-w", "-o", form).stdout

    found = map(json.loads, shown.splitlines()) if form == "json" else yaml.safe_load_all(shown)
    assert list(found)[:2] == [ROW, {**ROW, "image": "web:3"}]


def test_when_rollback_runs_then_the_image_is_written_unless_it_is_a_dry_run(
    server: Server, program: Program
) -> None:
    server.objects.append(shopservice())

    program("rollback", "web", "--dry-run")
    assert server.objects[0]["spec"]["image"] == "web:2"
    program("rollback", "web")
    assert server.objects[0]["spec"]["image"] == "web:1"


@pytest.mark.parametrize("command", ["rollback", "retry"])
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_given_a_suspended_shopservice_and_a_paused_deployment_then_rollback_and_retry_say_how_to_resume(
    server: Server, program: Program, command: str, dry: tuple[str, ...]
) -> None:
    held = shopservice(suspend=True)
    held["status"]["rollout"]["rejectedImage"] = "web:2"
    paused = owned("Deployment", "web-relay", spec={"paused": True})
    server.objects += [held, owned("Deployment", "web", spec={}), paused]

    said = program(command, "web", *dry).stdout

    assert "kubectl shop resume web -n shop" in said
    assert "kubectl rollout resume deployment/web-relay -n shop" in said
    assert "deployment/web " not in said


@pytest.mark.parametrize("command", ["rollback", "retry"])
def test_given_no_permission_for_deployments_when_rollback_or_retry_runs_then_it_succeeds(
    server: Server, program: Program, command: str
) -> None:
    found = shopservice()
    found["status"]["rollout"]["rejectedImage"] = "web:2"
    server.objects.append(found)
    server.forbidden = {"deployments"}

    assert program(command, "web").exit_code == 0


ENDED: Final = {"terminated": {"exitCode": 1, "reason": "Error"}}
WAITS: Final = {"waiting": {"reason": "CrashLoopBackOff"}}


@pytest.mark.parametrize(
    ("container", "words", "command"),
    [
        ({"state": ENDED, "restartCount": 0}, "the only run", "kubectl logs web-1 -c app -n shop"),
        (
            {"state": WAITS, "lastState": ENDED, "restartCount": 3},
            "the run before",
            "kubectl logs web-1 -c app --previous -n shop",
        ),
        ({"state": {"running": {}}, "ready": False}, "the only run", "kubectl logs web-1 -c app -n shop"),
    ],
    ids=["ended and not started again", "waits to be started again", "runs"],
)
def test_given_a_container_that_failed_when_explain_runs_then_it_quotes_the_log_of_the_failed_run(
    server: Server, program: Program, container: dict[str, Any], words: str, command: str
) -> None:
    server.objects += [shopservice(reason="RollingOut", message="0 of 2."), pod(**container)]
    server.logs = {("web-1", False): "the only run\n", ("web-1", True): "the run before\n"}

    answer = json.loads(program("explain", "web", "-o", "json").stdout)

    assert answer["sentence"].endswith(f"; last log line: {words}.")
    assert answer["next"] == command


def refusing(status: int, body: str) -> Callable[[Server], None]:
    def prepare(server: Server) -> None:
        server.refusal = (status, body)

    return prepare


def lacking(*plurals: str) -> Callable[[Server], None]:
    def prepare(server: Server) -> None:
        server.absent |= set(plurals)

    return prepare


def having(*objects: dict[str, Any]) -> Callable[[Server], None]:
    def prepare(server: Server) -> None:
        server.objects += objects

    return prepare


RIGHT: Final = 'shopservices.shopservice.dev is forbidden: User "me" cannot list resource "shopservices"'


@pytest.mark.parametrize(
    ("prepare", "arguments", "code", "sentence"),
    [
        (
            refusing(401, '{"message": "Unauthorized"}'),
            ["status"],
            5,
            "authentication failed (Unauthorized); log in again, and see `kubectl auth whoami`.",
        ),
        (
            refusing(403, json.dumps({"message": RIGHT})),
            ["status"],
            5,
            f"{RIGHT}; ask the cluster administrator for this permission.",
        ),
        (
            refusing(503, '{"message": "etcd is away"}'),
            ["tree", "web"],
            3,
            "the API server responded with 503 (etcd is away); try again, and see `kubectl get --raw '/readyz?verbose'`.",
        ),
        (
            refusing(429, '{"message": "too many requests"}'),
            ["status", "-A"],
            3,
            "the API server responded with 429 (too many requests); try again",
        ),
        (
            refusing(500, "<html>"),
            ["suspend", "web"],
            3,
            "the API server responded with 500 (<html>); try again, and see `kubectl get",
        ),
        (
            refusing(200, "<html>Log in"),
            ["explain", "web"],
            3,
            "is not an API server; check the cluster with `kubectl version`.",
        ),
        (
            refusing(422, '{"message": "spec.image: is wrong"}'),
            ["resume", "web"],
            6,
            "spec.image: is wrong.",
        ),
        (
            lacking("shopservices"),
            ["status"],
            4,
            "the cluster does not serve the kind ShopService; install the operator's chart, which contains it.",
        ),
        (
            lacking("deployments"),
            ["tree", "web"],
            4,
            "the cluster does not serve the kind Deployment; its CRD is not installed.",
        ),
        (
            having(),
            ["explain", "missing"],
            4,
            "ShopService missing not found in namespace shop; see `kubectl shop status -A`.",
        ),
        (
            having({**shopservice("fresh"), "status": {}}),
            ["rollback", "fresh"],
            4,
            "no image before web:2 is known for fresh; set spec.image instead.",
        ),
        (
            having(),
            ["status", "../pods"],
            2,
            "'../pods' is not a valid name: use at most 63 characters of a-z, 0-9 and '-",
        ),
        (having(), ["status", "-n", "Shop"], 2, "'Shop' is not a valid name: use at most 63"),
        (having(), ["tree", "web", "-A"], 2, "this command needs one namespace: use -n instead of -A"),
        (having(), ["suspend"], 2, "Missing argument 'NAME...'"),
        (having(), ["status", "-o", "xml"], 2, "'xml' is not one of 'table', 'json', 'yaml'"),
    ],
)
def test_given_a_mistake_or_a_refusal_then_the_command_prints_one_sentence_and_its_exit_code(
    server: Server,
    program: Program,
    prepare: Callable[[Server], None],
    arguments: list[str],
    code: int,
    sentence: str,
) -> None:
    server.objects.append(shopservice())
    prepare(server)

    done = program(*arguments)

    assert sentence in done.stderr
    assert done.exit_code == code
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("kubeconfig", "sentence"),
    [
        (
            config("http://127.0.0.1:1"),
            "http://127.0.0.1:1 does not respond; check it with `kubectl version`.",
        ),
        (
            config("http://127.0.0.1:1", namespace="../x"),
            "the namespace of context here is '../x', which is not a valid name; name one with -n,",
        ),
        (
            config("http://127.0.0.1:1", namespace=5),
            "the namespace of context here is 5, which is not a valid name;",
        ),
        ({"contexts": []}, "no cluster is configured ("),
    ],
)
def test_given_an_unusable_kubeconfig_or_server_when_a_command_runs_then_it_names_the_cause_and_exits_with_3(
    tmp_path: Path, kubeconfig: dict[str, Any], sentence: str
) -> None:
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))

    done = Program(tmp_path / "kubeconfig")("status")

    assert sentence in done.stderr
    assert done.exit_code == 3


def test_given_an_invalid_namespace_in_the_context_when_the_command_names_another_then_it_succeeds(
    server: Server, program: Program
) -> None:
    found = yaml.safe_load(program.kubeconfig.read_text())
    found["contexts"][0]["context"]["namespace"] = "../x"
    program.kubeconfig.write_text(yaml.safe_dump(found))
    server.objects.append(shopservice())

    assert program("status", "-n", "shop", "web").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "given", "code"),
    [
        (["explain", "web"], "", 0),
        (["explain", "late"], "", 1),
        (["diff", "-f", "-"], text(shopservice("suspended", suspend=True)), 0),
        (["diff", "-f", "-"], text(shopservice("new")), 1),
        (["expain"], "", 2),
        (["--context", "elsewhere", "status"], "", 3),
        (["status", "missing"], "", 4),
        (["render", "-f", "-"], "{", 6),
    ],
)
def test_given_any_outcome_of_a_command_then_its_exit_code_is_the_documented_one(
    server: Server, program: Program, arguments: list[str], given: str, code: int
) -> None:
    server.objects += [
        shopservice(),
        shopservice("late", reason="RollingOut", message="no."),
        shopservice("suspended", suspend=True),
    ]

    assert program(*arguments, given=given).exit_code == code


def test_given_every_exit_code_then_the_reference_documents_it() -> None:
    assert sorted(EXIT_CODES) == [0, 1, 2, 3, 4, 5, 6]
    reference = (Path(__file__).parents[3] / "docs/reference/kubectl-shop.md").read_text()
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in reference


@pytest.mark.parametrize(
    ("command", "done", "refused"),
    [
        ("suspend", "Reconciliation of web is suspended.", "is not suspended"),
        ("resume", "Reconciliation of web is resumed.", "is not resumed"),
    ],
)
def test_given_several_shopservices_when_one_is_refused_then_the_changed_ones_are_still_reported(
    server: Server, program: Program, command: str, done: str, refused: str
) -> None:
    server.objects += [shopservice(), shopservice("mail")]
    server.protected = {"mail"}

    answer = program(command, "wbe", "web", "mail")

    assert answer.stdout == f"{done}\n"
    assert f"wbe {refused}: ShopService wbe not found in namespace shop; did you mean web?" in answer.stderr
    assert f"; mail {refused}: shopservices is forbidden" in answer.stderr
    assert answer.exit_code == 4
