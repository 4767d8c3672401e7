"""The pipelines on AWS: who is delivered by which change, in which order, with which rights, and what happens on failure."""

import json
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest
import yaml

from shopdev.checkout import ROOT, SHOPSERVICES
from shopdev.cloudformation import stacks
from shopdev.delivery.deliverables import DELIVERABLES, EXCLUDED, INCLUDED

DOCUMENT = stacks.document("pipeline")
MOST_PATTERNS = 8  # AWS limit of a trigger's file paths
LARGEST_ROLE = 10_240  # AWS limit of a role's own policies, in characters
# Logical names of all the functions' stacks; those of two stacks that are the same are of the same type.
FUNCTIONS: Mapping[str, Mapping[str, Any]] = {
    name: each for stack in stacks.OF_FUNCTIONS for name, each in stacks.document(stack)["Resources"].items()
}
# Type of a resource -> the calls that CloudFormation makes of it, to make, read, change and delete it and its tags: the
# handlers' permissions of the CloudFormation registry, as far as the properties that functions.yaml uses need them.
CALLS = {
    "AWS::CloudWatch::Alarm": "cloudwatch: DeleteAlarms DescribeAlarms ListTagsForResource PutMetricAlarm TagResource "
    "UntagResource",
    "AWS::CodeDeploy::Application": "codedeploy: CreateApplication DeleteApplication GetApplication ListTagsForResource "
    "TagResource UntagResource UpdateApplication",
    "AWS::CodeDeploy::DeploymentGroup": "codedeploy: CreateDeploymentGroup DeleteDeploymentGroup GetDeploymentGroup "
    "ListTagsForResource TagResource UntagResource UpdateDeploymentGroup iam: PassRole",
    "AWS::DynamoDB::Table": "dynamodb: CreateTable DeleteTable DescribeContinuousBackups DescribeContributorInsights "
    "DescribeKinesisStreamingDestination DescribeTable DescribeTimeToLive GetResourcePolicy ListTagsOfResource TagResource "
    "UntagResource UpdateContinuousBackups UpdateTable UpdateTimeToLive",
    "AWS::IAM::Role": "iam: CreateRole DeleteRole DeleteRolePolicy GetRole GetRolePolicy ListAttachedRolePolicies "
    "ListRolePolicies PutRolePermissionsBoundary PutRolePolicy TagRole UntagRole UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription",
    "AWS::Lambda::Alias": "lambda: CreateAlias DeleteAlias GetAlias GetProvisionedConcurrencyConfig UpdateAlias",
    "AWS::Lambda::EventSourceMapping": "lambda: CreateEventSourceMapping DeleteEventSourceMapping GetEventSourceMapping "
    "ListTags TagResource UntagResource UpdateEventSourceMapping",
    "AWS::Lambda::Function": "lambda: CreateFunction DeleteFunction DeleteFunctionConcurrency GetFunction "
    "GetFunctionCodeSigningConfig GetFunctionRecursionConfig GetLayerVersion GetRuntimeManagementConfig ListTags PutFunctionConcurrency "
    "TagResource UntagResource UpdateFunctionCode UpdateFunctionConfiguration s3: GetObject iam: PassRole "
    "ec2: DescribeNetworkInterfaces DescribeSecurityGroups DescribeSubnets DescribeVpcs",
    "AWS::Lambda::Version": "lambda: DeleteFunction GetFunctionConfiguration ListVersionsByFunction PublishVersion",
    "AWS::Logs::LogGroup": "logs: CreateLogGroup DeleteLogGroup DeleteRetentionPolicy DescribeLogGroups "
    "ListTagsForResource PutRetentionPolicy TagResource UntagResource",
    "AWS::Logs::MetricFilter": "logs: DeleteMetricFilter DescribeMetricFilters PutMetricFilter",
    "AWS::S3::Bucket": "s3: CreateBucket DeleteBucket GetBucketNotification GetBucketOwnershipControls "
    "GetBucketPublicAccessBlock GetBucketTagging GetEncryptionConfiguration GetLifecycleConfiguration PutBucketNotification "
    "PutBucketOwnershipControls PutBucketPublicAccessBlock PutBucketTagging PutEncryptionConfiguration PutLifecycleConfiguration",
    "AWS::S3::BucketPolicy": "s3: DeleteBucketPolicy GetBucketPolicy PutBucketPolicy",
    "AWS::SNS::Subscription": "sns: GetSubscriptionAttributes ListSubscriptionsByTopic SetSubscriptionAttributes "
    "Subscribe Unsubscribe",
    "AWS::SQS::Queue": "sqs: CreateQueue DeleteQueue GetQueueAttributes GetQueueUrl ListQueueTags SetQueueAttributes "
    "TagQueue UntagQueue",
    "AWS::SQS::QueuePolicy": "sqs: GetQueueAttributes SetQueueAttributes",
}
# What shifting an alias by CodeDeploy takes (CloudFormation's user guide, CodeDeployLambdaAliasUpdate).
CANARY = "codedeploy: CreateDeployment GetApplicationRevision GetDeployment GetDeploymentConfig RegisterApplicationRevision"
# Type -> the property that names it, the call that makes it, and its ARN after the partition.
NAMED = {
    "AWS::CloudWatch::Alarm": ("AlarmName", "cloudwatch:PutMetricAlarm", "cloudwatch:{}:{}:alarm:{}"),
    "AWS::CodeDeploy::Application": (
        "ApplicationName",
        "codedeploy:CreateApplication",
        "codedeploy:{}:{}:application:{}",
    ),
    "AWS::DynamoDB::Table": ("TableName", "dynamodb:CreateTable", "dynamodb:{}:{}:table/{}"),
    "AWS::Lambda::Function": ("FunctionName", "lambda:CreateFunction", "lambda:{}:{}:function:{}"),
    "AWS::Logs::LogGroup": ("LogGroupName", "logs:CreateLogGroup", "logs:{}:{}:log-group:{}"),
    "AWS::SQS::Queue": ("QueueName", "sqs:CreateQueue", "sqs:{}:{}:{}"),
}


