"""Tracing on AWS: every resource that AWS can trace is traced, and sends its traces with no further permission."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from shopdev.cloudformation import stacks

# Resource type -> the properties that turn on its traces.
TRACED: Mapping[str, Mapping[str, Any]] = {
    "AWS::Lambda::Function": {"TracingConfig": {"Mode": "Active"}},
    "AWS::SNS::Topic": {"TracingConfig": "Active"},
    "AWS::StepFunctions::StateMachine": {"TracingConfiguration": {"Enabled": True}},
}
TOPIC = "AWS::SNS::Topic"  # has no role
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


def xray(stack: str, role: str) -> set[str]:
    """The actions of X-Ray that the policies of a role permit."""
    found = stacks.document(stack)["Resources"][role]["Properties"]["Policies"]
    inline = [each for each in found if "PolicyDocument" in each]
    actions = [statement["Action"] for each in inline for statement in each["PolicyDocument"]["Statement"]]
    named = {each for given in actions for each in ([given] if isinstance(given, str) else given)}
    return {each for each in named if each.startswith("xray:")}
