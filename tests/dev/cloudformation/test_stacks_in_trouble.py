"""Deployments and deletions when CloudFormation is slow, fails halfway, or refuses a request."""

import os
import re
import signal
import threading
from collections.abc import Callable, Mapping

import pytest
from botocore.exceptions import ClientError

from shopdev.checkout import SERVICES
from shopdev.cloudformation import deploy, follow, removal, stacks
from shopdev.cloudformation.account import AwsError
from shopdev.cloudformation.follow import Interrupted
from shopdev.lambdas import built
from tests.dev.cloudformation.account import FakeAccount, refusal

COMPLETE = {f"shop-{stack}": "CREATE_COMPLETE" for stack in stacks.STACKS}
PROTECTED = {"DeletionProtection": "true"}
UNPROTECT = {
    "AWS::DynamoDB::Table": ("UpdateTable", {"TableName": "the-thing", "DeletionProtectionEnabled": False}),
    "AWS::Cognito::UserPool": (
        "UpdateUserPool",
        {"UserPoolId": "the-thing", "DeletionProtection": "INACTIVE"},
    ),
    "AWS::EKS::Cluster": ("UpdateClusterConfig", {"name": "the-thing", "deletionProtection": False}),
    "AWS::ECR::Repository": ("DeleteRepository", {"repositoryName": "the-thing", "force": True}),
}


