"""The Pod Security Standards, field by field. tests/integration/test_pod_security.py compares them with the API server."""

import copy
from typing import Any

import pytest

from shop_operator.errors import InvalidSpec
from shop_operator.objects.pod_security import LABEL, LEVELS, Level, check, level_of, violations
from tests.operator.pod_templates import CASES, SAFE, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_given_a_template_that_violates_a_level_then_exactly_the_stricter_levels_name_its_field(
    case: Case,
) -> None:
    # Given a pod template that is valid except for the fields of the case.
    # When it is checked.
    found = {level: violations(case.template, level) for level in LEVELS}
    # Then exactly the levels that forbid the field report it once.
    assert {level for level, told in found.items() if told} == set(case.forbidden_by)
    for level in case.forbidden_by:
        assert len(found[level]) == 1, found[level]
        assert case.field in found[level][0]


def test_given_a_safe_template_then_it_meets_every_level() -> None:
    assert [violations(SAFE, level) for level in LEVELS] == [[], [], []]


@pytest.mark.parametrize(
    ("labels", "level"),
    [
        ({}, "restricted"),
        ({LABEL: "baseline"}, "baseline"),
        ({LABEL: "privileged"}, "privileged"),
        ({LABEL: "no-such-level"}, "restricted"),
        ({"pod-security.kubernetes.io/warn": "privileged"}, "restricted"),
    ],
)
def test_given_the_label_of_a_namespace_then_it_sets_the_level(labels: dict[str, str], level: Level) -> None:
    assert level_of(labels, "restricted") == level


def test_given_a_namespace_with_an_invalid_label_then_restricted_applies_instead_of_the_default() -> None:
    assert level_of({}, "privileged") == "privileged"
    assert level_of({LABEL: "no-such-level"}, "privileged") == "restricted"


def test_given_two_violations_then_one_message_names_both_fields_and_the_cure() -> None:
    # Given pods with two violations.
    template = copy.deepcopy(SAFE)
    template["spec"] |= {"hostPID": True, "hostNetwork": True}
    # When they are checked.
    with pytest.raises(InvalidSpec) as raised:
        check(template, "baseline", "web")
    # Then one message names both, and the cure.
    assert str(raised.value) == (
        "The pods of web violate the pod-security level baseline of the namespace. spec.hostNetwork must not be true."
        " spec.hostPID must not be true. Change these fields in the spec, or ask an administrator of the cluster to set"
        " the namespace's label pod-security.kubernetes.io/enforce."
    )


def test_given_many_violations_then_the_message_stays_short() -> None:
    # Given a thousand hostPath volumes with long names.
    template = copy.deepcopy(SAFE)
    template["spec"]["volumes"] = [
        {"name": f"{index}" + "v" * 10_000, "hostPath": {"path": "/"}} for index in range(1000)
    ]
    # When they are checked, then the message names the first ones and the number of the others.
    with pytest.raises(InvalidSpec, match=r"There are 980 more\.") as raised:
        check(template, "restricted", "web")
    assert len(str(raised.value)) < 4_000


@pytest.mark.parametrize(
    "value", [None, 0, 1, "", "x", [], ["x"], [None], {}, {"x": None}, [{"securityContext": "x"}]]
)
def test_given_values_of_wrong_types_then_the_check_still_runs(value: Any) -> None:
    fields = ("containers", "initContainers", "volumes", "securityContext", "os", "hostPID")
    for field in fields:
        for level in LEVELS:
            violations({"metadata": {"annotations": value}, "spec": {**SAFE["spec"], field: value}}, level)
    violations({"metadata": value, "spec": value}, "restricted")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"privileged": True}, "securityContext.privileged"),
        ({"procMount": "Unmasked"}, "securityContext.procMount"),
        ({"windowsOptions": {"hostProcess": True}}, "securityContext.windowsOptions.hostProcess"),
    ],
)
def test_given_a_field_that_depends_on_cluster_settings_then_it_violates_baseline(
    fields: dict[str, Any], field: str
) -> None:
    # Given a field that an API server rejects unless a feature is enabled.
    template = copy.deepcopy(SAFE)
    template["spec"]["containers"][0]["securityContext"] |= fields
    # When it is checked, then it violates baseline in every cluster.
    (told,) = violations(template, "baseline")
    assert told.startswith(f"spec.containers[app].{field} must")


def test_given_a_windows_pod_then_linux_only_rules_do_not_apply() -> None:
    # Given a Windows pod without the fields that apply only to Linux.
    template = copy.deepcopy(SAFE)
    template["spec"] |= {"os": {"name": "windows"}, "securityContext": {"runAsNonRoot": True}}
    del template["spec"]["containers"][0]["securityContext"]
    # When it is checked, then it meets the level restricted.
    assert violations(template, "restricted") == []
