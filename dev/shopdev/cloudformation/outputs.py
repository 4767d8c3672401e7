"""What is known of the stacks that are there: their states, and their outputs as settings of the shop."""

from urllib.parse import urlsplit

import yaml

from shopdev.checkout import SERVICES
from shopdev.cloudformation import awscli, stacks
from shopdev.cloudformation.awscli import AwsCli, AwsError

# A change set was made and never executed: there is a name, and nothing behind it yet.
NOT_YET = "REVIEW_IN_PROGRESS"


def outputs(cli: AwsCli, prefix: str) -> stacks.Outputs:
    """Stack -> output -> value.

    Raises:
        AwsError: when a stack is missing.
    """
    existing = deployed(cli, prefix)
    needed = [stack for stack in stacks.STACKS if stack not in stacks.ONE_OF]
    if missing := [f"{prefix}-{stack}" for stack in needed if stack not in existing]:
        raise AwsError(
            f"not deployed in {cli.region}: {', '.join(missing)}; run `dev/aws deploy --prefix {prefix}`, or set "
            "AWS_REGION to their region"
        )
    return {stack: awscli.outputs_of(description) for stack, description in existing.items()}


def outputs_of(cli: AwsCli, prefix: str, stack: str) -> dict[str, str]:
    """Output -> value, of one stack.

    Raises:
        AwsError: when it is missing.
    """
    existing = deployed(cli, prefix)
    if stack not in existing:
        raise AwsError(
            f"{prefix}-{stack} is not deployed in {cli.region}: run `dev/aws deploy --prefix {prefix} {stack}` first"
        )
    return awscli.outputs_of(existing[stack])


def values(cli: AwsCli, prefix: str) -> str:
    """Values for charts/shop, as YAML: each service's environment.

    The region is that of the topic. For an emulator, the pods' endpoint is where the emulator says that its queues
    are, which need not be the address that this machine reaches it by.
    """
    found = outputs(cli, prefix)
    endpoint = None
    everyone = {"AWS_REGION": stacks.topic("product", found).split(":")[3]}
    if cli.local:
        queue = urlsplit(found["product"]["TasksQueueUrl"])
        endpoint = f"{queue.scheme}://{queue.netloc}"
        everyone["AWS_ENDPOINT_URL"] = endpoint
        everyone["AWS_DISABLE_HOST_PREFIX_INJECTION"] = "true"
    document = {
        service: {"env": everyone | stacks.environment(service, found, endpoint)} for service in SERVICES
    }
    return yaml.safe_dump(document, sort_keys=True)


def env(cli: AwsCli, prefix: str) -> str:
    """Where the API is and who signs in, as lines of KEY=VALUE for .dev/env or a shell.

    Raises:
        AwsError: when a stack is missing.
    """
    found = outputs(cli, prefix)
    lines = stacks.cognito(found["identity"], cli.endpoint)
    if "api" in found:
        customers, machines = stacks.api_urls(found["api"], cli.endpoint)
        lines |= {"API_URL": customers, "MACHINE_API_URL": machines}
    return "".join(f"{name}={value}\n" for name, value in sorted(lines.items()))


def machine_secret(cli: AwsCli, prefix: str, namespace: str) -> str:
    """A Kubernetes Secret with which the services know the signatures of the emulator's machines, as YAML.

    Raises:
        AwsError: on AWS, where nobody but the machine has its key; and when a stack is missing.
    """
    if cli.endpoint is None:
        raise AwsError("machine-secret is only for the emulator: in AWS, API Gateway verifies signatures")
    found = stacks.machines("payment", outputs(cli, prefix), cli.endpoint)
    metadata = {"name": "machine-callers", "namespace": namespace}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": found})


def status(cli: AwsCli, prefix: str) -> str:
    """A line per stack: its name and its state."""
    existing = cli.describe(prefix)
    states = {
        stack: str(existing[stack]["StackStatus"]) if stack in existing else "absent"
        for stack in stacks.ALL
        if stack in stacks.of_the_shop(local=cli.local) or stack in existing
    }
    return "\n".join(f"{prefix}-{stack:<10} {state}" for stack, state in states.items())


def deployed(cli: AwsCli, prefix: str) -> dict[str, dict[str, object]]:
    """Stack -> its description, without those of which there is a name only."""
    return {stack: found for stack, found in cli.describe(prefix).items() if found["StackStatus"] != NOT_YET}
