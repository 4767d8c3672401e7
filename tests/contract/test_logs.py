"""Every log group has a retention, and the errors in the log of every service are counted in CloudWatch."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from typing import Any, Final

import pytest

from services.common.telemetry import emf
from services.common.telemetry.metrics import LOG_ERRORS
from shopdev.cloudformation import stacks
from tests.contract.test_observability import OWN_METRICS

Resources = Mapping[str, Mapping[str, Any]]
STACKS: Final = sorted(path.stem for path in stacks.FOLDER.glob("*.yaml"))
# A line of the services in an event of a log group: the event itself, or a field of the add-on for pods.
PLACES: Final = ("$", "$.log_processed")
# Text of a client, in the access log of an API Gateway.
OF_CLIENTS: Final = ("$context.path", "$context.identity.userAgent", "header", "querystring")


# The logs that no filter of errors reads, and why.
UNFILTERED: Final = {
    ("api", "AccessLogs"): "API Gateway reports 4xx and 5xx as metrics",
    ("collector", "AdotMetrics"): "metrics in the embedded metric format",
    ("collector", "DataPlaneLogs"): "text of Kubernetes components",
    ("collector", "HostLogs"): "text of the operating system",
    ("collector", "PerformanceLogs"): "metrics in the embedded metric format",
    ("eks", "ClusterLogs"): "text of Kubernetes components",
    ("network", "FlowLogGroup"): "every line is a rejected packet",
    ("storefront", "AccessLogs"): "API Gateway reports 4xx and 5xx as metrics",
    ("pipeline", "Logs"): "CodeBuild reports failed builds as a metric",
}
# Of Step Functions: the events of a standard workflow that it logs at the level ERROR.
LOGGED: Final = (
    *("ExecutionAborted", "ExecutionFailed", "ExecutionTimedOut", "FailStateEntered"),
    *("TaskFailed", "TaskStartFailed", "TaskSubmitFailed", "TaskTimedOut"),
)


def resources(stack: str) -> Resources:
    found: Resources = stacks.document(stack)["Resources"]
    return found


def of_type(stack: str, kind: str) -> dict[str, Mapping[str, Any]]:
    return {
        name: each.get("Properties", {}) for name, each in resources(stack).items() if each["Type"] == kind
    }


def service_logs(stack: str) -> Iterator[str]:
    """The log groups of functions and containers."""
    for function in of_type(stack, "AWS::Lambda::Function").values():
        yield function["LoggingConfig"]["LogGroup"]["Ref"]
    for task in of_type(stack, "AWS::ECS::TaskDefinition").values():
        for container in task["ContainerDefinitions"]:
            options = container.get("LogConfiguration", {}).get("Options", {})
            if "Ref" in options.get("awslogs-group", {}):
                yield options["awslogs-group"]["Ref"]
    for addon in of_type(stack, "AWS::EKS::Addon").values():
        if addon["AddonName"] == "amazon-cloudwatch-observability":
            yield "PodLogs"


@pytest.mark.parametrize("stack", STACKS)
def test_given_a_log_group_then_its_retention_is_set(stack: str) -> None:
    groups = of_type(stack, "AWS::Logs::LogGroup")

    assert [name for name, each in groups.items() if "RetentionInDays" not in each] == []


def test_given_a_log_group_then_a_filter_counts_its_errors_unless_a_reason_is_listed() -> None:
    groups = {(stack, name) for stack in STACKS for name in of_type(stack, "AWS::Logs::LogGroup")}
    filtered = {
        (stack, each["LogGroupName"]["Ref"])
        for stack in STACKS
        for each in of_type(stack, "AWS::Logs::MetricFilter").values()
    }

    assert groups - filtered == UNFILTERED.keys()


def test_given_the_log_of_the_workflow_then_failures_are_counted_and_refusals_by_services_are_not() -> None:
    (errors,) = of_type("saga", "AWS::Logs::MetricFilter").values()
    (workflow,) = of_type("saga", "AWS::StepFunctions::StateMachine").values()
    types = re.findall(r'\(\$\.type = "([^"]+)"\)', errors["FilterPattern"])
    (metric,) = errors["MetricTransformations"]

    assert errors["FilterPattern"] == "{ " + " || ".join(f'($.type = "{each}")' for each in types) + " }"
    assert workflow["LoggingConfiguration"]["Level"] == "ERROR"
    counted = {event for event in LOGGED for each in types if fnmatch(event, each)}
    assert set(LOGGED) - counted == {"TaskFailed", "FailStateEntered"}
    assert (metric["MetricNamespace"], metric["MetricName"]) == (OWN_METRICS, "workflow_errors_total")


@pytest.mark.parametrize("stack", STACKS)
def test_given_what_writes_logs_then_it_writes_to_a_group_of_a_template(stack: str) -> None:
    """AWS creates a missing group without a retention."""
    groups = set(of_type(stack, "AWS::Logs::LogGroup"))

    assert set(service_logs(stack)) <= groups
    for kind in ("AWS::StepFunctions::StateMachine", "AWS::ApiGatewayV2::Stage"):
        assert not of_type(stack, kind) or groups, f"{kind} without a log group"


@pytest.mark.parametrize("stack", STACKS)
def test_given_a_function_then_its_log_is_json(stack: str) -> None:
    """The functions write JSON to standard output, which Lambda does not change in either format."""
    functions = of_type(stack, "AWS::Lambda::Function")

    assert {each["LoggingConfig"]["LogFormat"] for each in functions.values()} <= {"JSON"}


@pytest.mark.parametrize("stack", STACKS)
def test_given_the_log_of_a_service_then_a_filter_counts_its_errors_under_the_name_of_the_metric(
    stack: str,
) -> None:
    (errors,) = LOG_ERRORS.collect()
    counted = {
        each["LogGroupName"]["Ref"]
        for each in of_type(stack, "AWS::Logs::MetricFilter").values()
        for metric in each["MetricTransformations"]
        if (metric["MetricNamespace"], metric["MetricName"]) == (OWN_METRICS, f"{errors.name}_total")
        for place in PLACES
        if metric["Dimensions"] == [{"Key": emf.SERVICE, "Value": f"{place}.{emf.SERVICE}"}]
        and each["FilterPattern"] == f'{{ ({place}.level = "error") || ({place}.level = "critical") }}'
    }

    assert counted == set(service_logs(stack))


def test_given_the_access_logs_of_the_gateways_then_they_contain_no_text_of_clients() -> None:
    formats = [
        each["AccessLogSettings"]["Format"] for each in of_type("api", "AWS::ApiGatewayV2::Stage").values()
    ]

    assert formats
    assert [text for text in formats if any(part in text for part in OF_CLIENTS)] == []