@pytest.fixture
def said() -> list[str]:
    """The printed lines."""
    return []


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll the state of stacks without long pauses."""
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)


def refused(work: Callable[[], object]) -> str:
    """The message of the error, which is one line."""
    with pytest.raises(AwsError) as failed:
        work()
    assert "\n" not in str(failed.value)
    return str(failed.value)


# ---- missing parameters


@pytest.mark.parametrize("stack", ["ecs", "pipeline"])
def test_given_a_new_stack_without_its_parameters_when_deployed_then_one_sentence_says_how_to_set_them(
    stack: str, said: list[str]
) -> None:
    account = FakeAccount(COMPLETE)
    needed = [name for name, each in stacks.document(stack)["Parameters"].items() if "Default" not in each]
    given = {needed[0]: "x"}

    line = refused(lambda: deploy.deploy(account, "shop", given, said.append, [stack]))

    assert needed[1:]
    assert line.startswith(f"shop-{stack} requires {', '.join(needed[1:])}: add --set {needed[1]}=…")
    assert needed[0] not in line
    assert not account.ran("CreateChangeSet"), "nothing was touched"


def test_given_two_new_stacks_without_parameters_when_deployed_then_both_are_named(said: list[str]) -> None:
    line = refused(lambda: deploy.deploy(FakeAccount(COMPLETE), "shop", {}, said.append, ["ecs", "pipeline"]))

    assert "shop-ecs requires ProductImage, " in line
    assert "shop-pipeline requires ConnectionArn, " in line


def test_given_an_existing_stack_when_deployed_without_its_parameters_then_it_keeps_their_values(
    said: list[str],
) -> None:
    account = FakeAccount({**COMPLETE, "shop-pipeline": "CREATE_COMPLETE"})

    deploy.deploy(account, "shop", {}, said.append, ["pipeline"])

    assert account.ran("ExecuteChangeSet", ChangeSetName="shop-pipeline")


def test_given_a_stack_with_only_a_change_set_when_deployed_then_it_counts_as_new(said: list[str]) -> None:
    account = FakeAccount({**COMPLETE, "shop-pipeline": "REVIEW_IN_PROGRESS"})

    assert "shop-pipeline requires" in refused(
        lambda: deploy.deploy(account, "shop", {}, said.append, ["pipeline"])
    )


# ---- deploying


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> FakeAccount:
    """An empty account in which every stack can be deployed."""
    monkeypatch.setattr(built, "keys", dict)
    found = FakeAccount({})
    found.outputs = {"BucketName": "code", "FunctionsStackRoleArn": "arn:aws:iam::123456789012:role/stacks"}
    return found


def test_given_an_account_when_the_fault_switchboard_is_deployed_then_it_is_refused(
    account: FakeAccount, said: list[str]
) -> None:
    line = refused(lambda: deploy.deploy(account, "shop", {}, said.append, [stacks.FAULTS]))

    assert line == "shop-faults is for a demo: faults can be switched on in the emulator only, not on AWS"
    assert not account.ran("CreateChangeSet"), "nothing was touched"


def test_given_an_account_when_the_shop_is_deployed_then_it_has_no_fault_switchboard() -> None:
    assert stacks.FAULTS not in stacks.of_the_shop(local=False)


def silent(said: list[str]) -> list[str]:
    """The lines about alarms that are not sent."""
    return [line for line in said if "AlarmTopicArn" in line]


def test_given_aws_when_the_shop_is_deployed_then_the_reconciler_is_included(
    account: FakeAccount, said: list[str]
) -> None:
    deploy.deploy(account, "shop", {}, said.append)

    assert len(account.ran("ExecuteChangeSet", ChangeSetName="shop-reconciler")) == 1


def test_given_no_alarm_topic_when_deployed_then_one_line_says_that_alarms_are_not_sent_and_what_to_add(
    account: FakeAccount, said: list[str]
) -> None:
    deploy.deploy(account, "shop", {}, said.append)

    (line,) = silent(said)
    assert line.startswith("alarms are not sent: shop-")
    assert "shop-reconciler" in line
    assert line.endswith("add --set AlarmTopicArn=…")


@pytest.mark.parametrize("is_set_now", [True, False])
def test_given_an_alarm_topic_now_or_earlier_when_deployed_then_no_line_says_that_alarms_are_not_sent(
    account: FakeAccount, said: list[str], is_set_now: bool
) -> None:
    topic = {"AlarmTopicArn": "arn:aws:sns:eu-central-1:1:alarms"}
    if not is_set_now:
        account.stacks = dict.fromkeys((*COMPLETE, "shop-reconciler", "shop-slo"), "CREATE_COMPLETE")
        account.parameters = topic

    deploy.deploy(account, "shop", topic if is_set_now else {}, said.append)

    assert silent(said) == []
    parameters = [each for request in account.ran("CreateChangeSet") for each in request["Parameters"]]
    topics = {each.get("ParameterValue") for each in parameters if each["ParameterKey"] == "AlarmTopicArn"}
    assert topics == {topic["AlarmTopicArn"] if is_set_now else None}


def test_given_stacks_without_alarms_when_deployed_then_no_line_mentions_alarms(
    account: FakeAccount, said: list[str]
) -> None:
    deploy.deploy(account, "shop", {}, said.append, ["network", "events"])

    assert silent(said) == []


def test_given_a_wave_in_which_some_stacks_fail_when_deployed_then_the_error_names_the_outcome_of_each(
    said: list[str],
) -> None:
    account = FakeAccount({})
    account.failing = {"shop-order": "no such thing", "shop-payment": "no such thing"}
    account.states_after = {"shop-order": "ROLLBACK_COMPLETE"}

    line = refused(lambda: deploy.deploy(account, "shop", {}, said.append, SERVICES))

    assert "shop-order, shop-payment: Thing: no such thing" in line or (
        "shop-payment, shop-order: Thing: no such thing" in line
    )
    deployed, failed, waiting = re.search(  # type: ignore[union-attr]  # or the test fails
        r"\(deployed: (.*); failed: (.*); not started: (.*?); ", line
    ).groups()
    assert set(deployed.split(", ")) == {"shop-product", "shop-shipping"}
    assert set(failed.split(", ")) == {
        "shop-order (ROLLBACK_COMPLETE)",
        "shop-payment (UPDATE_ROLLBACK_COMPLETE)",
    }
    assert waiting == "none"
    assert "run `dev/aws delete --prefix shop order`, then run the same command to continue" in line


def test_given_a_wave_that_fails_when_deployed_then_the_next_one_does_not_begin(said: list[str]) -> None:
    account = FakeAccount({})
    account.failing = {"shop-events": "no such thing"}

    line = refused(lambda: deploy.deploy(account, "shop", {}, said.append, ["events", "product"]))

    assert "not started: shop-product; run the same command to continue" in line
    assert not account.ran("CreateChangeSet", StackName="shop-product")


def test_given_a_request_that_aws_refuses_when_deployed_then_the_error_contains_no_old_event_of_the_stack(
    said: list[str],
) -> None:
    account = FakeAccount(COMPLETE)
    account.refusing = {"shop-events": "ExpiredToken"}

    line = refused(lambda: deploy.deploy(account, "shop", {}, said.append, ["events"]))

    assert line.startswith("shop-events: the AWS credentials have expired: log in again (")
    assert "an old story" not in line


def test_given_a_slow_stack_when_deployed_then_lines_report_its_progress(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "HEARTBEAT_SECONDS", 0.01)
    account = FakeAccount({})
    account.slow = {"shop-events": threading.Event()}

    def say(line: str) -> None:
        said.append(line)
        if "Thing" in line:
            account.slow["shop-events"].set()

    deploy.deploy(account, "shop", {}, say, ["events"])

    beats = [line for line in said if re.fullmatch(r"shop-events: Thing UPDATE_FAILED, \d+ s", line)]
    assert beats, said
    assert re.fullmatch(r"\[1/1\] shop-events deployed in [\d.]+ s", said[said.index(beats[0]) + len(beats)])


def test_given_a_slow_stack_when_interrupted_then_it_is_named_and_no_other_stack_begins(
    said: list[str],
) -> None:
    account = FakeAccount({})
    account.slow = {"shop-events": threading.Event()}

    def press() -> None:
        account.waiting.wait(30)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(Interrupted) as interrupted:
        deploy.deploy(account, "shop", {}, said.append, ["events", "product"])
    presser.join()

    assert interrupted.value.names == ["shop-events"]
    assert not account.ran("CreateChangeSet", StackName="shop-product")


@pytest.mark.parametrize("state", ["ROLLBACK_FAILED", "DELETE_FAILED"])
def test_given_a_stack_that_cannot_be_updated_when_others_are_deployed_then_it_does_not_block_them(
    said: list[str], state: str
) -> None:
    account = FakeAccount({**COMPLETE, "shop-pipeline": state})

    deploy.deploy(account, "shop", {}, said.append, ["events"])

    assert account.ran("ExecuteChangeSet", ChangeSetName="shop-events")


def test_given_the_functions_when_deployed_to_aws_then_cloudformation_uses_the_role_for_their_stacks(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(built, "keys", dict)
    account = FakeAccount(COMPLETE)
    account.outputs = {"BucketName": "bucket"}

    before = refused(lambda: deploy.deploy(account, "shop", {}, said.append, ["functions"]))
    role = account.outputs["FunctionsStackRoleArn"] = "arn:aws:iam::123456789012:role/stacks"
    deploy.deploy(account, "shop", {}, said.append, ["functions", "events"])

    assert "run `dev/aws deploy --prefix shop artifacts` first" in before
    with_role = [each["StackName"] for each in account.ran("CreateChangeSet", RoleARN=role)]
    assert with_role == ["shop-functions"]


# ---- deleting


def test_given_protected_stacks_when_deleted_then_none_is_and_the_error_says_how_to_remove_the_protection(
    said: list[str],
) -> None:
    account = FakeAccount({name: COMPLETE[name] for name in ("shop-order", "shop-product")}, PROTECTED)

    line = refused(lambda: removal.delete(account, "shop", stacks.ALL, said.append))

    assert "nothing was deleted: shop-product, shop-order are protected" in line or (
        "nothing was deleted: shop-order, shop-product are protected" in line
    )
    assert "`dev/aws unprotect --prefix shop " in line
    assert not account.ran("DeleteStack")


@pytest.mark.parametrize("state", sorted(removal.NO_UPDATE))
def test_given_a_protected_stack_that_cannot_be_updated_when_deleted_as_deploy_advises_then_it_is_gone(
    said: list[str], state: str
) -> None:
    account = FakeAccount({"shop-product": state}, PROTECTED)

    removal.delete(account, "shop", ["product"], said.append)

    assert account.stacks == {}


@pytest.mark.parametrize(("kind", "expected"), UNPROTECT.items())
def test_given_a_deletion_that_failed_because_of_protection_when_unprotected_then_the_next_one_succeeds(
    said: list[str], kind: str, expected: tuple[str, dict[str, object]]
) -> None:
    account = FakeAccount({"shop-product": "DELETE_FAILED"}, PROTECTED)
    account.resources = {"shop-product": {"the-thing": kind, "other": "AWS::SQS::Queue"}}
    account.failing = {"shop-product": "it is protected"}
    account.states_after = {"shop-product": "DELETE_FAILED"}

    line = refused(lambda: removal.delete(account, "shop", ["product"], said.append))
    assert "shop-product was not deleted: Thing: it is protected" in line
    assert "`dev/aws unprotect --prefix shop product`" in line
    removal.unprotect(account, "shop", ["product"], said.append)
    assert [each for each in account.requests if "the-thing" in each[1].values()] == [expected]
    account.failing = {}
    removal.delete(account, "shop", ["product"], said.append)

    assert account.stacks == {}
    assert not account.ran("UpdateStack"), "AWS refuses that in this state"


def test_given_protected_stacks_when_unprotected_then_nothing_else_of_them_changes(said: list[str]) -> None:
    account = FakeAccount({"shop-product": "UPDATE_COMPLETE"}, {**PROTECTED, "Prefix": "shop"})

    removal.unprotect(account, "shop", stacks.ALL, said.append)

    (request,) = account.ran("UpdateStack")
    assert request["UsePreviousTemplate"]
    assert request["Parameters"] == [
        {"ParameterKey": "DeletionProtection", "ParameterValue": "false"},
        {"ParameterKey": "Prefix", "UsePreviousValue": True},
    ]
    assert said == ["shop-product can be deleted"]


def test_given_a_stack_that_stays_protected_when_unprotected_then_the_error_says_why(said: list[str]) -> None:
    account = FakeAccount({"shop-product": "UPDATE_COMPLETE", "shop-order": "UPDATE_COMPLETE"}, PROTECTED)
    account.failing = {"shop-product": "another update is in progress"}

    line = refused(lambda: removal.unprotect(account, "shop", stacks.ALL, said.append))

    assert (
        "shop-product is still protected: Thing: another update is in progress (no longer protected: shop-order)"
        in line
    )


def test_given_a_deletion_that_fails_halfway_then_the_error_names_the_deleted_and_the_remaining_stacks(
    said: list[str],
) -> None:
    account = FakeAccount(COMPLETE)
    account.failing = {"shop-order": "it is used"}
    account.refusing = {"shop-payment": "ValidationError"}

    line = refused(lambda: removal.delete(account, "shop", stacks.ALL, said.append))

    gone, going, remaining = re.search(  # type: ignore[union-attr]  # or the test fails
        r"\(deleted: (.*); still being deleted: (.*); remaining: (.*?); ", line
    ).groups()
    assert "shop-order was not deleted: Thing: it is used" in line
    assert set(gone.split(", ")) == {
        *("shop-api", "shop-functions", "shop-functions-catalogue", "shop-functions-partners"),
        *("shop-saga", "shop-product", "shop-shipping"),
    }
    assert going == "none"
    assert set(remaining.split(", ")) == {name for name in COMPLETE if name not in gone.split(", ")}


def test_given_a_deletion_whose_result_is_unknown_then_the_stack_is_named_as_still_being_deleted(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    account = FakeAccount({"shop-events": "CREATE_COMPLETE", "shop-network": "CREATE_COMPLETE"})

    def expire(name: str, _parameters: object) -> object:
        raise refusal("DescribeStacks", "ExpiredToken")

    def delete(*_: object) -> None:
        monkeypatch.setattr(account, "_describe_stacks", expire)

    monkeypatch.setattr(account, "_delete_stack", delete)

    line = refused(lambda: removal.delete(account, "shop", stacks.ALL, said.append))

    assert "still being deleted: shop-events; remaining: shop-network" in line


def test_given_a_bucket_with_more_than_one_page_when_its_stack_is_deleted_then_it_is_emptied_before(
    said: list[str],
) -> None:
    account = FakeAccount({"shop-artifacts": "CREATE_COMPLETE"})
    account.resources = {"shop-artifacts": {"the-bucket": "AWS::S3::Bucket"}}
    account.objects = [f"functions/{number}" for number in range(1500)]

    removal.delete(account, "shop", stacks.ALL, said.append)

    assert account.objects == []
    assert "shop-artifacts: 1500 object versions deleted from the-bucket" in said
    emptied, deleted = (
        max(place for place, each in enumerate(account.requests) if each[0] == operation)
        for operation in ("DeleteObjects", "DeleteStack")
    )
    assert emptied < deleted


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (
            {"Errors": [{"Key": "k", "Message": "Access Denied"}]},
            "the-bucket cannot be emptied: k: Access Denied",
        ),
        (refusal("ListObjectVersions", "NoSuchBucket"), None),
    ],
)
def test_given_a_bucket_that_cannot_be_emptied_when_its_stack_is_deleted_then_only_a_missing_one_is_ignored(
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: Mapping[str, object] | ClientError,
    outcome: str | None,
) -> None:
    account = FakeAccount({"shop-artifacts": "CREATE_COMPLETE"})
    account.resources = {"shop-artifacts": {"the-bucket": "AWS::S3::Bucket"}}
    account.objects = ["k"]

    def fail(*_: object) -> object:
        if isinstance(answer, ClientError):
            raise answer
        return answer

    monkeypatch.setattr(account, "_delete_objects" if outcome else "_list_object_versions", fail)

    if outcome is None:
        removal.delete(account, "shop", stacks.ALL, said.append)
        assert account.stacks == {}
    else:
        assert outcome in refused(lambda: removal.delete(account, "shop", stacks.ALL, said.append))
        assert not account.ran("DeleteStack")
