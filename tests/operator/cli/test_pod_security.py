"""kubectl shop render and diff judge pods as the operator does."""

import json

import pytest

from shop_operator.objects.pod_security import LABEL
from tests.operator.cli.conftest import Program
from tests.operator.cli.server import Server

ROOTED = json.dumps(
    {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {"name": "rooted", "namespace": "shop"},
        "spec": {"image": "web:1", "podTemplate": {"spec": {"hostPID": True}}},
    }
)


@pytest.mark.parametrize("command", ["render", "diff"])
def test_given_pods_that_the_operator_refuses_when_render_or_diff_runs_then_they_are_refused(
    server: Server, program: Program, command: str
) -> None:
    # Given a namespace whose labels may not be read.
    done = program(command, "-f", "-", given=ROOTED)
    # Then restricted is assumed, and the field is named.
    assert done.exit_code not in {0, 1}
    assert "spec.hostPID must not be true" in " ".join(done.output.split())


def test_given_a_privileged_namespace_when_diff_runs_then_its_pod_security_level_applies(
    server: Server, program: Program
) -> None:
    server.labels = {"shop": {LABEL: "privileged"}}

    assert "hostPID: true" in program("diff", "-f", "-", given=ROOTED).output


def test_given_a_pod_security_level_when_render_runs_then_that_level_applies(
    server: Server, program: Program
) -> None:
    done = program("render", "-f", "-", "--pod-security", "privileged", given=ROOTED)

    assert done.exit_code == 0
    assert "hostPID: true" in done.output
