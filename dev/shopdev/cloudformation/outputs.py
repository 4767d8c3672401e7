"""The state of the deployed stacks, and their outputs as settings of the shop."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from shopdev.checkout import SERVICES, STOREFRONT
from shopdev.cloudformation import stacks
from shopdev.cloudformation.account import Account, AwsError, outputs_of

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

# A change set was created but not executed: the stack has a name and no resources.
NOT_YET = "REVIEW_IN_PROGRESS"


def outputs(account: Account, prefix: str) -> stacks.Outputs:
    """Stack -> output -> value.

    Raises:
        AwsError: when a stack is missing.
    """
    existing = deployed(account, prefix)
    needed = [stack for stack in stacks.STACKS if stack not in stacks.ONE_OF]
    if missing := [f"{prefix}-{stack}" for stack in needed if stack not in existing]:
        raise AwsError(
            f"not deployed in {account.region}: {', '.join(missing)}; run `dev/aws deploy --prefix {prefix}`, or set "
            "AWS_REGION to their region"
        )
    return {stack: outputs_of(description) for stack, description in existing.items()}


def outputs_of_stack(account: Account, prefix: str, stack: str) -> dict[str, str]:
    """Output -> value, of one stack.

    Raises:
        AwsError: when it is missing.
    """
    existing = deployed(account, prefix)
    if stack not in existing:
        raise AwsError(
            f"{prefix}-{stack} is not deployed in {account.region}: run `dev/aws deploy --prefix {prefix} {stack}` first"
        )
    return outputs_of(existing[stack])


def values(account: Account, prefix: str) -> str:
    """Values for charts/shop, as YAML: the environment of each service and of the storefront.

    The region is that of the topic. For an emulator, pods use the endpoint in the URLs of its queues, which may differ from the
    address that this machine and its browsers use. Before the stack `api` is deployed, the storefront has no API to call and is
    disabled.
    """
    found = outputs(account, prefix)
    endpoint = None
    everyone = {"AWS_REGION": stacks.topic("product", found).split(":")[3]}
    if account.local:
        queue = urlsplit(found["product"]["TasksQueueUrl"])
        endpoint = f"{queue.scheme}://{queue.netloc}"
        everyone["AWS_ENDPOINT_URL"] = endpoint
        everyone["AWS_DISABLE_HOST_PREFIX_INJECTION"] = "true"
    document: dict[str, dict[str, Any]] = {
        service: {"env": everyone | stacks.environment(service, found, endpoint)} for service in SERVICES
    }
    if "api" in found:
        document[STOREFRONT] = {"env": stacks.pages(found, endpoint, account.endpoint)}
    else:
        document["services"] = {STOREFRONT: False}
    return yaml.safe_dump(document, sort_keys=True)


def env(account: Account, prefix: str) -> str:
    """The addresses of the API and of the sign-in, as KEY=VALUE lines for .dev/env or a shell.

    Raises:
        AwsError: when a stack is missing.
    """
    found = outputs(account, prefix)
    lines = stacks.cognito(found["identity"], account.endpoint)
    if "api" in found:
        customers, machines = stacks.api_urls(found["api"], account.endpoint)
        lines |= {"API_URL": customers, "MACHINE_API_URL": machines}
    return "".join(f"{name}={value}\n" for name, value in sorted(lines.items()))


def machine_secret(account: Account, prefix: str, namespace: str) -> str:
    """A Kubernetes Secret, as YAML, with which the services verify the signatures of machines in the emulator.

    Raises:
        AwsError: on AWS, where only the machine has its key; and when a stack is missing.
    """
    if account.endpoint is None:
        raise AwsError("machine-secret is only for the emulator: in AWS, API Gateway verifies signatures")
    found = stacks.machines("payment", outputs(account, prefix), account.endpoint)
    metadata = {"name": "machine-callers", "namespace": namespace}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": found})


def status(account: Account, prefix: str) -> str:
    """One line per stack, with its name and its state."""
    existing = account.describe(prefix)
    states = {
        stack: str(existing[stack]["StackStatus"]) if stack in existing else "absent"
        for stack in stacks.ALL
        if stack in stacks.of_the_shop(local=account.local) or stack in existing
    }
    return "\n".join(f"{prefix}-{stack:<10} {state}" for stack, state in states.items())


def deployed(account: Account, prefix: str) -> dict[str, "StackTypeDef"]:
    """Stack -> its description, without stacks that have no resources yet."""
    return {
        stack: found for stack, found in account.describe(prefix).items() if found["StackStatus"] != NOT_YET
    }
