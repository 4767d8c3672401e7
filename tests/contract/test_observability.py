"""Tracing on AWS: every resource that AWS can trace is traced, and sends its traces with no further permission."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from services.common.telemetry import emf, metrics
from shopdev.checkout import ROOT, SHOPSERVICES
from shopdev.cloudformation import stacks
from tests.charts.helm import Helm

ADOT = ROOT / "manifests" / "observability"

# Resource type -> the properties that turn on its traces.
TRACED: Mapping[str, Mapping[str, Any]] = {
    "AWS::Lambda::Function": {"TracingConfig": {"Mode": "Active"}},
    "AWS::SNS::Topic": {"TracingConfig": "Active"},
    "AWS::StepFunctions::StateMachine": {"TracingConfiguration": {"Enabled": True}},
}
TOPIC = "AWS::SNS::Topic"  # has no role
# The namespace of the metrics of a shop in CloudWatch. Several shops can share an account.
OWN_METRICS = {"Fn::Sub": f"{emf.NAMESPACE}/${{Prefix}}"}
SENDING = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
# An SNS topic and a workflow begin traces, so they read the rules by which X-Ray samples.
SAMPLING = {"xray:GetSamplingRules", "xray:GetSamplingTargets"}


def traceable() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Stack, logical name and resource of everything in TRACED."""
    for stack in stacks.ALL:
        for name, resource in stacks.document(stack)["Resources"].items():
            if resource["Type"] in TRACED:
                yield stack, name, resource


def test_given_the_templates_then_they_contain_functions_topics_and_a_workflow() -> None:
    assert {resource["Type"] for _, _, resource in traceable()} == TRACED.keys()


@pytest.mark.parametrize(
    ("stack", "name", "resource"), [pytest.param(*each, id=f"{each[0]}-{each[1]}") for each in traceable()]
)
def test_given_a_function_topic_or_workflow_then_it_is_traced(
    stack: str, name: str, resource: Mapping[str, Any]
) -> None:
    wanted = TRACED[resource["Type"]]

    assert {key: resource["Properties"].get(key) for key in wanted} == wanted, f"{stack}/{name}"


@pytest.mark.parametrize(
    ("stack", "name", "resource"),
    [pytest.param(*each, id=f"{each[0]}-{each[1]}") for each in traceable() if each[2]["Type"] != TOPIC],
)
def test_given_a_traced_function_or_workflow_then_its_role_permits_sending_traces_and_no_reading(
    stack: str, name: str, resource: Mapping[str, Any]
) -> None:
    role = (resource["Properties"].get("Role") or resource["Properties"]["RoleArn"])["Fn::GetAtt"][0]
    begins = resource["Type"] == "AWS::StepFunctions::StateMachine"

    assert xray(stack, role) == SENDING | (SAMPLING if begins else set()), name


def test_given_the_topics_then_the_policy_of_x_ray_admits_them_and_no_other_account() -> None:
    policy = stacks.document("tracing")["Resources"]["TopicsSendTraces"]["Properties"]["PolicyDocument"]
    (statement,) = json.loads(policy["Fn::Sub"])["Statement"]
    topics = [
        resource["Properties"]["TopicName"]["Fn::Sub"]
        for _, _, resource in traceable()
        if resource["Type"] == TOPIC
    ]

    assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
    assert set(statement["Action"]) == SAMPLING | {"xray:PutTraceSegments"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "${AWS::AccountId}"}
    prefix = statement["Condition"]["ArnLike"]["aws:SourceArn"].rpartition(":")[2].removesuffix("*")
    assert prefix == "${Prefix}-"
    assert all(topic.startswith(prefix) for topic in topics)


def namespaces(part: Any) -> Iterator[Any]:
    """Every namespace of CloudWatch in a part of a template."""
    if isinstance(part, list):
        for each in part:
            yield from namespaces(each)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name == "MetricNamespace" or (name == "Namespace" and "MetricName" in part):
                yield value
            else:
                yield from namespaces(value)