def resources(kind: str) -> dict[str, Mapping[str, Any]]:
    """Logical name -> properties."""
    return {name: each["Properties"] for name, each in DOCUMENT["Resources"].items() if each["Type"] == kind}


def pipeline(deliverable: str) -> Mapping[str, Any]:
    return resources("AWS::CodePipeline::Pipeline")[
        f"Pipeline{deliverable.capitalize() if deliverable == 'functions' else deliverable}"
    ]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def granted(role: Mapping[str, Any]) -> dict[str, list[str]]:
    """Action -> the resources that a role may do it with, as patterns."""
    found: dict[str, list[str]] = {}
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            patterns = [
                each if isinstance(each, str) else str(each.get("Fn::Sub", each))
                for each in listed(statement["Resource"])
            ]
            for action in listed(statement["Action"]):
                found.setdefault(action, []).extend(patterns)
    return found


def functions_role() -> dict[str, list[str]]:
    """Permissions of CloudFormation during a deployment of the functions' stack."""
    return granted(stacks.document("artifacts")["Resources"]["FunctionsStackRole"]["Properties"])


def words(calls: str) -> set[str]:
    """`sns: Subscribe Unsubscribe` as `{"sns:Subscribe", "sns:Unsubscribe"}`."""
    found, service = set(), ""
    for word in calls.split():
        if word.endswith(":"):
            service = word
        else:
            found.add(f"{service}{word}")
    return found


def stages(deliverable: str) -> dict[str, Mapping[str, Any]]:
    return {each["Name"]: each for each in pipeline(deliverable)["Stages"]}


def actions(deliverable: str) -> Iterator[Mapping[str, Any]]:
    for stage in pipeline(deliverable)["Stages"]:
        yield from stage["Actions"]


