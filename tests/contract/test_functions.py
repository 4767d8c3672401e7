"""The functions' stack: a new version gets calls a little at a time, and loses them when anything that it does goes wrong."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from flask_openapi3.blueprint import APIBlueprint

from services.common.http import web
from services.common.telemetry import logs
from services.sales import function as sales
from shopdev.cloudformation import stacks

DOCUMENT = stacks.document("functions")
RESOURCES: Mapping[str, Mapping[str, Any]] = DOCUMENT["Resources"]
FUNCTIONS = [name for name, each in RESOURCES.items() if each["Type"] == "AWS::Lambda::Function"]
APIS = ["PlaceOrder", "CheckInventory"]
CLAUSE = re.compile(r"\$\.(?P<field>\w+) (?P<sign>=|>=) (?P<value>\"[^\"]*\"|\d+)")


def properties(name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = RESOURCES[name]["Properties"]
    return found


def alarms(function: str) -> list[str]:
    """The alarms that take a new version's calls away again."""
    configured = properties(f"{function}Deployment")["AlarmConfiguration"]
    assert configured["Enabled"] is True
    return [each["Name"]["Ref"] for each in configured["Alarms"]]


def counted(line: str, pattern: str) -> bool:
    """Whether a filter of CloudWatch Logs counts a line; of its language, what the templates use."""
    try:
        record = json.loads(line)
    except ValueError:
        return False
    assert not CLAUSE.sub("", pattern).strip("{ }()&"), (
        f"{pattern}: this test does not know the language so far"
    )
    return all(_holds(record, clause) for clause in CLAUSE.finditer(pattern))


def _holds(record: Mapping[str, Any], clause: re.Match[str]) -> bool:
    found, value = record.get(clause["field"]), json.loads(clause["value"])
    if clause["sign"] == "=":
        return bool(found == value)
    return isinstance(found, int | float) and found >= value


@pytest.mark.parametrize("function", FUNCTIONS)
def test_given_a_new_version_of_a_function_when_deployed_then_codedeploy_shifts_its_alias_gradually(
    function: str,
) -> None:
    policy = RESOURCES[f"{function}Live"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    group = properties(f"{function}Deployment")

    assert policy == {
        "Fn::If": [
            "HasCanary",
            {
                "ApplicationName": {"Ref": "Deployments"},
                "DeploymentGroupName": {"Ref": f"{function}Deployment"},
            },
            {"Ref": "AWS::NoValue"},
        ]
    }
    assert properties(f"{function}Live")["FunctionVersion"] == {
        "Fn::GetAtt": [f"{function}Version", "Version"]
    }
    assert "Canary" in group["DeploymentConfigName"]
    assert group["DeploymentStyle"] == {
        "DeploymentType": "BLUE_GREEN",
        "DeploymentOption": "WITH_TRAFFIC_CONTROL",
    }
    assert stacks.chosen_for("aws")["Canary"] == "true"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_given_a_failing_version_of_a_function_when_an_alarm_fires_then_codedeploy_rolls_back(
    function: str,
) -> None:
    rollback = properties(f"{function}Deployment")["AutoRollbackConfiguration"]

    assert rollback["Enabled"] is True
    assert {"DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"} <= set(rollback["Events"])
    assert {f"{function}{kind}Alarm" for kind in ("Errors", "Failures", "Duration")} <= set(alarms(function))
    assert all(RESOURCES[name]["Type"] == "AWS::CloudWatch::Alarm" for name in alarms(function))


def test_given_a_sales_view_that_falls_behind_when_a_version_is_deployed_then_codedeploy_rolls_back() -> None:
    assert "FactsAgeAlarm" in alarms("SalesSummary")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_given_an_alarm_on_a_metric_of_lambda_then_it_watches_the_live_alias(
    function: str,
) -> None:
    for kind in ("Errors", "Duration"):
        alarm = properties(f"{function}{kind}Alarm")
        assert alarm["Namespace"] == "AWS/Lambda"
        assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == {
            "FunctionName": {"Ref": function},
            "Resource": {"Fn::Sub": f"${{{function}}}:live"},
        }
    assert properties(f"{function}Live")["Name"] == "live"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_given_the_metric_filter_of_a_function_then_the_alarm_watches_the_metric_of_that_filter(
    function: str,
) -> None:
    counting, alarm = properties(f"{function}Failures"), properties(f"{function}FailuresAlarm")
    (transformation,) = counting["MetricTransformations"]

    assert counting["LogGroupName"] == {"Ref": f"{function}Logs"}
    assert properties(function)["LoggingConfig"]["LogGroup"] == {"Ref": f"{function}Logs"}
    assert (transformation["MetricNamespace"], transformation["MetricName"]) == (
        alarm["Namespace"],
        alarm["MetricName"],
    )
    assert "Dimensions" not in alarm
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Sum", 0)
    assert alarm["TreatMissingData"] == "notBreaching"
    names = [properties(f"{each}FailuresAlarm")["MetricName"] for each in FUNCTIONS]
    assert len(set(names)) == len(names), "or one function's failures would be another's"


@pytest.fixture(params=["INFO", "ERROR"])
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """A level that the functions may log at, and the logging of before afterwards."""
    assert request.param in DOCUMENT["Parameters"]["LogLevel"]["AllowedValues"]
    logs.configure("test", request.param)
    yield request.param
    logs.configure("test", "INFO")


@pytest.mark.parametrize(("status", "failed"), [(200, False), (422, False), (500, True), (503, True)])
def test_given_a_response_when_its_line_is_logged_then_a_status_of_500_or_more_counts_as_a_failure(
    level: str, status: int, failed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    api = APIBlueprint("any", __name__)
    api.get("/any")(lambda: web.json_response({}, status))
    app = web.create_app(name="test", version="1", apis=[api], ready={})

    assert app.test_client().get("/any").status_code == status

    lines = capsys.readouterr().out.splitlines()
    for function in APIS:
        pattern = properties(f"{function}Failures")["FilterPattern"]
        assert sum(counted(line, pattern) for line in lines) == int(failed)


def test_given_a_fact_that_cannot_be_processed_when_its_line_is_logged_then_it_counts_as_a_failure(
    level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    unreached: Any = None
    record = {"messageId": "1", "body": "{}", "attributes": {"ApproximateReceiveCount": "1"}}

    answer = sales.work({"Records": [record, {**record, "messageId": "2"}]}, sales=unreached)

    assert len(answer["batchItemFailures"]) == 2
    pattern = properties("SalesSummaryFailures")["FilterPattern"]
    lines = capsys.readouterr().out.splitlines()
    assert sum(counted(line, pattern) for line in lines) == 2