def owned(found: Iterator[Any]) -> list[Any]:
    """Those that are not of AWS."""
    return [each for each in found if not str(each).startswith(("AWS/", "ECS/"))]


@pytest.mark.parametrize("stack", stacks.ALL)
def test_given_a_metric_filter_alarm_or_objective_then_it_is_about_the_metrics_of_its_own_shop(
    stack: str,
) -> None:
    found = owned(namespaces(stacks.document(stack)["Resources"]))

    assert [each for each in found if "${Prefix}" not in str(each)] == []


@pytest.mark.parametrize("stack", stacks.WITH_CODE)
def test_given_a_function_then_its_metrics_are_in_the_namespace_of_its_shop(stack: str) -> None:
    functions = [each for name, _, each in traceable() if name == stack and "Runtime" in each["Properties"]]
    given = [each["Properties"]["Environment"]["Variables"]["METRICS_NAMESPACE"] for each in functions]

    assert given
    assert [each for each in given if each != OWN_METRICS] == []


@pytest.mark.parametrize("stack", stacks.WITH_CODE)
def test_given_the_layer_of_a_collector_then_each_function_sends_its_spans_there_with_ids_for_x_ray(
    stack: str,
) -> None:
    document = stacks.document(stack)
    functions = [
        each["Properties"]
        for name, _, each in traceable()
        if name == stack and "Runtime" in each["Properties"]
    ]
    layers = {"Fn::If": ["HasCollector", [{"Ref": "CollectorLayerArn"}], {"Ref": "AWS::NoValue"}]}

    assert document["Parameters"]["CollectorLayerArn"]["Default"] == ""
    assert document["Conditions"]["HasCollector"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "CollectorLayerArn"}, ""]}]
    }
    for each in functions:
        variables = each["Environment"]["Variables"]
        assert each["Layers"] == layers
        assert variables["OTEL_PYTHON_ID_GENERATOR"] == "xray"
        _, endpoint, otherwise = variables["OTEL_EXPORTER_OTLP_ENDPOINT"]["Fn::If"]
        assert (endpoint, otherwise) == ("http://localhost:4318", {"Ref": "AWS::NoValue"})


@pytest.mark.parametrize(
    ("arn", "is_valid"),
    [
        ("", True),
        ("arn:aws:lambda:eu-central-1:901920570463:layer:aws-otel-collector-amd64-ver-0-117-0:1", True),
        ("arn:aws-cn:lambda:cn-north-1:123456789012:layer:collector:12", True),
        ("arn:aws:lambda:eu-central-1:901920570463:layer:collector", False),
        ("collector", False),
    ],
)
def test_given_the_arn_of_a_layer_then_only_one_with_a_version_is_valid(arn: str, is_valid: bool) -> None:
    patterns = {
        stacks.document(stack)["Parameters"]["CollectorLayerArn"]["AllowedPattern"]
        for stack in stacks.WITH_CODE
    }

    (pattern,) = patterns
    assert bool(re.fullmatch(pattern, arn)) == is_valid


def test_given_a_dashboard_then_it_shows_the_metrics_of_its_own_shop() -> None:
    shown = []
    for stack in stacks.ALL:
        for each in stacks.document(stack)["Resources"].values():
            if each["Type"] == "AWS::CloudWatch::Dashboard":
                body = json.loads(each["Properties"]["DashboardBody"]["Fn::Sub"])
                for widget in body["widgets"]:
                    shown += owned(metric[0] for metric in widget["properties"].get("metrics", ()))

    assert set(shown) == {OWN_METRICS["Fn::Sub"]}


HISTOGRAMS = {each.name for each in metrics.DEFINITIONS if each.kind == "histogram"}