@pytest.mark.parametrize("deliverable", DELIVERABLES)
def test_given_a_change_when_pushed_then_only_the_pipelines_of_affected_deliverables_start(
    deliverable: str,
) -> None:
    (trigger,) = pipeline(deliverable)["Triggers"]
    (push,) = trigger["GitConfiguration"]["Push"]
    assert push["FilePaths"]["Includes"] == {"Fn::FindInMap": ["Paths", deliverable, "Includes"]}
    included = DOCUMENT["Mappings"]["Paths"][deliverable]["Includes"]
    assert sorted(included) == sorted(INCLUDED[deliverable])
    assert len(included) <= MOST_PATTERNS
    assert sorted(push["FilePaths"]["Excludes"]) == sorted(EXCLUDED)
    source = next(actions(deliverable))
    assert source["Configuration"]["DetectChanges"] == "false", "or it would start on every change"


@pytest.mark.parametrize("service", SHOPSERVICES)
def test_given_the_pipeline_of_a_service_then_it_tests_builds_deploys_with_helm_and_runs_a_smoke_test(
    service: str,
) -> None:
    assert list(stages(service)) == ["Source", "Test", "Build", "Deploy"]
    deploy, smoke = stages(service)["Deploy"]["Actions"]
    assert deploy["ActionTypeId"]["Provider"] == "EKS"
    assert deploy["Configuration"]["HelmReleaseName"] == service
    assert deploy["Configuration"]["HelmChartLocation"] == "chart"
    assert deploy["RunOrder"] < smoke["RunOrder"]
    assert smoke["Configuration"]["ProjectName"] == {"Ref": "Smoke"}


@pytest.mark.parametrize("service", SHOPSERVICES)
def test_given_a_failed_deployment_or_smoke_test_then_the_pipeline_rolls_back(
    service: str,
) -> None:
    assert stages(service)["Deploy"]["OnFailure"] == {"Result": "ROLLBACK"}
    assert pipeline(service)["PipelineType"] == "V2"
    assert pipeline(service)["ExecutionMode"] == "QUEUED"


@pytest.mark.parametrize("deliverable", DELIVERABLES)
def test_given_an_input_artifact_of_an_action_then_an_earlier_action_outputs_it(deliverable: str) -> None:
    made: set[str] = set()
    for each in actions(deliverable):
        assert {used["Name"] for used in each.get("InputArtifacts", [])} <= made, each["Name"]
        made |= {output["Name"] for output in each.get("OutputArtifacts", [])}


@pytest.mark.parametrize("project", list(resources("AWS::CodeBuild::Project")))
def test_given_a_codebuild_project_then_its_buildspec_exists_and_it_has_a_timeout(
    project: str,
) -> None:
    found = resources("AWS::CodeBuild::Project")[project]
    specification = yaml.safe_load((ROOT / found["Source"]["BuildSpec"]).read_text(encoding="utf-8"))
    assert specification["version"] == 0.2
    assert specification["phases"]["build"]["commands"]
    assert found["TimeoutInMinutes"] <= 60
    assert found["LogsConfig"]["CloudWatchLogs"]["GroupName"] == {"Ref": "Logs"}


@pytest.mark.parametrize("project", list(resources("AWS::CodeBuild::Project")))
def test_given_a_secret_variable_of_a_build_then_it_is_read_from_secrets_manager(project: str) -> None:
    variables = resources("AWS::CodeBuild::Project")[project]["Environment"].get("EnvironmentVariables", [])
    for each in variables:
        if re.search(r"SECRET|TOKEN$|PASSWORD|KEY", each["Name"]):
            assert each["Type"] == "SECRETS_MANAGER", each["Name"]


