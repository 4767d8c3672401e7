"""One setting, one name: flag over variable over default, and a sentence for every mistake."""

import pytest

from shop_operator.settings import BadSetting, CrdSettings, RunSettings, parse


def run(*argv: str, **env: str) -> RunSettings:
    settings = parse(["run", *argv], env)
    assert isinstance(settings, RunSettings)
    return settings


def test_given_no_flags_and_no_variables_then_the_defaults_apply() -> None:
    settings = run()

    assert settings.leader_elect is True
    assert settings.namespaces == ()
    assert (settings.metrics_port, settings.workers, settings.resync_seconds) == (8080, 16, 3600)
    assert (settings.lease_name, settings.lease_namespace) == ("shop-operator", None)
    assert settings.log_level == "info"


def test_given_a_flag_and_a_variable_then_the_flag_wins() -> None:
    env = {"SHOP_OPERATOR_METRICS_PORT": "9000", "SHOP_OPERATOR_LEADER_ELECT": "false"}

    assert run(**env).metrics_port == 9000
    assert run(**env).leader_elect is False
    assert run("--metrics-port", "0", "--leader-elect", **env).metrics_port == 0
    assert run("--leader-elect", **env).leader_elect is True


@pytest.mark.parametrize("name", ["shop_operator_workers", "Shop_Operator_Workers", "workers", "WORKERS"])
def test_given_a_variable_in_another_notation_then_it_is_ignored(name: str) -> None:
    assert run(**{name: "3"}).workers == 16


@pytest.mark.parametrize("name", ["SHOP_OPERATOR_POD_NAMESPACE", "pod_namespace"])
def test_given_a_pod_namespace_by_another_variable_then_it_is_ignored(name: str) -> None:
    assert run(**{name: "ops"}).pod_namespace == ""


@pytest.mark.parametrize("value", ["yes", "1", "on", "True", ""])
def test_given_a_boolean_in_another_notation_then_it_is_refused(value: str) -> None:
    with pytest.raises(BadSetting, match=r"SHOP_OPERATOR_WATCH_CONFIG is '.*'; use true or false"):
        run(SHOP_OPERATOR_WATCH_CONFIG=value)


def test_given_namespaces_by_flags_or_by_a_list_then_they_are_unique() -> None:
    assert run("--namespace", "a", "--namespace", "b", "--namespace", "a").namespaces == ("a", "b")
    assert run(SHOP_OPERATOR_NAMESPACES="a, b,,").namespaces == ("a", "b")


def test_given_a_pod_name_then_the_identity_begins_with_it_and_is_unique() -> None:
    first, second = run(POD_NAME="pod-0").identity, run(POD_NAME="pod-0").identity

    assert first.startswith("pod-0_")
    assert first != second


def test_given_a_pod_namespace_then_the_lease_is_there_unless_a_flag_names_another() -> None:
    assert run(POD_NAMESPACE="ops").lease_namespace == "ops"
    assert run("--lease-namespace", "x", POD_NAMESPACE="ops").lease_namespace == "x"


def test_given_common_metadata_by_flag_or_variable_then_it_is_read_as_a_json_object() -> None:
    labels, annotations = '{"team": "checkout"}', '{"example.com/cost-center": "42"}'

    found = run("--common-labels", labels, SHOP_OPERATOR_COMMON_ANNOTATIONS=annotations).common

    assert found.labels == {"team": "checkout"}
    assert found.annotations == {"example.com/cost-center": "42"}
    assert (run().common.labels, run().common.annotations) == (None, None)


@pytest.mark.parametrize(
    ("argv", "env", "sentence"),
    [
        (["--common-labels", "team=a"], {}, "--common-labels is 'team=a'; use a JSON object of strings."),
        ([], {"SHOP_OPERATOR_COMMON_LABELS": "[]"}, "SHOP_OPERATOR_COMMON_LABELS is '[]'; use a JSON object"),
        (["--common-annotations", '{"a": 1}'], {}, "--common-annotations: Input should be a valid string."),
        (["--common-labels", '{"a": "b c"}'], {}, "--common-labels: must be the value of a label: letters"),
        (
            ["--common-labels", '{"a b": "c"}'],
            {},
            "--common-labels: every key must be a valid key of a label",
        ),
        (
            ["--common-labels", '{"app.kubernetes.io/part-of": "a"}'],
            {},
            "commonMetadata.labels must not use the prefixes app.kubernetes.io/",
        ),
    ],
)
def test_given_invalid_common_metadata_then_it_is_refused_with_the_mistake(
    argv: list[str], env: dict[str, str], sentence: str
) -> None:
    with pytest.raises(BadSetting) as refused:
        run(*argv, **env)

    assert sentence in str(refused.value)


def test_given_the_crd_command_then_the_crd_settings_are_parsed() -> None:
    assert isinstance(parse(["crd"], {}), CrdSettings)


@pytest.mark.parametrize(
    ("argv", "env", "sentence"),
    [
        (["--metrics-port", "http"], {}, "--metrics-port is 'http'; use a number from 0 to 65535."),
        (["--metrics-port", "65536"], {}, "--metrics-port is '65536'; use a number from 0 to 65535."),
        (["--workers", "0"], {}, "--workers is '0'; use a number from 1 to 256."),
        ([], {"SHOP_OPERATOR_WORKERS": "-1"}, "SHOP_OPERATOR_WORKERS is '-1'; use a number from 1 to 256."),
        (
            [],
            {"SHOP_OPERATOR_LEADER_ELECT": "maybe"},
            "SHOP_OPERATOR_LEADER_ELECT is 'maybe'; use true or false.",
        ),
        (["--log-level", "loud"], {}, "--log-level is 'loud'; use one of debug, info, warning, error."),
        (
            ["--namespace", "A_B"],
            {},
            "--namespace names 'A_B', which is not a valid namespace name (RFC 1123 label).",
        ),
        (["--resync-seconds", "0"], {}, "--resync-seconds is '0'; use a number from 1 to 86400."),
    ],
)
def test_given_an_invalid_value_of_a_setting_then_the_error_names_it_and_the_allowed_values(
    argv: list[str], env: dict[str, str], sentence: str
) -> None:
    with pytest.raises(BadSetting) as error:
        run(*argv, **env)

    assert str(error.value) == sentence


@pytest.mark.parametrize("argv", [[], ["nope"], ["run", "--nope"]])
def test_given_an_unknown_command_or_flag_then_the_command_exits_with_2(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(argv, {})

    assert end.value.code == 2
