"""One setting, one name: flag over variable over default, and a sentence for every mistake."""

import pytest

from shop_operator.settings import BadSetting, CrdSettings, RunSettings, parse


def run(*argv: str, **env: str) -> RunSettings:
    settings = parse(["run", *argv], env)
    assert isinstance(settings, RunSettings)
    return settings


def test_without_flags_and_variables_the_defaults_apply() -> None:
    settings = run()

    assert settings.leader_elect is True
    assert settings.namespaces == ()
    assert (settings.metrics_port, settings.workers, settings.resync_seconds) == (8080, 16, 3600)
    assert (settings.lease_name, settings.lease_namespace) == ("shop-operator", None)
    assert settings.log_level == "info"


def test_a_variable_overrides_a_default_and_a_flag_overrides_a_variable() -> None:
    env = {"SHOP_OPERATOR_METRICS_PORT": "9000", "SHOP_OPERATOR_LEADER_ELECT": "false"}

    assert run(**env).metrics_port == 9000
    assert run(**env).leader_elect is False
    assert run("--metrics-port", "0", "--leader-elect", **env).metrics_port == 0
    assert run("--leader-elect", **env).leader_elect is True


def test_namespaces_come_from_repeated_flags_or_a_list_and_are_unique() -> None:
    assert run("--namespace", "a", "--namespace", "b", "--namespace", "a").namespaces == ("a", "b")
    assert run(SHOP_OPERATOR_NAMESPACES="a, b,,").namespaces == ("a", "b")


def test_the_identity_names_the_pod_and_is_unique() -> None:
    first, second = run(POD_NAME="pod-0").identity, run(POD_NAME="pod-0").identity

    assert first.startswith("pod-0_")
    assert first != second


def test_the_lease_is_in_the_namespace_of_the_pod() -> None:
    assert run(POD_NAMESPACE="ops").lease_namespace == "ops"
    assert run("--lease-namespace", "x", POD_NAMESPACE="ops").lease_namespace == "x"


def test_common_metadata_is_a_json_object_by_flag_or_variable() -> None:
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
def test_invalid_common_metadata_is_refused(argv: list[str], env: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadSetting) as refused:
        run(*argv, **env)

    assert sentence in str(refused.value)


def test_crd_is_a_command_of_its_own() -> None:
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
def test_an_unusable_value_is_named_with_the_allowed_values(
    argv: list[str], env: dict[str, str], sentence: str
) -> None:
    with pytest.raises(BadSetting) as error:
        run(*argv, **env)

    assert str(error.value) == sentence


@pytest.mark.parametrize("argv", [[], ["nope"], ["run", "--nope"]])
def test_an_unknown_command_or_flag_exits_with_2(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(argv, {})

    assert end.value.code == 2