def test_given_a_buildspec_when_it_uses_a_variable_then_the_pipeline_or_codebuild_sets_it() -> None:
    by_codebuild = {"CODEBUILD_SRC_DIR_Delivery"}
    for project in resources("AWS::CodeBuild::Project").values():
        text = (ROOT / project["Source"]["BuildSpec"]).read_text(encoding="utf-8")
        used = set(re.findall(r"\$\{?([A-Za-z_]\w*)", text))
        given = {each["Name"] for each in project["Environment"].get("EnvironmentVariables", [])}
        assert used <= given | by_codebuild | {"SERVICE"}, project["Name"]


def test_given_the_image_and_smoke_actions_of_a_service_then_their_variables_name_that_service() -> None:
    for service in SHOPSERVICES:
        told = [
            json.dumps(each["Configuration"]["EnvironmentVariables"])
            for each in actions(service)
            if each["Configuration"].get("ProjectName") in ({"Ref": "Image"}, {"Ref": "Smoke"})
        ]
        assert len(told) == 2
        assert all(service in each for each in told)


@pytest.mark.parametrize("role", ["ImageRole", "FunctionsRole"])
def test_given_a_build_that_describes_all_stacks_then_its_role_permits_listing_them(
    role: str,
) -> None:
    """`dev/aws` describes all stacks at once, which AWS grants only together with ListStacks (API_DescribeStacks)."""
    rights = granted(resources("AWS::IAM::Role")[role])

    assert rights["cloudformation:DescribeStacks"]
    assert rights["cloudformation:ListStacks"] == ["*"]


def test_given_the_roles_of_the_pipelines_then_only_the_deployment_role_has_access_to_the_cluster() -> None:
    def granted_to(role: str) -> set[str]:
        return set(granted(resources("AWS::IAM::Role")[role]))

    assert {action.partition(":")[0] for action in granted_to("TestRole")} == {"s3", "logs"}
    with_cluster = {role for role in resources("AWS::IAM::Role") if "eks:DescribeCluster" in granted_to(role)}
    assert with_cluster == {"DeployRole"}
    assert "ecr:PutImage" in granted_to("ImageRole")
    assert not {"ecr:PutImage", "iam:PassRole"} & (granted_to("DeployRole") | granted_to("PipelineRole"))


ROLES = ("PipelineRole", "TestRole", "ImageRole", "DeployRole", "FunctionsRole")


def objects(role: str, action: str) -> set[str]:
    """The patterns of keys in the bucket of artifacts that a role may do something with."""
    found = granted(resources("AWS::IAM::Role")[role]).get(action, [])
    return {each.removeprefix("${Artifacts.Arn}/") for each in found if each.startswith("${Artifacts.Arn}/")}


def test_given_the_roles_of_the_pipelines_then_each_writes_only_its_own_artifacts() -> None:
    written = {role: objects(role, "s3:PutObject") for role in ROLES}

    assert written == {
        "PipelineRole": {"*/Source/*"},
        "TestRole": {"cache/test*"},
        "ImageRole": {"*/Delivery/*", "cache/image*"},
        "DeployRole": set(),
        "FunctionsRole": {"cache/functions*"},
    }
    for role in ROLES:
        others = set().union(*(patterns for other, patterns in written.items() if other != role))
        assert objects(role, "s3:GetObject") & others <= {"*/Source/*", "*/Delivery/*"}


def test_given_a_role_of_the_pipelines_then_only_named_callers_can_assume_it() -> None:
    def callers(role: str) -> list[Any]:
        statements = resources("AWS::IAM::Role")[role]["AssumeRolePolicyDocument"]["Statement"]
        return [
            arn
            for statement in statements
            for operator in ("ArnEquals", "ArnLike")
            for arn in statement["Condition"].get(operator, {}).values()
        ]

    project = "arn:${AWS::Partition}:codebuild:${AWS::Region}:${AWS::AccountId}:project/${Prefix}-"
    pipeline = "arn:${AWS::Partition}:codepipeline:${AWS::Region}:${AWS::AccountId}:${Prefix}-*"
    role = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${Prefix}-pipeline"
    assert {name: [each["Fn::Sub"] for each in callers(name)] for name in ROLES} == {
        "PipelineRole": [pipeline],
        "TestRole": [f"{project}test"],
        "ImageRole": [f"{project}image"],
        "DeployRole": [f"{project}smoke", role],
        "FunctionsRole": [f"{project}functions"],
    }
    assert resources("AWS::IAM::Role")["PipelineRole"]["RoleName"] == {"Fn::Sub": "${Prefix}-pipeline"}


