"""Creating new stacks in the emulator by boto3: all of them within a second, where the AWS CLI takes a second for each."""

import time
from collections.abc import Mapping, Sequence

from shopdev.clients import Clients
from shopdev.cloudformation import stacks
from shopdev.console import CommandError
from shopdev.lambdas import built

POLL_SECONDS = 0.02


def create(clients: Clients, prefix: str, values: Mapping[str, str], chosen: Sequence[str]) -> stacks.Outputs:
    """Create stacks in order and answer their outputs; one that lacks its parameter is left out.

    Args:
        clients: of the emulator.
        prefix: first part of every name.
        values: parameters over those of manifests/aws/parameters/local.json; each stack gets those that it declares.
        chosen: which stacks.

    Raises:
        CommandError: when a stack is not created, or a function's code is missing.
    """
    given = {**stacks.chosen_for("local"), **values, "EndpointUrl": clients.endpoint}
    waiting = stacks.waiting(given)
    code: dict[str, str] = {}
    found: dict[str, dict[str, str]] = {}
    for stack in (stack for stack in chosen if stack not in waiting):
        if stack in stacks.WITH_CODE:
            code = code or _uploaded(clients, found["artifacts"]["BucketName"])
        found[stack] = _create(clients, prefix, stack, given | code)
    return found


def _uploaded(clients: Clients, bucket: str) -> dict[str, str]:
    """The functions' code, in the bucket, as parameters."""
    keys = built.keys()
    for file, key in keys.items():
        clients.s3.upload_file(str(file), bucket, key)
    return built.parameters(keys)


def _create(clients: Clients, prefix: str, stack: str, values: Mapping[str, str]) -> dict[str, str]:
    name = f"{prefix}-{stack}"
    pairs = stacks.parameters(stack, {**values, "Prefix": prefix})
    clients.cloudformation.create_stack(
        StackName=name,
        TemplateBody=stacks.template(stack),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in pairs.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    # The waiters of boto3 look every 5 s, or without a pause.
    while (found := clients.cloudformation.describe_stacks(StackName=name)["Stacks"][0])[
        "StackStatus"
    ] == "CREATE_IN_PROGRESS":
        time.sleep(POLL_SECONDS)
    if found["StackStatus"] != "CREATE_COMPLETE":
        raise CommandError(f"stack {name}: {found['StackStatus']}, {found.get('StackStatusReason', '')}")
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
