"""`kubectl shop retry`: a rejected release is tried again."""

from shop_operator.names import RETRY_ANNOTATION
from tests.operator.cli.conftest import Program
from tests.operator.cli.objects import shopservice
from tests.operator.cli.server import Server


def test_given_a_rejected_release_when_retry_runs_then_the_annotation_changes_unless_it_is_a_dry_run(
    server: Server, program: Program
) -> None:
    rejected = shopservice()
    rejected["status"]["rollout"]["rejectedImage"] = "web:2"
    server.objects.append(rejected)

    assert "would retry the release with web:2" in program("retry", "web", "--dry-run").stdout
    assert "annotations" not in server.objects[0]["metadata"]
    assert "retries the release with web:2" in program("retry", "web").stdout
    assert server.objects[0]["metadata"]["annotations"][RETRY_ANNOTATION]


def test_given_no_rejected_release_when_retry_runs_then_it_is_refused(
    server: Server, program: Program
) -> None:
    server.objects.append(shopservice())

    answer = program("retry", "web")

    assert answer.exit_code != 0
    assert "no release of web was rolled back" in answer.output