def test_given_a_github_job_that_assumes_no_aws_role_then_it_has_no_id_token_permission() -> None:
    """A token of the workflow would be available to every job, including the one with all development dependencies."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "deliver.yaml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        takes = any("configure-aws-credentials" in step.get("uses", "") for step in job["steps"])
        assert ("id-token" in job.get("permissions", {})) == takes, name


def test_given_the_artifacts_bucket_then_it_is_encrypted_and_private_and_its_objects_expire() -> None:
    bucket = resources("AWS::S3::Bucket")["Artifacts"]
    assert bucket["BucketEncryption"]
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 30


# ---- the functions' stack


@pytest.mark.parametrize("kind", sorted({each["Type"] for each in FUNCTIONS.values()}))
def test_given_a_resource_type_of_the_functions_template_then_cloudformation_has_all_required_permissions(
    kind: str,
) -> None:
    """The pipeline starts on a change of functions.yaml: of a function's code, and of everything else in it."""
    assert "manifests/aws/functions*.yaml" in INCLUDED["functions"]
    assert words(CALLS[kind]) - functions_role().keys() == set(), (
        "without it the deployment ends in AccessDenied"
    )


def test_given_the_functions_template_then_cloudformation_has_no_permission_that_it_does_not_require() -> (
    None
):
    used = {each["Type"] for each in FUNCTIONS.values()}

    assert functions_role().keys() == words(CANARY).union(*(words(CALLS[kind]) for kind in used))


@pytest.mark.parametrize(
    "name", [name for name, each in FUNCTIONS.items() if each["Type"] in NAMED], ids=lambda name: name
)
def test_given_a_named_resource_of_the_functions_template_then_cloudformation_is_permitted_to_create_it(
    name: str,
) -> None:
    key, call, arn = NAMED[FUNCTIONS[name]["Type"]]
    called = FUNCTIONS[name]["Properties"][key]["Fn::Sub"]
    wanted = "arn:${AWS::Partition}:" + arn.format("${AWS::Region}", "${AWS::AccountId}", called)

    assert any(fnmatchcase(wanted, pattern) for pattern in functions_role()[call]), wanted


def test_given_a_canary_deployment_then_cloudformation_is_permitted_to_read_its_configuration() -> None:
    paces = {
        each["Properties"]["DeploymentConfigName"]
        for each in FUNCTIONS.values()
        if each["Type"] == "AWS::CodeDeploy::DeploymentGroup"
    }
    prefix = "arn:${AWS::Partition}:codedeploy:${AWS::Region}:${AWS::AccountId}:deploymentconfig:"

    assert paces
    for pace in paces:
        assert any(
            fnmatchcase(prefix + pace, pattern)
            for pattern in functions_role()["codedeploy:GetDeploymentConfig"]
        ), pace


def test_given_the_role_of_the_functions_stack_when_the_shop_is_deleted_then_it_outlives_that_stack() -> None:
    """CloudFormation deletes a stack by the role that it was last deployed by."""
    places = {stack: place for place, wave in enumerate(stacks.WAVES) for stack in wave}

    assert places["artifacts"] < places["functions"]


