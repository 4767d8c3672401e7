"""The stacks through the AWS CLI: the same commands against AWS and, by AWS_ENDPOINT_URL, against the emulator.

The CLI and not an SDK: it brings every way of logging in that a team may use (profiles, SSO, roles), and a pipeline
runs the very same commands.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from shopprocs import functions, stacks

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 2
Say = Callable[[str], object]

# What the CLI says -> what to do.
ADVICE: Sequence[tuple[str, str]] = (
    (
        r"Unable to locate credentials|Partial credentials|InvalidClientTokenId",
        "no valid AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    (
        r"ExpiredToken|Token has expired|SSO.*(expired|invalid)",
        "the AWS credentials have expired: log in again",
    ),
    (
        r"Parameters: \[(?P<names>[^\]]+)\] must have values",
        "no value for {names}: add it to the parameters file, or say --set NAME=VALUE",
    ),
    (
        r"region_name '(?P<region>[^']+)' doesn't match|Invalid region|is not a valid region",
        "that is no AWS region: set AWS_REGION to one, e.g. AWS_REGION=eu-central-1",
    ),
    (r"must specify a region", "no AWS region: set AWS_REGION, e.g. AWS_REGION=eu-central-1"),
    (
        r'Could not connect to the endpoint URL: "(?P<url>[^"]+)"',
        "nobody answers at {url}: check AWS_REGION, or AWS_ENDPOINT_URL and that the emulator runs",
    ),
    (r"AccessDenied|is not authorized to perform", "the credentials lack a right: {message}"),
)


class AwsError(Exception):
    """A command failed; the message is one line and says what to do next."""


class AwsCli:
    """The AWS CLI with one environment.

    Args:
        environment: what it runs with; AWS_REGION and AWS_ENDPOINT_URL are honoured.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        if region := environment.get("AWS_REGION"):
            # Version 1 of the CLI reads only this name, SDKs in containers only the other.
            self._environment["AWS_DEFAULT_REGION"] = region
        self._program = _program()

    @property
    def region(self) -> str:
        """The region that is asked, as far as the environment says so."""
        return self._environment.get("AWS_DEFAULT_REGION", "the region of the AWS profile")

    @property
    def endpoint(self) -> str | None:
        """The emulator's address; None for AWS."""
        return self._environment.get("AWS_ENDPOINT_URL") or None

    @property
    def local(self) -> bool:
        """Whether an emulator is meant."""
        return self.endpoint is not None

    def run(self, *arguments: str, service: str = "cloudformation") -> str:
        """Run `aws SERVICE …` and answer what it prints.

        Raises:
            AwsError: with what to do about it.
        """
        done = subprocess.run(
            [self._program, service, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AwsError(_advice(done.stderr or done.stdout))
        return done.stdout

    def describe(self, prefix: str) -> dict[str, dict[str, object]]:
        """Stack -> its description, for those stacks of the shop that exist."""
        found = json.loads(self.run("describe-stacks", "--output", "json"))["Stacks"]
        by_name = {each["StackName"]: each for each in found}
        return {stack: by_name[name] for stack in stacks.ALL if (name := f"{prefix}-{stack}") in by_name}


def deploy(cli: AwsCli, prefix: str, values: Mapping[str, str], say: Say, chosen: Sequence[str] = ()) -> None:
    """Create or update stacks, in order; what is up to date already stays as it is.

    Args:
        cli: where to.
        prefix: first part of every name.
        values: parameters; each stack gets those that it declares.
        say: gets a line per stack.
        chosen: which stacks; all of the shop's by default, less those that wait for a parameter.

    Raises:
        AwsError: names the stack that failed and why, and what has been deployed before it.
    """
    _refuse_unknown(chosen)
    waves = _waves(chosen, values, prefix, say)
    existing = cli.describe(prefix)
    for stack, description in existing.items():
        _refuse_stuck(prefix, stack, str(description["StackStatus"]))
    started = time.monotonic()
    done: list[str] = []
    planned = [stack for wave in waves for stack in wave]
    say(
        f"{len(planned)} stacks to {'the emulator' if cli.local else 'AWS'}; a new one takes about "
        f"{'a second' if cli.local else 'a minute'}"
    )
    for wave in waves:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            running = {pool.submit(_deploy_one, cli, prefix, stack, values): stack for stack in wave}
            for stack, outcome in _outcomes(running):
                if isinstance(outcome, AwsError):
                    for other in running:
                        other.cancel()
                    raise AwsError(
                        f"{prefix}-{stack}: {outcome} ({_progress(prefix, planned, done)})"
                    ) from outcome
                done.append(stack)
                say(f"[{len(done)}/{len(planned)}] {prefix}-{stack} {outcome}")
    say(f"all up to date in {time.monotonic() - started:.1f} s")


def outputs(cli: AwsCli, prefix: str) -> stacks.Outputs:
    """Stack -> output -> value.

    Raises:
        AwsError: when a stack is missing.
    """
    existing = cli.describe(prefix)
    needed = [stack for stack in stacks.STACKS if stack not in stacks.ONE_OF]
    if missing := [f"{prefix}-{stack}" for stack in needed if stack not in existing]:
        raise AwsError(
            f"not deployed yet in {cli.region}: {', '.join(missing)}; run `dev/aws deploy --prefix {prefix}`, or set "
            "AWS_REGION to where they are"
        )
    return {stack: _outputs(description) for stack, description in existing.items()}


def outputs_of(cli: AwsCli, prefix: str, stack: str) -> dict[str, str]:
    """Output -> value, of one stack.

    Raises:
        AwsError: when it is missing.
    """
    existing = cli.describe(prefix)
    if stack not in existing:
        raise AwsError(
            f"{prefix}-{stack} is not deployed yet in {cli.region}: run `dev/aws deploy {stack}` first"
        )
    return _outputs(existing[stack])


def values(cli: AwsCli, prefix: str) -> str:
    """Values for charts/shop, as YAML: each service's environment.

    The region is that of the topic. For an emulator, the pods' endpoint is where the emulator says that its queues
    are, which need not be the address that this machine reaches it by.
    """
    found = outputs(cli, prefix)
    endpoint = None
    everyone = {"AWS_REGION": found["events"]["EventsTopicArn"].split(":")[3]}
    if cli.local:
        queue = urlsplit(found["product"]["TasksQueueUrl"])
        endpoint = f"{queue.scheme}://{queue.netloc}"
        everyone["AWS_ENDPOINT_URL"] = endpoint
        everyone["AWS_DISABLE_HOST_PREFIX_INJECTION"] = "true"
    document = {
        service: {"env": everyone | stacks.environment(service, found, endpoint)}
        for service in stacks.SERVICES
    }
    return yaml.safe_dump(document, sort_keys=True)


def env(cli: AwsCli, prefix: str) -> str:
    """Where the API is and who signs in, as lines of KEY=VALUE for .dev/env or a shell.

    Raises:
        AwsError: when a stack is missing.
    """
    found = outputs(cli, prefix)
    lines = stacks.cognito(found["identity"])
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
        raise AwsError("machine-secret is for the emulator: on AWS the API Gateway verifies signatures")
    found = stacks.machines("payment", outputs(cli, prefix), cli.endpoint)
    metadata = {"name": "machine-callers", "namespace": namespace}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": found})


def status(cli: AwsCli, prefix: str) -> str:
    """A line per stack: its name and its state."""
    existing = cli.describe(prefix)
    states = {
        stack: str(existing[stack]["StackStatus"]) if stack in existing else "absent"
        for stack in stacks.ALL
        if stack in stacks.STACKS or stack in existing
    }
    return "\n".join(f"{prefix}-{stack:<10} {state}" for stack, state in states.items())


def delete(cli: AwsCli, prefix: str, chosen: Sequence[str], say: Say) -> None:
    """Delete the stacks that exist, the last deployed first.

    Raises:
        AwsError: when one cannot be deleted, e.g. while its table is protected; those before it are gone.
    """
    _refuse_unknown(chosen)
    existing = cli.describe(prefix)
    for wave in reversed((*stacks.WAVES, *stacks.PLATFORM)):
        names = [f"{prefix}-{stack}" for stack in wave if stack in existing and stack in chosen]
        for name in names:
            cli.run("delete-stack", "--stack-name", name)
        for name in names:
            started = time.monotonic()
            try:
                cli.run("wait", "stack-delete-complete", "--stack-name", name)
            except AwsError as error:
                reason = _first_failure(cli, name) or error
                raise AwsError(
                    f"{name} was not deleted: {reason}; a protected table is unlocked by "
                    f"`dev/aws deploy --set DeletionProtection=false`"
                ) from error
            say(f"{name} deleted in {time.monotonic() - started:.1f} s")


def _refuse_unknown(chosen: Sequence[str]) -> None:
    if unknown := set(chosen) - set(stacks.ALL):
        raise AwsError(f"no such stack: {', '.join(sorted(unknown))}; there are {', '.join(stacks.ALL)}")


def _waves(chosen: Sequence[str], values: Mapping[str, str], prefix: str, say: Say) -> list[list[str]]:
    """The stacks to deploy, in waves: the chosen ones, or all of the shop's less those that wait."""
    waiting = {
        stack: " or ".join(f"{name}=…" for name in names)
        for stack, names in stacks.ONE_OF.items()
        if not any(values.get(name) for name in names)
    }
    for stack in [stack for stack in waiting if stack in chosen]:
        raise AwsError(
            f"{prefix}-{stack} needs {waiting[stack]}: add --set {waiting[stack].split(' or ')[0]}"
        )
    for stack in [] if chosen else waiting:
        say(f"{prefix}-{stack} waits: `dev/aws deploy {stack} --set {waiting[stack]}` once that is known")
    wanted = chosen or [stack for stack in stacks.STACKS if stack not in waiting]
    waves = [[stack for stack in wave if stack in wanted] for wave in (*stacks.WAVES, *stacks.PLATFORM)]
    return [wave for wave in waves if wave]


def _deploy_one(cli: AwsCli, prefix: str, stack: str, given: Mapping[str, str]) -> str:
    started = time.monotonic()
    name = f"{prefix}-{stack}"
    if stack == "functions":
        given = {**given, **_uploaded_functions(cli, prefix), **_endpoint_for_functions(cli, prefix)}
    pairs = stacks.parameters(stack, {**given, "Prefix": prefix})
    with tempfile.TemporaryDirectory(prefix="shop-stack-") as folder:
        file = Path(folder) / f"{stack}.yaml"
        file.write_text(stacks.template(stack), encoding="utf-8")
        try:
            said = cli.run(
                *(
                    "deploy",
                    "--stack-name",
                    name,
                    "--template-file",
                    str(file),
                    "--no-fail-on-empty-changeset",
                ),
                *("--capabilities", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"),
                *("--parameter-overrides", *(f"{key}={value}" for key, value in pairs.items())),
            )
        except AwsError as error:
            raise AwsError(_first_failure(cli, name) or str(error)) from error
    what = "unchanged" if "No changes to deploy" in said else "deployed"
    return f"{what} in {time.monotonic() - started:.1f} s"


def _uploaded_functions(cli: AwsCli, prefix: str) -> dict[str, str]:
    """The functions' code, in the bucket under a name that is its content's, as parameters."""
    try:
        keys = functions.keys()
    except functions.NotBuilt as error:
        raise AwsError(str(error)) from error
    bucket = outputs_of(cli, prefix, "artifacts")["BucketName"]
    question = ("list-objects-v2", "--bucket", bucket, "--prefix", "functions/", "--output", "json")
    present = {
        each["Key"] for each in json.loads(cli.run(*question, service="s3api") or "{}").get("Contents", [])
    }
    for file, key in keys.items():
        if key not in present:
            cli.run("cp", "--only-show-errors", str(file), f"s3://{bucket}/{key}", service="s3")
    return functions.parameters(keys)


def _endpoint_for_functions(cli: AwsCli, prefix: str) -> dict[str, str]:
    """Where an emulator is for its own functions; see `values`."""
    if not cli.local:
        return {}
    queue = urlsplit(outputs_of(cli, prefix, "product")["TasksQueueUrl"])
    return {"EndpointUrl": f"{queue.scheme}://{queue.netloc}"}


def _outcomes(running: "Mapping[Future[str], str]") -> Iterator[tuple[str, str | AwsError]]:
    for future in as_completed(running):
        error = future.exception()
        if error is None:
            yield running[future], future.result()
        elif isinstance(error, AwsError):
            yield running[future], error
        else:
            raise error


def _refuse_stuck(prefix: str, stack: str, state: str) -> None:
    name = f"{prefix}-{stack}"
    if state in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}:
        raise AwsError(
            f"{name} is in {state}: run `dev/aws delete --prefix {prefix} {stack}`, then deploy again"
        )
    if state == "UPDATE_ROLLBACK_FAILED":
        raise AwsError(
            f"{name} is in {state}: run `aws cloudformation continue-update-rollback --stack-name {name}`, "
            "then deploy again"
        )
    if state.endswith("_IN_PROGRESS"):
        raise AwsError(f"{name} is in {state}: somebody is deploying it; try again when that is done")


def _first_failure(cli: AwsCli, name: str) -> str:
    """Why the last operation on a stack failed: the reason of its first failed resource, or nothing."""
    try:
        events = json.loads(cli.run("describe-stack-events", "--stack-name", name, "--output", "json"))[
            "StackEvents"
        ]
    except AwsError:
        return ""
    reason = ""
    for event in events:  # newest first, up to where the operation began
        if event["ResourceStatus"].endswith("_FAILED") and "ancelled" not in event.get(
            "ResourceStatusReason", ""
        ):
            reason = (
                f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', event['ResourceStatus'])}"
            )
        if event["LogicalResourceId"] == name and event["ResourceStatus"] in {
            "CREATE_IN_PROGRESS",
            "UPDATE_IN_PROGRESS",
        }:
            break
    return reason


def _progress(prefix: str, planned: Sequence[str], done: Sequence[str]) -> str:
    missing = [stack for stack in planned if stack not in done]
    return (
        f"deployed: {', '.join(f'{prefix}-{s}' for s in done) or 'none'}; "
        f"still to do: {', '.join(f'{prefix}-{s}' for s in missing)}; a new deploy goes on from there"
    )


def _advice(said: str) -> str:
    """One line for what the CLI printed."""
    message = " ".join(said.split())
    for pattern, advice in ADVICE:
        if found := re.search(pattern, message):
            return advice.format(message=message, **found.groupdict())
    return re.sub(r"^An error occurred \((\w+)\) when calling the (\w+) operation: ", r"\2: ", message)


def _outputs(description: Mapping[str, object]) -> dict[str, str]:
    return {each["OutputKey"]: each["OutputValue"] for each in _list(description.get("Outputs"))}


def _list(value: object) -> list[dict[str, str]]:
    return value if isinstance(value, list) else []


def _program() -> str:
    folder = ROOT / ".venv-awscli"
    own = folder / "Scripts" / "aws.cmd" if sys.platform == "win32" else folder / "bin" / "aws"
    found = str(own) if own.exists() else shutil.which("aws")
    if found is None:
        raise AwsError("the AWS CLI is not installed: run dev/bootstrap, or put `aws` on PATH")
    return found


def read_environment(file: Path | None) -> dict[str, str]:
    """This process's environment, and what a file of KEY=VALUE lines (such as .dev/env) adds to it.

    Raises:
        AwsError: when the file cannot be read.
    """
    if file is None:
        return dict(os.environ)
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise AwsError(f"cannot read {file}: {error.strerror}") from error
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return dict(os.environ) | {key.strip(): value.strip() for key, value in pairs}
