"""The table of reasons matches the code, and so do its page and its commands."""

import ast
import inspect
import string
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_operator import errors
from shop_operator.api.v1alpha1.reasons import CONDITIONS, REASONS, ROWS
from shop_operator.api.v1alpha1.reasons.events import EVENTS
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import InvalidSpec, OperatorError
from shop_operator.objects.summary import summary
from shop_operator.render import render
from shop_operator.status import announcements, cause, conditions, verdicts
from shop_operator.status.compute import status
from shop_operator.status.dependencies import Dependencies
from shop_operator.status.diagnosis import RANKED, Diagnosis, findings, pods
from shop_operator.status.observed import Observed
from shop_operator.status.verdicts import autoscaler, deployment, http_route, rollout
from tests.operator.specs import documents
from tests.operator.states import STATES

ROOT = Path(__file__).parents[3]


def of_errors() -> set[str]:
    found = [each for _, each in inspect.getmembers(errors, inspect.isclass)]
    return {each.reason for each in found if issubclass(each, OperatorError)}


def written(*modules: Any) -> set[str]:
    """All string literals of these modules."""
    trees = [ast.parse(Path(inspect.getfile(each)).read_text()) for each in modules]
    return {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_given_every_reason_of_an_error_then_the_table_has_a_row_for_it() -> None:
    assert of_errors() <= REASONS.keys(), "add a row to api/v1alpha1/reasons"


def test_given_every_reason_of_a_pod_then_the_table_has_a_row_for_it() -> None:
    assert set(RANKED) <= REASONS.keys()


def test_given_every_row_of_the_table_then_the_code_can_give_its_reason() -> None:
    from shop_operator.api.v1alpha1 import crd  # noqa: PLC0415  their literals only
    from shop_operator.status import dependencies  # noqa: PLC0415  as above

    known = of_errors() | written(
        cause,
        conditions,
        verdicts,
        autoscaler,
        deployment,
        http_route,
        rollout,
        findings,
        pods,
        dependencies,
        crd,
    )
    assert {each.word for each in ROWS} <= known


def announced() -> set[str]:
    """The reasons of Events that the code names; the others are those of conditions."""
    tree = ast.parse(Path(inspect.getfile(announcements)).read_text())
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Announcement"
    ]
    named = {ast.literal_eval(node.args[0]) for node in calls if isinstance(node.args[0], ast.Constant)}
    return named | {cause.READY, "WaitingForDependencies"}


def test_given_every_event_in_the_code_then_the_table_of_events_has_a_row_for_it_and_no_other() -> None:
    rows = [each.reason for each in EVENTS]

    assert set(rows) == announced(), "change api/v1alpha1/reasons/events.py"
    assert len(rows) == len(set(rows))


def test_given_the_reference_page_of_events_then_it_lists_every_event_and_every_reason_that_stalls() -> None:
    page = (ROOT / "docs/reference/events.md").read_text()

    assert [each.reason for each in EVENTS if f"| `{each.reason}` | {each.type} |" not in page] == []
    stalling = [each.word for each in ROWS if each.warns or "Stalled" in each.conditions]
    assert [each for each in stalling if f"`{each}`" not in page and each != "NotStalled"] == []


def test_given_the_table_of_reasons_then_its_rows_are_unique_and_cover_every_condition() -> None:
    assert len(REASONS) == len(ROWS)
    assert {kind for each in ROWS for kind in each.conditions} == CONDITIONS.keys()


def of(found: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each["type"], each["reason"]) for each in found["conditions"]}


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_given_any_known_state_then_each_of_its_conditions_has_a_row(state: Any) -> None:
    for kind, reason in of(state.object["status"]):
        assert kind in REASONS[reason].conditions


@pytest.mark.slow
@given(
    documents(),
    st.sampled_from([None, *sorted(RANKED)]),
    st.sampled_from([None, *sorted(OperatorError.__subclasses__()[0].__subclasses__(), key=str)]),
    st.sampled_from([None, Dependencies({}, missing=("a",)), Dependencies({}, cycle=("web", "web"))]),
    st.sampled_from(["", "FailedCreate", "ReplicaSetCreateError", "ProgressDeadlineExceeded", "Unheard"]),
)
def test_given_any_shopservice_then_each_of_its_conditions_has_a_row(
    spec: dict[str, Any],
    reason: str | None,
    error: type[OperatorError] | None,
    dependencies: Dependencies | None,
    said: str,
) -> None:
    shop = ShopService(name="web", namespace="shop", uid="u", generation=3, document=spec)
    with suppress(InvalidSpec):
        children = {}
        for child in render(shop, live=None):
            judged = {"type": "ReplicaFailure", "status": "True", "reason": said, "message": "no"}
            late = {"type": "Progressing", "status": "False", "reason": said}
            child["status"] = {"observedGeneration": 1, "conditions": [judged, late] if said else []}
            children[child["kind"], child["metadata"]["name"]] = summary(child)
        observed = Observed(
            children,
            error("no.") if error else None,
            dependencies=dependencies,
            diagnoses={"web": Diagnosis(reason, "no", "web-1")} if reason else {},
        )
        for kind, word in of(status(shop, observed, {}, now=lambda: "2030-01-01T00:00:00Z")):
            assert kind in REASONS[word].conditions, word


def test_given_the_reference_page_of_conditions_then_it_has_a_row_for_every_reason() -> None:
    page = (ROOT / "docs/reference/conditions.md").read_text()

    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert rows == [*CONDITIONS, *(each.word for each in ROWS)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.word)
def test_given_a_row_that_stalls_then_it_has_a_cure_and_a_command_with_known_placeholders(row: Any) -> None:
    if "Stalled" in row.conditions and row.word != "NotStalled":
        assert row.cure
        assert row.next
    fields = {name for _, name, _, _ in string.Formatter().parse(row.next) if name}
    assert fields <= {"name", "namespace", "child", "pod", "container", "previous"}
    assert row.meaning.endswith(".")
    assert not row.cure or row.cure.endswith(".")