def statistics(part: Any) -> Iterator[tuple[str, str]]:
    """Metric and statistic of every alarm and query in a part of a template."""
    if isinstance(part, list):
        for each in part:
            yield from statistics(each)
    elif isinstance(part, dict):
        if "MetricStat" in part:
            yield part["MetricStat"]["Metric"]["MetricName"], part["MetricStat"]["Stat"]
        elif "MetricName" in part and "Threshold" in part:
            yield part["MetricName"], part.get("Statistic") or part["ExtendedStatistic"]
        else:
            for each in part.values():
                yield from statistics(each)
    elif isinstance(part, str) and part.startswith('{"widgets":'):
        for widget in json.loads(part)["widgets"]:
            properties = widget["properties"]
            yield from ((metric[1], properties["stat"]) for metric in properties.get("metrics", ()))


def test_given_an_alarm_an_objective_or_a_dashboard_then_it_needs_no_buckets_of_a_histogram() -> None:
    found = {
        each
        for stack in stacks.ALL
        for each in statistics(list(stacks.document(stack)["Resources"].values()))
    }

    assert ("http_slow_requests_total", "Sum") in found
    simple = {"Average", "Sum", "SampleCount"}
    assert [each for each in found if each[0] in HISTOGRAMS and each[1] not in simple] == []


def test_given_the_adot_collector_then_its_metrics_are_in_the_namespace_of_its_shop() -> None:
    generated = yaml.safe_load((ADOT / "cloudwatch-metrics.yaml").read_text())
    namespace = generated["exporters"]["awsemf"]["namespace"]

    assert {"Fn::Sub": namespace.replace("${env:CLUSTER_NAME}", "${Prefix}")} == OWN_METRICS
    assert stacks.document("eks")["Resources"]["Cluster"]["Properties"]["Name"] == {"Ref": "Prefix"}


