"""The CloudFormation templates: what the services need, encrypted, restorable, and closed to other callers."""

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.common.http.auth import AuthSettings
from services.common.telemetry.emf import MetricsSettings
from services.common.telemetry.exporting import TracingSettings
from services.order import reconciler
from shopdev.checkout import SERVICES
from shopdev.cloudformation import stacks
from tests.contract.test_observability import OWN_METRICS

ROOT = Path(__file__).resolve().parents[2]
OF_TELEMETRY = (MetricsSettings, TracingSettings)
# Actions that AWS grants on no single resource (IAM service authorization reference).
WITHOUT_RESOURCE = {
    "cloudformation:ListStacks",
    "dynamodb:ListStreams",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ecr:GetAuthorizationToken",
    "ecs:DiscoverPollEndpoint",
    "lambda:CreateEventSourceMapping",  # there is none yet; artifacts.yaml limits it by a condition
    "route53:ListHostedZonesByName",
    "servicediscovery:DiscoverInstances",  # takes names; discovery.yaml limits them by a condition
    "servicediscovery:ListNamespaces",
    "servicediscovery:ListServices",
    "sns:GetSubscriptionAttributes",
    "sns:SetSubscriptionAttributes",
    "sns:Unsubscribe",
    "states:SendTaskFailure",
    "states:SendTaskSuccess",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
LOG_DELIVERY = "logs:"
# The only roles with policies of AWS's own: the needs of EKS, its nodes and its add-on grow with EKS, and only they assume them.
WITH_POLICIES_OF_AWS = {
    ("eks", "ClusterRole"),
    ("eks", "NodeRole"),
    ("eks", "NetworkRole"),
    ("collector", "CloudWatchRole"),
}
TAGGED = {
    "AWS::DynamoDB::Table",
    "AWS::ECS::CapacityProvider",
    "AWS::ECS::Cluster",
    "AWS::ECS::Service",
    "AWS::EKS::Cluster",
    "AWS::Lambda::Function",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::StepFunctions::StateMachine",
}
UNTAGGABLE = {
    "AWS::ApiGatewayV2::ApiMapping",
    "AWS::ApiGatewayV2::Authorizer",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::Cognito::UserPoolClient",
    "AWS::Cognito::UserPoolDomain",
    "AWS::Cognito::UserPoolGroup",
    "AWS::Cognito::UserPoolResourceServer",
    "AWS::EC2::Route",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::IAM::ManagedPolicy",
    "AWS::Lambda::Alias",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Version",
    "AWS::Logs::MetricFilter",
    "AWS::S3::BucketPolicy",
    "AWS::EKS::AccessEntry",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}
# Queues whose messages are tried less often than sixty times. An import has the function's whole five minutes, so a
# failed one is hidden for half an hour: sixty tries would tell the uploader after 30 hours.
TRIED_LESS_OFTEN = {("functions-catalogue", "Uploads"): 5}
# Queues that bring nothing: Lambda puts there what it could not read from the table's stream for six hours.
ONLY_DEAD_LETTERS = {("functions-catalogue", "ChangesDeadLetters")}


def resources(stack: str, kind: str) -> dict[str, Mapping[str, Any]]:
    """Logical name -> properties."""
    found = stacks.document(stack)["Resources"].items()
    return {name: each.get("Properties", {}) for name, each in found if each["Type"] == kind}


def statements() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Stack and statement, of every policy that grants something to a role or a user of the shop."""
    for stack in stacks.ALL:
        for kind in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"):
            for policy in resources(stack, kind).values():
                yield from ((stack, statement) for statement in policy["PolicyDocument"]["Statement"])
        for kind in ("AWS::IAM::Role", "AWS::IAM::User"):
            for owner in resources(stack, kind).values():
                for policy in given(owner.get("Policies", [])):
                    yield from ((stack, each) for each in policy["PolicyDocument"]["Statement"])


def given(values: Any) -> Iterator[Any]:
    """The members of a list, those that come only under a condition too."""
    if isinstance(values, list):
        for value in values:
            yield from given(value)
    elif isinstance(values, dict) and "Fn::If" in values:
        yield from given(values["Fn::If"][1:])
    elif values != {"Ref": "AWS::NoValue"}:
        yield values


def actions(statement: Mapping[str, Any]) -> list[str]:
    found = statement["Action"]
    return [found] if isinstance(found, str) else list(found)


@pytest.mark.parametrize("service", SERVICES)
def test_given_the_outputs_of_the_stacks_then_they_contain_every_required_setting_of_a_service(
    service: str,
) -> None:
    settings = importlib.import_module(f"services.{service}.config").Settings
    required = {name.upper() for name, field in settings.model_fields.items() if field.is_required()}
    outputs = {stack: dict.fromkeys(stacks.document(stack)["Outputs"], "x") for stack in stacks.STACKS}
    given = set(stacks.environment(service, outputs))
    assert required - given <= {"AWS_REGION"}
    known = {name.upper() for name in (*settings.model_fields, *AuthSettings.model_fields)}
    assert given <= known, "a variable that no process reads"


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_table_then_it_is_encrypted_and_restorable_and_has_the_common_keys(
    service: str,
) -> None:
    (table,) = resources(service, "AWS::DynamoDB::Table").values()
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": {"Ref": "PointInTimeRecovery"}
    }
    assert table["DeletionProtectionEnabled"] == {"Ref": "DeletionProtection"}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert [key["AttributeName"] for key in table["KeySchema"]] == ["pk", "sk"]
    (index,) = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "gsi1"
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["gsi1pk", "gsi1sk"]
    assert index["Projection"] == {"ProjectionType": "ALL"}


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_queue_then_it_has_a_dead_letter_queue_and_alarms_on_both(
    service: str,
) -> None:
    queues = resources(service, "AWS::SQS::Queue")
    working = {name: queue for name, queue in queues.items() if "RedrivePolicy" in queue}
    assert len(queues) == 2 * len(working)
    assert all(queue["SqsManagedSseEnabled"] is True for queue in queues.values())
    alarms = resources(service, "AWS::CloudWatch::Alarm")
    watched = [
        dimension["Value"]["Fn::GetAtt"][0] for alarm in alarms.values() for dimension in alarm["Dimensions"]
    ]
    for name, queue in working.items():
        redrive = queue["RedrivePolicy"]
        assert redrive["maxReceiveCount"] == 60  # hours, see services.common.messaging.consumer
        assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": [f"{name}DeadLetters", "Arn"]}
        assert queues[f"{name}DeadLetters"]["RedriveAllowPolicy"]["redrivePermission"] == "byQueue"
        assert f"{name}DeadLetters" in watched
        assert name in watched


def test_given_the_queues_of_all_stacks_then_each_message_is_tried_sixty_times_with_known_exceptions() -> (
    None
):
    queues = {
        (stack, name): queue
        for stack in stacks.ALL
        for name, queue in resources(stack, "AWS::SQS::Queue").items()
    }
    working = {key: queue for key, queue in queues.items() if "RedrivePolicy" in queue}
    tries = {key: queue["RedrivePolicy"]["maxReceiveCount"] for key, queue in working.items()}

    assert tries == dict.fromkeys(working, 60) | TRIED_LESS_OFTEN
    dead = {(stack, f"{name}DeadLetters") for stack, name in working}
    assert queues.keys() == working.keys() | dead | ONLY_DEAD_LETTERS


@pytest.mark.parametrize(
    ("stack", "queue"), [("functions", "Facts"), ("functions-catalogue", "Uploads")], ids=["facts", "uploads"]
)
def test_given_a_function_that_fails_for_two_hours_then_none_of_its_messages_is_a_dead_letter(
    stack: str, queue: str
) -> None:
    """Lambda leaves the pause between two tries to the queue's visibility timeout."""
    properties = resources(stack, "AWS::SQS::Queue")[queue]

    assert properties["RedrivePolicy"]["maxReceiveCount"] * properties["VisibilityTimeout"] >= 2 * 3600
    assert properties["MessageRetentionPeriod"] == 14 * 86_400


def test_given_the_topics_then_each_service_has_one_and_all_are_encrypted() -> None:
    topics = resources("events", "AWS::SNS::Topic")
    assert set(topics) == {f"{service.capitalize()}Facts" for service in SERVICES} | {"Events"}
    assert {topic["KmsMasterKeyId"] for topic in topics.values()} == {"alias/aws/sns"}


def test_given_a_shop_with_one_topic_when_upgraded_then_its_export_stays_and_no_stack_imports_it() -> None:
    """CloudFormation refuses the update of a stack that would delete an export which is still imported."""
    assert stacks.document("events")["Outputs"]["EventsTopicArn"]["Export"] == {
        "Name": {"Fn::Sub": "${Prefix}-EventsTopicArn"}
    }
    imports = {stack: json.dumps(stacks.document(stack)["Resources"]) for stack in stacks.ALL}
    assert not [stack for stack, text in imports.items() if "${Prefix}-EventsTopicArn" in text]


@pytest.mark.parametrize("service", SERVICES)
def test_given_the_policy_of_a_service_then_it_permits_publishing_only_to_its_own_topic(
    service: str,
) -> None:
    policies = resources(service, "AWS::IAM::ManagedPolicy").values()
    own = {"Fn::ImportValue": {"Fn::Sub": f"${{Prefix}}-events-{service.capitalize()}TopicArn"}}
    statements = [each for policy in policies for each in policy["PolicyDocument"]["Statement"]]
    publishing = [each for each in statements if "sns:Publish" in actions(each)]
    assert publishing
    assert all((actions(each), each["Resource"]) == (["sns:Publish"], own) for each in publishing)


@pytest.mark.parametrize("stack", stacks.ALL)
@pytest.mark.parametrize(
    ("kind", "policy", "targets", "action"),
    [
        ("AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "Queues", "sqs:*"),
        ("AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "Topics", "sns:Publish"),
        ("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "Bucket", "s3:*"),
    ],
)
def test_given_a_queue_topic_or_bucket_when_accessed_without_tls_then_its_policy_denies_the_request(
    stack: str, kind: str, policy: str, targets: str, action: str
) -> None:
    refusing = [
        target["Ref"]
        for each in resources(stack, policy).values()
        for target in ([each[targets]] if isinstance(each[targets], dict) else each[targets])
        for statement in given(each["PolicyDocument"]["Statement"])
        if (statement["Effect"], statement["Principal"], actions(statement)) == ("Deny", "*", [action])
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        and target["Ref"] in json.dumps(statement["Resource"])
    ]
    assert sorted(refusing) == sorted(resources(stack, kind))


def test_given_the_policies_then_they_grant_only_named_actions_on_named_resources() -> None:
    found = list(statements())
    assert found
    for stack, statement in found:
        assert statement["Effect"] == "Allow"
        assert not [action for action in actions(statement) if "*" in action], stack
        if (
            "*" in given([statement["Resource"]]) and stack != "eks"
        ):  # test_eks.py lists its exceptions, with reasons
            free = [
                a for a in actions(statement) if a not in WITHOUT_RESOURCE and not a.startswith(LOG_DELIVERY)
            ]
            assert not free, f"{stack}: AWS knows resources for {free}"


@pytest.mark.parametrize("star", ["*", ["*"], [{"Ref": "Table"}, "*"], {"Fn::If": ["Chosen", "*", "arn"]}])
def test_given_a_wildcard_in_any_form_when_a_policy_is_parsed_then_it_is_found(star: Any) -> None:
    assert "*" in given([star])


def test_given_the_roles_with_an_aws_managed_policy_then_they_are_those_of_eks_and_its_add_on() -> None:
    """Such a policy grants what AWS puts into it, on `*` as a rule, and no other test here reads it."""
    found = {
        (stack, name)
        for stack in stacks.ALL
        for kind in ("AWS::IAM::Role", "AWS::IAM::User")
        for name, owner in resources(stack, kind).items()
        if ":iam::aws:policy/" in json.dumps(list(given(owner.get("ManagedPolicyArns", []))))
    }

    assert found == WITH_POLICIES_OF_AWS


@pytest.mark.parametrize("stack", stacks.ALL)
def test_given_a_bucket_when_its_stack_is_deleted_then_it_is_deleted_too(
    stack: str,
) -> None:
    """Its name is fixed: a bucket that is kept would refuse the stack that is made again. `dev/aws delete` empties it."""
    for name, each in stacks.document(stack)["Resources"].items():
        if each["Type"] == "AWS::S3::Bucket":
            assert (each["DeletionPolicy"], each["UpdateReplacePolicy"]) == ("Delete", "Delete"), name


@pytest.mark.parametrize("service", SERVICES)
def test_given_the_policy_of_a_service_then_it_names_no_resource_of_another_service(
    service: str,
) -> None:
    policies = resources(service, "AWS::IAM::ManagedPolicy").values()
    text = json.dumps([policy["PolicyDocument"] for policy in policies])
    assert not [other for other in SERVICES if other != service and f"-{other}" in text]


def test_given_the_role_of_the_workflow_then_it_permits_sending_to_the_four_queues_its_log_and_its_traces() -> (
    None
):
    granted = [statement for stack, statement in statements() if stack == "saga"]
    send, log, traces = granted
    assert actions(send) == ["sqs:SendMessage"]
    assert len(send["Resource"]) == len(SERVICES)
    assert all(action.startswith(LOG_DELIVERY) for action in actions(log))
    assert all(action.startswith("xray:") for action in actions(traces))


@pytest.mark.parametrize("stack", stacks.STACKS)
def test_given_a_taggable_resource_then_it_has_the_app_tag(stack: str) -> None:
    for name, resource in stacks.document(stack)["Resources"].items():
        if resource["Type"] in UNTAGGABLE:
            continue
        properties = resource["Properties"]
        tags = properties["UserPoolTags" if resource["Type"] == "AWS::Cognito::UserPool" else "Tags"]
        named = tags if isinstance(tags, dict) else {tag["Key"]: tag["Value"] for tag in tags}
        assert named["app"] == {"Ref": "Prefix"}, name


def test_given_a_failed_aborted_or_timed_out_execution_then_an_alarm_fires() -> None:
    alarms = resources("saga", "AWS::CloudWatch::Alarm").values()
    watched = {alarm["MetricName"]: alarm for alarm in alarms}
    assert set(watched) == {"ExecutionsFailed", "ExecutionsAborted", "ExecutionsTimedOut"}
    for alarm in watched.values():
        assert alarm["Namespace"] == "AWS/States"
        assert (alarm["Statistic"], alarm["Threshold"], alarm["Period"]) == ("Sum", 0, 60)


def test_given_a_finding_of_the_reconciler_that_requires_intervention_then_an_alarm_fires() -> None:
    workflow = {"Fn::Sub": "${Prefix}-order-saga"}
    alarms = resources("reconciler", "AWS::CloudWatch::Alarm").values()
    own = {alarm["MetricName"]: alarm for alarm in alarms if alarm["Namespace"] == OWN_METRICS}
    assert set(own) == {"OrdersStandingStill", "OrdersDisagreeing", "OutboxAgeSeconds"}
    assert set(own) <= set(reconciler.Found.__dataclass_fields__)
    assert all(alarm["Dimensions"] == [{"Name": "Workflow", "Value": workflow}] for alarm in own.values())
    (silence,) = [alarm for alarm in alarms if alarm["TreatMissingData"] == "breaching"]
    assert silence["MetricName"] == "Invocations"


def test_given_the_function_of_the_reconciler_then_its_stack_sets_every_required_setting() -> None:
    (function,) = resources("reconciler", "AWS::Lambda::Function").values()
    fields = reconciler.ReconcilerSettings.model_fields
    required = {name.upper() for name, field in fields.items() if field.is_required()}
    given_to_it = set(function["Environment"]["Variables"])
    assert required - given_to_it == {"AWS_REGION"}  # AWS Lambda sets it
    known = {
        name.upper() for each in (reconciler.ReconcilerSettings, *OF_TELEMETRY) for name in each.model_fields
    }
    assert given_to_it <= known
    assert function["Handler"] == f"{reconciler.__name__}.handler"


def test_given_the_workflow_in_its_template_when_cfn_lint_runs_then_it_reports_no_problem(
    tmp_path: Path,
) -> None:
    """In the file of its own, no linter reads it."""
    document = stacks.document("saga")
    properties = document["Resources"]["OrderSaga"]["Properties"]
    text = re.sub(r"\$\{\w+Seconds\}", "300", properties.pop("DefinitionString")).replace(
        "${Partition}", "aws"
    )
    properties["Definition"] = json.loads(text)
    file = tmp_path / "saga.json"
    file.write_text(json.dumps(document))
    linter = Path(sys.executable).parent / "cfn-lint"
    done = subprocess.run([linter, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("stack", stacks.ALL)
def test_given_a_template_then_it_is_within_the_size_limit_of_a_request(stack: str) -> None:
    """AWS limit of TemplateBody: 51,200 bytes. A tenth is left for the next change."""
    assert len(stacks.body(stack).encode()) <= 46_000


@pytest.mark.parametrize("stack", stacks.ALL)
def test_given_a_template_then_the_body_of_its_request_has_the_same_content(stack: str) -> None:
    body = json.loads(stacks.body(stack))
    document = stacks.document(stack)

    assert {name: each for name, each in body.items() if name != "Resources"} == {
        name: each for name, each in document.items() if name != "Resources"
    }
    written = {name: each for name, each in body["Resources"].items() if not name.startswith("Fn::ForEach")}
    assert written == {name: document["Resources"][name] for name in written}


@pytest.mark.parametrize("environment", ["aws", "local"])
def test_given_the_parameters_of_an_environment_then_each_belongs_to_a_stack(
    environment: str,
) -> None:
    values = json.loads((stacks.FOLDER / "parameters" / f"{environment}.json").read_text(encoding="utf-8"))
    known = {name for stack in stacks.ALL for name in stacks.document(stack)["Parameters"]}
    assert set(values) <= known


def test_given_the_chart_of_the_shop_then_its_routes_are_the_public_paths() -> None:
    chart = yaml.safe_load((ROOT / "charts" / "shop" / "values.yaml").read_text(encoding="utf-8"))
    routes = {
        (service, route["path"]): set(route["methods"])
        for service in SERVICES
        for route in chart[service]["routes"]
    }
    assert routes == {
        ("product", "/products"): {"GET"},
        ("product", "/inventory"): {"GET"},
        ("order", "/orders"): {"GET", "POST"},
        ("payment", "/payments"): {"GET"},
        ("shipping", "/shipments"): {"GET"},
        **{(service, f"/dead-letters/{service}"): {"GET", "POST"} for service in SERVICES},
    }
