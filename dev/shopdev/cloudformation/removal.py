"""Deleting the stacks: none of them while one is protected, buckets emptied first, and every outcome reported."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from shopdev.cloudformation import stacks
from shopdev.cloudformation.account import Account, AwsError, advising, parameters_of, request_parameters
from shopdev.cloudformation.deploy import DEPLOYED, Existing, refuse_unknown
from shopdev.cloudformation.follow import GONE, Running, Say, follow, naming
from shopdev.cloudformation.outputs import NOT_YET

PROTECTION = "DeletionProtection"
# A stack in such a state cannot be updated, so its parameters cannot change; its resources may be gone or not.
NO_UPDATE = frozenset({"CREATE_FAILED", "DELETE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", NOT_YET})
# AWS limit of one DeleteObjects.
OBJECTS_AT_ONCE = 1000

# Type of a resource that can be protected -> what removes the protection, given its id. A repository has no such setting:
# it is deleted with its images.
_UNPROTECT: Mapping[str, Callable[[Account, str], object]] = {
    "AWS::DynamoDB::Table": lambda account, name: account.client("dynamodb").update_table(
        TableName=name, DeletionProtectionEnabled=False
    ),
    "AWS::Cognito::UserPool": lambda account, pool: account.client("cognito-idp").update_user_pool(
        UserPoolId=pool, DeletionProtection="INACTIVE"
    ),
    "AWS::EKS::Cluster": lambda account, name: account.client("eks").update_cluster_config(
        name=name, deletionProtection=False
    ),
    "AWS::ECR::Repository": lambda account, name: account.client("ecr").delete_repository(
        repositoryName=name, force=True
    ),
}


def delete(account: Account, prefix: str, chosen: Sequence[str], say: Say) -> None:
    """Delete the existing stacks, the last deployed first.

    Raises:
        AwsError: when one is protected, before anything is deleted; or when one cannot be deleted, with the names of the
            stacks that are deleted, are still being deleted, and remain.
        Interrupted: names the stacks that CloudFormation continues to delete.
    """
    refuse_unknown(chosen)
    existing = {stack: found for stack, found in account.describe(prefix).items() if stack in chosen}
    _refuse_protected(prefix, existing)
    gone: list[str] = []
    deleting: list[str] = []
    failed: dict[str, AwsError] = {}

    def ended(name: str, state: str | AwsError, seconds: float) -> None:
        if isinstance(state, AwsError):
            deleting.append(name)
            failed[name] = state
        elif state == GONE:
            gone.append(name)
            say(f"{name} deleted in {seconds:.1f} s")
        else:
            failed[name] = _not_deleted(account, prefix, name, state, existing)

    waves = [[stack for stack in wave if stack in existing] for wave in stacks.ALL_WAVES]
    for wave in reversed(waves):
        running: Running = {}
        with naming(running):
            for stack in wave:
                name, begun = f"{prefix}-{stack}", time.monotonic()
                try:
                    _begin_to_delete(account, name, say)
                    running[name] = begun
                except AwsError as error:
                    failed[name] = error
            follow(account, running, ended, say)
        if failed:
            every = [f"{prefix}-{stack}" for wave in waves for stack in wave]
            remaining = [name for name in every if name not in gone and name not in deleting]
            raise AwsError(
                f"{'; '.join(f'{name} was not deleted: {error}' for name, error in failed.items())} "
                f"(deleted: {', '.join(gone) or 'none'}; still being deleted: {', '.join(deleting) or 'none'}; "
                f"remaining: {', '.join(remaining) or 'none'}; run the same command to continue)"
            )


def unprotect(account: Account, prefix: str, chosen: Sequence[str], say: Say) -> None:
    """Allow the stacks to be deleted, with their data; changes nothing else and deletes nothing.

    Raises:
        AwsError: when a stack cannot be changed, with the reason.
        Interrupted: names the stacks that CloudFormation still works on.
    """
    refuse_unknown(chosen)
    protected = {
        stack: found
        for stack, found in account.describe(prefix).items()
        if stack in chosen and parameters_of(found).get(PROTECTION) == "true"
    }
    if not protected:
        say("no stack is protected")
    failed: dict[str, AwsError] = {}
    unprotected: list[str] = []

    def ended(name: str, state: str | AwsError, _seconds: float) -> None:
        if isinstance(state, AwsError):
            failed[name] = state
        elif state in DEPLOYED:
            unprotected.append(name)
            say(f"{name} can be deleted")
        else:
            failed[name] = AwsError(account.first_failure(name) or state)

    running: Running = {}
    with naming(running):
        for stack, found in protected.items():
            name = f"{prefix}-{stack}"
            try:
                if found["StackStatus"] in NO_UPDATE:
                    say(f"{name} can be deleted: {_unprotect_resources(account, name)}")
                    unprotected.append(name)
                else:
                    _begin_to_unprotect(account, name, found)
                    running[name] = time.monotonic()
            except AwsError as error:
                failed[name] = error
        follow(account, running, ended, say)
    if failed:
        raise AwsError(
            f"{'; '.join(f'{name} is still protected: {error}' for name, error in failed.items())} "
            f"(no longer protected: {', '.join(unprotected) or 'none'})"
        )


def _refuse_protected(prefix: str, existing: Existing) -> None:
    """Find the stacks that cannot be deleted before the others are."""
    protected = [
        stack
        for stack, found in existing.items()
        if found["StackStatus"] not in NO_UPDATE and parameters_of(found).get(PROTECTION) == "true"
    ]
    if protected:
        raise AwsError(
            f"nothing was deleted: {', '.join(f'{prefix}-{stack}' for stack in protected)} "
            f"{'are' if len(protected) > 1 else 'is'} protected; "
            f"`dev/aws unprotect --prefix {prefix} {' '.join(protected)}` removes the protection; then delete again"
        )


def _begin_to_delete(account: Account, name: str, say: Say) -> None:
    for bucket in _resources(account, name, {"AWS::S3::Bucket"}):
        _empty(account, name, bucket["PhysicalResourceId"], say)
    with advising():
        account.cloudformation.delete_stack(StackName=name)


def _not_deleted(account: Account, prefix: str, name: str, state: str, existing: Existing) -> AwsError:
    """Why CloudFormation has not deleted a stack."""
    stack = name.removeprefix(f"{prefix}-")
    reason = account.first_failure(name) or state
    if parameters_of(existing[stack]).get(PROTECTION) == "true":
        reason += f"; if it is protected, run `dev/aws unprotect --prefix {prefix} {stack}`"
    return AwsError(reason)


def _begin_to_unprotect(account: Account, name: str, description: Mapping[str, Any]) -> None:
    others = parameters_of(description).keys() - {PROTECTION}
    with advising():
        account.cloudformation.update_stack(
            StackName=name,
            UsePreviousTemplate=True,
            Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=request_parameters({PROTECTION: "false"}, others),
        )


def _unprotect_resources(account: Account, name: str) -> str:
    """Remove the protection of each resource of a stack that CloudFormation cannot update."""
    found = list(_resources(account, name, _UNPROTECT.keys()))
    for each in found:
        with advising():
            _UNPROTECT[each["ResourceType"]](account, each["PhysicalResourceId"])
    return f"{', '.join(each['LogicalResourceId'] for each in found) or 'nothing'} unprotected"


def _resources(account: Account, name: str, types: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """The resources of a stack that have one of these types and still exist."""
    with advising():
        pages = account.cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
        found = [each for page in pages for each in page["StackResourceSummaries"]]
    for each in found:
        if (
            each["ResourceType"] in types
            and each.get("PhysicalResourceId")
            and each["ResourceStatus"] != "DELETE_COMPLETE"
        ):
            yield each


def _empty(account: Account, name: str, bucket: str, say: Say) -> None:
    """Delete every version and every delete marker: CloudFormation deletes only an empty bucket."""
    removed = 0
    with advising():
        try:
            while page := _versions(account, bucket):
                deleted = account.s3.delete_objects(Bucket=bucket, Delete={"Objects": page, "Quiet": True})
                if errors := deleted.get("Errors"):
                    raise AwsError(
                        f"{bucket} cannot be emptied: {errors[0].get('Key')}: {errors[0].get('Message')}"
                    )
                removed += len(page)
                say(f"{name}: {removed} object versions deleted from {bucket}")
        except ClientError as error:
            if error.response["Error"].get("Code") != "NoSuchBucket":  # then it was deleted by other means
                raise


def _versions(account: Account, bucket: str) -> list[Any]:
    """The first versions and delete markers in a bucket, as many as one request can delete."""
    page = account.s3.list_object_versions(Bucket=bucket, MaxKeys=OBJECTS_AT_ONCE)
    found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