@pytest.mark.parametrize("kind", ["CloudWatch", "Adot"])
def test_given_a_collector_then_only_its_own_pods_can_assume_its_role(kind: str) -> None:
    resources = stacks.document("collector")["Resources"]
    (statement,) = resources[f"{kind}Role"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    tags = statement["Condition"]["StringEquals"]
    given = {
        key.rpartition("/")[2]: value for key, value in tags.items() if key.startswith("aws:RequestTag/")
    }

    assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert tags["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert given["eks-cluster-name"] == {"Ref": "Prefix"}
    assert given["kubernetes-namespace"]
    assert given["kubernetes-service-account"]


def test_given_the_adot_collector_then_it_may_only_send_traces_and_write_its_own_log() -> None:
    resources = stacks.document("collector")["Resources"]
    (policy,) = resources["AdotRole"]["Properties"]["Policies"]
    traces, metrics = policy["PolicyDocument"]["Statement"]

    assert set(traces["Action"]) == SENDING
    assert metrics["Resource"] == {"Fn::GetAtt": ["AdotMetrics", "Arn"]}


def test_given_the_adot_manifests_then_they_match_the_identity_and_the_log_of_the_stack() -> None:
    stack = stacks.document("collector")["Resources"]
    config = yaml.safe_load((ADOT / "adot-config.yaml").read_text())
    account = manifest("ServiceAccount")["metadata"]
    log = config["exporters"]["awsemf"]["log_group_name"].replace("${env:CLUSTER_NAME}", "${Prefix}")

    identity = stack["AdotIdentity"]["Properties"]
    assert (account["namespace"], account["name"]) == (identity["Namespace"], identity["ServiceAccount"])
    assert stack["AdotMetrics"]["Properties"]["LogGroupName"] == {"Fn::Sub": log}


def test_given_the_two_configurations_of_the_adot_collector_then_neither_overrides_the_other() -> None:
    own = yaml.safe_load((ADOT / "adot-config.yaml").read_text())["exporters"]["awsemf"]
    generated = yaml.safe_load((ADOT / "cloudwatch-metrics.yaml").read_text())

    assert list(generated) == ["exporters"]
    assert list(generated["exporters"]) == ["awsemf"]
    assert not own.keys() & generated["exporters"]["awsemf"].keys()


def test_given_the_pipelines_of_the_adot_collector_then_each_part_is_defined_and_each_definition_used() -> (
    None
):
    config = yaml.safe_load((ADOT / "adot-config.yaml").read_text())
    pipelines = config["service"]["pipelines"].values()

    for kind in ("receivers", "processors", "exporters"):
        assert {each for pipeline in pipelines for each in pipeline[kind]} == config[kind].keys()
    assert set(config["service"]["extensions"]) == config["extensions"].keys()


def test_given_the_adot_collector_then_it_sets_each_label_that_cloudwatch_metrics_have_beside_their_own() -> (
    None
):
    config = yaml.safe_load((ADOT / "adot-config.yaml").read_text())
    (scrape,) = config["receivers"]["prometheus"]["config"]["scrape_configs"]
    declared = yaml.safe_load((ADOT / "cloudwatch-metrics.yaml").read_text())["exporters"]["awsemf"]

    given = {each.get("target_label") for each in scrape["relabel_configs"]}
    first = {each[0] for found in declared["metric_declarations"] for each in found["dimensions"]}
    assert first == {"service"}
    assert first <= given


def test_given_the_adot_collector_then_it_reads_only_the_pods_of_the_shop() -> None:
    config = yaml.safe_load((ADOT / "adot-config.yaml").read_text())
    (scrape,) = config["receivers"]["prometheus"]["config"]["scrape_configs"]
    role = manifest("Role")

    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    assert scrape["kubernetes_sd_configs"] == [
        {"role": "pod", "namespaces": {"names": [role["metadata"]["namespace"]]}}
    ]


def test_given_the_adot_collector_then_its_endpoint_is_that_of_its_service() -> None:
    service = manifest("Service")

    (port,) = service["spec"]["ports"]
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    assert f"http://{name}.{namespace}:{port['port']}" == endpoint("adot")


@pytest.mark.parametrize("collector", ["adot", "cloudwatch"])
def test_given_the_values_for_a_collector_then_every_process_sends_its_spans_there_with_ids_for_x_ray(
    helm: Helm, collector: str
) -> None:
    files = ("values-eks.yaml", f"values-{collector}.yaml")
    shop = helm.template("shop", files=files, namespace="shop")
    services = [each["spec"] for each in shop if each["kind"] == "ShopService"]
    environments = [
        env
        for each in services
        for env in [each["env"], *(w.get("env") or [] for w in each.get("workers", ()))]
    ]
    given = [{each["name"]: each.get("value") for each in env} for env in environments]

    assert len(services) == len(SHOPSERVICES)
    sent = [each for each in given if "OTEL_EXPORTER_OTLP_ENDPOINT" in each]
    assert len(sent) >= len(SHOPSERVICES)
    assert {each["OTEL_EXPORTER_OTLP_ENDPOINT"] for each in sent} == {endpoint(collector)}
    assert {each["OTEL_PYTHON_ID_GENERATOR"] for each in sent} == {"xray"}


def endpoint(collector: str) -> str:
    """The endpoint of a collector, which the stack outputs."""
    adot, cloudwatch = stacks.document("collector")["Outputs"]["Endpoint"]["Value"]["Fn::If"][1:]
    return {"adot": str(adot), "cloudwatch": str(cloudwatch)}[collector]


def manifest(kind: str) -> dict[str, Any]:
    """The object of a kind among the manifests of the ADOT collector."""
    (found,) = (each for each in yaml.safe_load_all((ADOT / "adot.yaml").read_text()) if each["kind"] == kind)
    return dict(found)


def xray(stack: str, role: str) -> set[str]:
    """The actions of X-Ray that the policies of a role permit."""
    found = stacks.document(stack)["Resources"][role]["Properties"]["Policies"]
    inline = [each for each in found if "PolicyDocument" in each]
    actions = [statement["Action"] for each in inline for statement in each["PolicyDocument"]["Statement"]]
    named = {each for given in actions for each in ([given] if isinstance(given, str) else given)}
    return {each for each in named if each.startswith("xray:")}
