"""The pipelines on AWS: who is delivered by which change, in which order, with which rights, and what happens on failure."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from shopdelivery.parts import PARTS, PATTERNS, SERVICES
from shopdemo.images import ROOT
from shopprocs import stacks

DOCUMENT = stacks.document("pipeline")
MOST_PATTERNS = 8  # AWS limit of a trigger's file paths


def resources(kind: str) -> dict[str, Mapping[str, Any]]:
    """Logical name -> properties."""
    return {name: each["Properties"] for name, each in DOCUMENT["Resources"].items() if each["Type"] == kind}


def pipeline(part: str) -> Mapping[str, Any]:
    return resources("AWS::CodePipeline::Pipeline")[
        f"Pipeline{part.capitalize() if part == 'functions' else part}"
    ]


def stages(part: str) -> dict[str, Mapping[str, Any]]:
    return {each["Name"]: each for each in pipeline(part)["Stages"]}


def actions(part: str) -> Iterator[Mapping[str, Any]]:
    for stage in pipeline(part)["Stages"]:
        yield from stage["Actions"]


@pytest.mark.parametrize("part", PARTS)
def test_given_a_change_when_pushed_then_the_pipeline_of_what_it_concerns_starts_and_no_other(
    part: str,
) -> None:
    (trigger,) = pipeline(part)["Triggers"]
    (push,) = trigger["GitConfiguration"]["Push"]
    assert push["FilePaths"]["Includes"] == {"Fn::FindInMap": ["Paths", part, "Includes"]}
    included = DOCUMENT["Mappings"]["Paths"][part]["Includes"]
    assert sorted(included) == sorted(PATTERNS[part])
    assert len(included) <= MOST_PATTERNS
    source = next(actions(part))
    assert source["Configuration"]["DetectChanges"] == "false", "or it would start on every change"


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_service_when_delivered_then_it_is_tested_built_deployed_by_helm_and_ordered_from(
    service: str,
) -> None:
    assert list(stages(service)) == ["Source", "Test", "Build", "Deploy"]
    deploy, smoke = stages(service)["Deploy"]["Actions"]
    assert deploy["ActionTypeId"]["Provider"] == "EKS"
    assert deploy["Configuration"]["HelmReleaseName"] == service
    assert deploy["Configuration"]["HelmChartLocation"] == "chart"
    assert deploy["RunOrder"] < smoke["RunOrder"]
    assert smoke["Configuration"]["ProjectName"] == {"Ref": "Smoke"}


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_failed_deployment_or_smoke_test_when_it_ends_then_what_ran_before_is_put_back(
    service: str,
) -> None:
    assert stages(service)["Deploy"]["OnFailure"] == {"Result": "ROLLBACK"}
    assert pipeline(service)["PipelineType"] == "V2"
    assert pipeline(service)["ExecutionMode"] == "QUEUED"


@pytest.mark.parametrize("part", PARTS)
def test_given_an_artifact_when_used_then_an_earlier_action_made_it(part: str) -> None:
    made: set[str] = set()
    for each in actions(part):
        assert {used["Name"] for used in each.get("InputArtifacts", [])} <= made, each["Name"]
        made |= {output["Name"] for output in each.get("OutputArtifacts", [])}


@pytest.mark.parametrize("project", list(resources("AWS::CodeBuild::Project")))
def test_given_a_build_when_started_then_its_buildspec_is_in_the_source_and_it_has_an_end(
    project: str,
) -> None:
    found = resources("AWS::CodeBuild::Project")[project]
    specification = yaml.safe_load((ROOT / found["Source"]["BuildSpec"]).read_text(encoding="utf-8"))
    assert specification["version"] == 0.2
    assert specification["phases"]["build"]["commands"]
    assert found["TimeoutInMinutes"] <= 60
    assert found["LogsConfig"]["CloudWatchLogs"]["GroupName"] == {"Ref": "Logs"}


@pytest.mark.parametrize("project", list(resources("AWS::CodeBuild::Project")))
def test_given_a_build_when_it_needs_a_secret_then_it_is_named_and_never_written(project: str) -> None:
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


def test_given_the_actions_that_build_when_started_then_they_are_told_which_service() -> None:
    for service in SERVICES:
        told = [
            json.dumps(each["Configuration"]["EnvironmentVariables"])
            for each in actions(service)
            if each["Configuration"].get("ProjectName") in ({"Ref": "Image"}, {"Ref": "Smoke"})
        ]
        assert len(told) == 2
        assert all(service in each for each in told)


def test_given_the_roles_when_read_then_the_tests_get_nothing_and_only_the_deployment_sees_the_cluster() -> (
    None
):
    def granted(role: str) -> set[str]:
        found: set[str] = set()
        for policy in resources("AWS::IAM::Role")[role]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                action = statement["Action"]
                found |= {action} if isinstance(action, str) else set(action)
        return found

    assert {action.partition(":")[0] for action in granted("TestRole")} == {"s3", "logs"}
    with_cluster = {role for role in resources("AWS::IAM::Role") if "eks:DescribeCluster" in granted(role)}
    assert with_cluster == {"DeployRole"}
    assert "ecr:PutImage" in granted("ImageRole")
    assert not {"ecr:PutImage", "iam:PassRole"} & (granted("DeployRole") | granted("PipelineRole"))


def test_given_the_artifacts_when_kept_then_they_are_encrypted_private_and_not_for_ever() -> None:
    bucket = resources("AWS::S3::Bucket")["Artifacts"]
    assert bucket["BucketEncryption"]
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 30
