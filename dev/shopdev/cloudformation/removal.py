"""Deleting the stacks: nothing at all while one of them is protected, buckets emptied first, and every outcome named."""

import json
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from shopdev.cloudformation import awscli, stacks
from shopdev.cloudformation.awscli import AwsCli, AwsError
from shopdev.cloudformation.deploy import refuse_unknown
from shopdev.cloudformation.outputs import NOT_YET
from shopdev.cloudformation.together import Outcome, Say, together

PROTECTION = "DeletionProtection"
# Such a stack cannot be updated, so its parameter can no more be changed; nor does it say what is left of the stack.
NO_UPDATE = frozenset({"CREATE_FAILED", "DELETE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", NOT_YET})
# AWS limit of one DeleteObjects.
OBJECTS_AT_ONCE = 1000
NO_BUCKET = "The specified bucket does not exist"
# What the CLI's waiter says when CloudFormation has given up.
GAVE_UP = "terminal failure"

# Type of a resource that keeps what is in it -> service and arguments of the command that makes it let go, and where the
# resource's id goes. A repository has no such switch: what is in it goes with it.
_LET_GO: Mapping[str, Callable[[str], tuple[str, ...]]] = {
    "AWS::DynamoDB::Table": lambda name: (
        *("dynamodb", "update-table"),
        *("--table-name", name, "--no-deletion-protection-enabled"),
    ),
    "AWS::Cognito::UserPool": lambda pool: (
        *("cognito-idp", "update-user-pool"),
        *("--user-pool-id", pool, "--deletion-protection", "INACTIVE"),
    ),
    "AWS::EKS::Cluster": lambda name: (
        *("eks", "update-cluster-config"),
        *("--name", name, "--no-deletion-protection"),
    ),
    "AWS::ECR::Repository": lambda name: ("ecr", "delete-repository", "--repository-name", name, "--force"),
}


class StillDeleting(AwsError):
    """CloudFormation was told to delete a stack, and how that ends could not be seen."""


def delete(cli: AwsCli, prefix: str, chosen: Sequence[str], say: Say) -> None:
    """Delete the stacks that exist, the last deployed first.

    Raises:
        AwsError: when one is protected, before anything is deleted; or when one cannot be deleted, with what is gone, what is
            still being deleted and what remains.
        Interrupted: names what CloudFormation goes on deleting.
    """
    refuse_unknown(chosen)
    existing = {stack: found for stack, found in cli.describe(prefix).items() if stack in chosen}
    _refuse_protected(prefix, existing)
    gone: list[str] = []

    def ended(name: str, outcome: Outcome) -> None:
        if isinstance(outcome, str):
            gone.append(name)
            say(f"{name} {outcome}")

    waves = [[stack for stack in wave if stack in existing] for wave in (*stacks.WAVES, *stacks.PLATFORM)]
    for wave in reversed(waves):
        work = {
            f"{prefix}-{stack}": partial(_delete_one, cli, prefix, stack, existing[stack], say)
            for stack in wave
        }
        outcomes = together(cli, work, ended, say)
        if failed := {name: error for name, error in outcomes.items() if isinstance(error, AwsError)}:
            deleting = [name for name, error in failed.items() if isinstance(error, StillDeleting)]
            every = [f"{prefix}-{stack}" for wave in waves for stack in wave]
            remaining = [name for name in every if name not in gone and name not in deleting]
            raise AwsError(
                f"{'; '.join(f'{name} was not deleted: {error}' for name, error in failed.items())} "
                f"(deleted: {', '.join(gone) or 'none'}; still being deleted: {', '.join(deleting) or 'none'}; "
                f"remaining: {', '.join(remaining) or 'none'}; run the same command to continue)"
            )


def unprotect(cli: AwsCli, prefix: str, chosen: Sequence[str], say: Say) -> None:
    """Let the stacks be deleted, with the data in them; nothing else of them changes, and nothing is deleted.

    Raises:
        AwsError: when a stack cannot be changed, with why.
        Interrupted: names what CloudFormation goes on with.
    """
    refuse_unknown(chosen)
    protected = {
        stack: found
        for stack, found in cli.describe(prefix).items()
        if stack in chosen and awscli.parameters_of(found).get(PROTECTION) == "true"
    }
    if not protected:
        say("no stack is protected")

    def ended(name: str, outcome: Outcome) -> None:
        if isinstance(outcome, str):
            say(f"{name} {outcome}")

    work = {
        f"{prefix}-{stack}": partial(_unprotect_one, cli, f"{prefix}-{stack}", found)
        for stack, found in protected.items()
    }
    outcomes = together(cli, work, ended, say)
    if failed := {name: error for name, error in outcomes.items() if isinstance(error, AwsError)}:
        raise AwsError(
            f"{'; '.join(f'{name} is still protected: {error}' for name, error in failed.items())} "
            f"(no longer protected: {', '.join(name for name in outcomes if name not in failed) or 'none'})"
        )