def test_given_the_role_of_the_functions_stack_then_cloudformation_assumes_it_and_the_pipeline_passes_it() -> (
    None
):
    role = stacks.document("artifacts")["Resources"]["FunctionsStackRole"]["Properties"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    pipelines = granted(resources("AWS::IAM::Role")["FunctionsRole"])

    assert trust["Principal"] == {"Service": "cloudformation.amazonaws.com"}
    assert trust["Condition"]["StringEquals"]["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert len(re.sub(r"\s", "", json.dumps(role["Policies"]))) <= LARGEST_ROLE
    assert pipelines["iam:PassRole"] == [
        str({"Fn::ImportValue": {"Fn::Sub": "${Prefix}-artifacts-FunctionsStackRoleArn"}})
    ]
    assert {action.partition(":")[0] for action in pipelines} == {"cloudformation", "iam", "logs", "s3"}
    assert stacks.document("artifacts")["Outputs"]["FunctionsStackRoleArn"]["Export"]["Name"] == {
        "Fn::Sub": "${Prefix}-artifacts-FunctionsStackRoleArn"
    }


@pytest.mark.parametrize(
    "name", [name for name, each in FUNCTIONS.items() if each["Type"] == "AWS::IAM::Role"]
)
def test_given_a_role_in_the_functions_template_then_its_permissions_are_within_the_boundary(
    name: str,
) -> None:
    role = FUNCTIONS[name]["Properties"]
    boundary = stacks.document("artifacts")["Resources"]["FunctionsBoundary"]["Properties"]
    own = [each["Fn::If"][1] if "Fn::If" in each else each for each in role["Policies"]]

    assert role["PermissionsBoundary"] == {
        "Fn::ImportValue": {"Fn::Sub": "${Prefix}-artifacts-FunctionsBoundaryArn"}
    }
    assert granted({"Policies": own}).keys() <= granted({"Policies": [boundary]}).keys()


def test_given_a_function_that_publishes_events_then_the_boundary_permits_publishing_to_its_topic() -> None:
    """A permission that the boundary lacks has no effect, although the role of the function grants it."""
    events = stacks.document("events")
    topics = {
        each["Export"]["Name"]["Fn::Sub"]: events["Resources"][each["Value"]["Ref"]]["Properties"][
            "TopicName"
        ]
        for each in events["Outputs"].values()
    }
    roles = (each["Properties"] for each in FUNCTIONS.values() if each["Type"] == "AWS::IAM::Role")
    statements = (
        statement
        for role in roles
        for policy in role["Policies"]
        if "PolicyDocument" in policy
        for statement in policy["PolicyDocument"]["Statement"]
    )
    published = {
        topics[statement["Resource"]["Fn::ImportValue"]["Fn::Sub"]]["Fn::Sub"]
        for statement in statements
        if "sns:Publish" in listed(statement["Action"])
    }

    boundary = stacks.document("artifacts")["Resources"]["FunctionsBoundary"]["Properties"]
    permitted = {arn.rpartition(":")[2] for arn in granted({"Policies": [boundary]})["sns:Publish"]}
    assert published == permitted == {"${Prefix}-product-facts"}


def test_given_a_role_without_the_permissions_boundary_then_cloudformation_is_not_permitted_to_create_it() -> (
    None
):
    """Otherwise push access would be enough to grant a function every permission in the account."""
    role = stacks.document("artifacts")["Resources"]["FunctionsStackRole"]["Properties"]
    (policy,) = role["Policies"]
    giving = {"iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"}

    for statement in policy["PolicyDocument"]["Statement"]:
        if giving & set(listed(statement["Action"])):
            assert statement["Condition"] == {
                "StringEquals": {"iam:PermissionsBoundary": {"Ref": "FunctionsBoundary"}}
            }
    assert "iam:DeleteRolePermissionsBoundary" not in functions_role()
    boundary = stacks.document("artifacts")["Resources"]["FunctionsBoundary"]["Properties"]
    given = granted({"Policies": [boundary]})
    assert not [action for action in given if action.startswith(("iam:", "sts:"))]
    # The uploads' bucket, and never the one with the functions' own code.
    buckets = {
        pattern for action, patterns in given.items() if action.startswith("s3:") for pattern in patterns
    }
    assert {pattern.partition(":::")[2].split("-")[1] for pattern in buckets} == {"catalogues"}