def _refuse_protected(prefix: str, existing: Mapping[str, Mapping[str, object]]) -> None:
    """Half of a shop helps nobody: what refuses to be deleted is found before the rest is gone."""
    protected = [
        stack
        for stack, found in existing.items()
        if found["StackStatus"] not in NO_UPDATE and awscli.parameters_of(found).get(PROTECTION) == "true"
    ]
    if protected:
        raise AwsError(
            f"nothing was deleted: {', '.join(f'{prefix}-{stack}' for stack in protected)} "
            f"{'are' if len(protected) > 1 else 'is'} protected; "
            f"`dev/aws unprotect --prefix {prefix} {' '.join(protected)}` removes the protection; then delete again"
        )


def _delete_one(cli: AwsCli, prefix: str, stack: str, description: Mapping[str, object], say: Say) -> str:
    started = time.monotonic()
    name = f"{prefix}-{stack}"
    for bucket in _resources(cli, name, {"AWS::S3::Bucket"}):
        try:
            _empty(cli, name, bucket["PhysicalResourceId"], say)
        except AwsError as error:
            if NO_BUCKET not in str(error):  # somebody has deleted it by hand
                raise
    cli.run("delete-stack", "--stack-name", name)
    try:
        cli.run("wait", "stack-delete-complete", "--stack-name", name)
    except AwsError as error:
        if GAVE_UP not in str(error):
            raise StillDeleting(str(error)) from error
        reason = cli.first_failure(name) or str(error)
        if awscli.parameters_of(description).get(PROTECTION) == "true":
            reason += f"; if that is protected, `dev/aws unprotect --prefix {prefix} {stack}` ends it"
        raise AwsError(reason) from error
    return f"deleted in {time.monotonic() - started:.1f} s"


def _unprotect_one(cli: AwsCli, name: str, description: Mapping[str, object]) -> str:
    if description["StackStatus"] in NO_UPDATE:
        let_go = list(_resources(cli, name, _LET_GO.keys()))
        for each in let_go:
            service, *arguments = _LET_GO[each["ResourceType"]](each["PhysicalResourceId"])
            cli.run(*arguments, service=service)
        return (
            f"can be deleted: {', '.join(each['LogicalResourceId'] for each in let_go) or 'nothing'} let go"
        )
    others = [key for key in awscli.parameters_of(description) if key != PROTECTION]
    cli.run(
        *("update-stack", "--stack-name", name, "--use-previous-template"),
        *("--capabilities", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"),
        *("--parameters", f"ParameterKey={PROTECTION},ParameterValue=false"),
        *(f"ParameterKey={key},UsePreviousValue=true" for key in others),
    )
    try:
        cli.run("wait", "stack-update-complete", "--stack-name", name)
    except AwsError as error:
        raise AwsError(cli.first_failure(name) or str(error)) from error
    return "can be deleted"


def _resources(cli: AwsCli, name: str, types: Collection[str]) -> Iterator[dict[str, str]]:
    """Those of a stack's resources of some types that are still there."""
    found = json.loads(cli.run("list-stack-resources", "--stack-name", name, "--output", "json"))
    for each in found["StackResourceSummaries"]:
        if (
            each["ResourceType"] in types
            and each.get("PhysicalResourceId")
            and each["ResourceStatus"] != "DELETE_COMPLETE"
        ):
            yield each


def _empty(cli: AwsCli, name: str, bucket: str, say: Say) -> None:
    """Remove every version and every delete marker: CloudFormation deletes no bucket that has one."""
    removed = 0
    question = ("list-object-versions", "--bucket", bucket, "--no-paginate", "--output", "json")
    while page := _versions(cli.run(*question, "--max-keys", str(OBJECTS_AT_ONCE), service="s3api")):
        with tempfile.TemporaryDirectory(prefix="shop-stack-") as folder:
            # By a file: a thousand names are more than a command line holds.
            file = Path(folder) / "objects.json"
            file.write_text(json.dumps({"Objects": page, "Quiet": True}), encoding="utf-8")
            said = cli.run(
                *("delete-objects", "--bucket", bucket, "--delete", f"file://{file}", "--output", "json"),
                service="s3api",
            )
        if errors := json.loads(said or "{}").get("Errors"):
            raise AwsError(f"{bucket} cannot be emptied: {errors[0].get('Key')}: {errors[0].get('Message')}")
        removed += len(page)
        say(f"{name}: {removed} object versions deleted from {bucket}")


def _versions(said: str) -> list[dict[str, str]]:
    found = json.loads(said or "{}")
    return [
        {"Key": each["Key"], "VersionId": each["VersionId"]}
        for kind in ("Versions", "DeleteMarkers")
        for each in found.get(kind) or []
    ]
