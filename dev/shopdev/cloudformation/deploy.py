"""Creating and updating the stacks by `aws cloudformation deploy`, in order, with progress and advice."""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from shopdev.cloudformation import awscli, stacks
from shopdev.cloudformation.awscli import AwsCli, AwsError
from shopdev.cloudformation.outputs import deployed, outputs_of
from shopdev.cloudformation.together import Outcome, Say, together
from shopdev.lambdas import built

# What `deploy` itself fills in.
FILLED_IN = frozenset({"Prefix", *built.PARAMETERS.values()})


def deploy(cli: AwsCli, prefix: str, values: Mapping[str, str], say: Say, chosen: Sequence[str] = ()) -> None:
    """Create or update stacks, in order; what is up to date already stays as it is.

    Args:
        cli: where to.
        prefix: first part of every name.
        values: parameters; each stack gets those that it declares.
        say: gets a line per stack, and one now and then about a stack that takes long.
        chosen: which stacks; all of the shop's by default, less those that wait for a parameter.

    Raises:
        AwsError: names what is missing, before anything is touched; or the stacks that failed and why, and what became of
            the others.
        Interrupted: names what CloudFormation goes on with.
    """
    refuse_unknown(chosen)
    waves = _waves(cli, chosen, values, prefix, say)
    planned = [stack for wave in waves for stack in wave]
    existing = deployed(cli, prefix)
    _refuse_missing(prefix, [stack for stack in planned if stack not in existing], values)
    for stack in planned:
        if stack in existing:
            _refuse_stuck(prefix, stack, str(existing[stack]["StackStatus"]))
    started = time.monotonic()
    done: list[str] = []
    say(
        f"deploying {len(planned)} stacks to {'the emulator' if cli.local else 'AWS'}; a new stack takes about "
        f"{'a second' if cli.local else 'a minute'}"
    )

    def ended(name: str, outcome: Outcome) -> None:
        if isinstance(outcome, str):
            done.append(name)
            say(f"[{len(done)}/{len(planned)}] {name} {outcome}")

    for wave in waves:
        work = {f"{prefix}-{stack}": partial(_deploy_one, cli, prefix, stack, values) for stack in wave}
        outcomes = together(cli, work, ended, say)
        if failed := {name: error for name, error in outcomes.items() if isinstance(error, AwsError)}:
            raise AwsError(_what_became(cli, prefix, planned, done, failed))
    if not cli.local and (silent := _without_topic(planned, existing, values)):
        names = ", ".join(f"{prefix}-{stack}" for stack in silent)
        say(
            f"alarms are not sent: {names} {'has' if len(silent) == 1 else 'have'} no {stacks.ALARM_TOPIC}; "
            f"add --set {stacks.ALARM_TOPIC}=…"
        )
    say(f"all up to date in {time.monotonic() - started:.1f} s")


def refuse_unknown(chosen: Sequence[str]) -> None:
    """Look whether there are such stacks.

    Raises:
        AwsError: names those that there are.
    """
    if unknown := set(chosen) - set(stacks.ALL):
        raise AwsError(f"unknown stack: {', '.join(sorted(unknown))}; known stacks: {', '.join(stacks.ALL)}")


def _without_topic(
    planned: Sequence[str], existing: Mapping[str, Mapping[str, object]], values: Mapping[str, str]
) -> list[str]:
    """The stacks with alarms that nobody gets. A stack that is there already keeps the topic that it has."""
    return [
        stack
        for stack in planned
        if stacks.ALARM_TOPIC in stacks.document(stack)["Parameters"]
        and not values.get(
            stacks.ALARM_TOPIC, awscli.parameters_of(existing.get(stack, {})).get(stacks.ALARM_TOPIC)
        )
    ]


def _waves(
    cli: AwsCli, chosen: Sequence[str], values: Mapping[str, str], prefix: str, say: Say
) -> list[list[str]]:
    """The stacks to deploy, in waves: the chosen ones, or all of the shop's less those that wait."""
    waiting = {
        stack: " or ".join(f"{name}=…" for name in names) for stack, names in stacks.waiting(values).items()
    }
    for stack in [stack for stack in waiting if stack in chosen]:
        raise AwsError(
            f"{prefix}-{stack} requires {waiting[stack]}: add --set {waiting[stack].split(' or ')[0]}"
        )
    for stack in [] if chosen else waiting:
        say(
            f"{prefix}-{stack} skipped: run `dev/aws deploy {stack} --set {waiting[stack]}` when the value is known"
        )
    wanted = chosen or [stack for stack in stacks.of_the_shop(local=cli.local) if stack not in waiting]
    waves = [[stack for stack in wave if stack in wanted] for wave in (*stacks.WAVES, *stacks.PLATFORM)]
    return [wave for wave in waves if wave]


def _refuse_missing(prefix: str, new: Sequence[str], values: Mapping[str, str]) -> None:
    """An existing stack keeps the values that it has; a new one needs all that have no default."""
    missing = {
        stack: [
            name
            for name, parameter in stacks.document(stack)["Parameters"].items()
            if "Default" not in parameter and name not in FILLED_IN and name not in values
        ]
        for stack in new
    }
    sentences = [f"{prefix}-{stack} requires {', '.join(names)}" for stack, names in missing.items() if names]
    if sentences:
        flags = " ".join(f"--set {name}=…" for names in missing.values() for name in names)
        raise AwsError(f"{'; '.join(sentences)}: add {flags}, or add them to the file of --parameters")


def _deploy_one(cli: AwsCli, prefix: str, stack: str, given: Mapping[str, str]) -> str:
    started = time.monotonic()
    name = f"{prefix}-{stack}"
    if stack in stacks.WITH_CODE:
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
                *_on_behalf(cli, prefix, stack),
                *("--parameter-overrides", *(f"{key}={value}" for key, value in pairs.items())),
            )
        except AwsError as error:
            # Only then do the stack's events tell of this deploy, and not of one before it.
            reason = cli.first_failure(name) if awscli.STACK_FAILED in str(error) else ""
            raise AwsError(reason or str(error)) from error
    what = "unchanged" if "No changes to deploy" in said else "deployed"
    return f"{what} in {time.monotonic() - started:.1f} s"


def _on_behalf(cli: AwsCli, prefix: str, stack: str) -> Iterator[str]:
    """The role by which CloudFormation works on the functions' stacks, so that a pipeline needs no rights like its own.

    Raises:
        AwsError: when the stack of artifacts is from before there was such a role.
    """
    if stack not in stacks.OF_FUNCTIONS or cli.local:
        return
    role = outputs_of(cli, prefix, "artifacts").get("FunctionsStackRoleArn")
    if role is None:
        raise AwsError(
            f"run `dev/aws deploy --prefix {prefix} artifacts` first: it creates the required role"
        )
    yield from ("--role-arn", role)


def _uploaded_functions(cli: AwsCli, prefix: str) -> dict[str, str]:
    """The functions' code, in the bucket under a name that is its content's, as parameters."""
    try:
        keys = built.keys()
    except built.NotBuilt as error:
        raise AwsError(str(error)) from error
    bucket = outputs_of(cli, prefix, "artifacts")["BucketName"]
    question = ("list-objects-v2", "--bucket", bucket, "--prefix", "functions/", "--output", "json")
    present = {
        each["Key"] for each in json.loads(cli.run(*question, service="s3api") or "{}").get("Contents", [])
    }
    for file, key in keys.items():
        if key not in present:
            cli.run("cp", "--only-show-errors", str(file), f"s3://{bucket}/{key}", service="s3")
    return built.parameters(keys)


def _endpoint_for_functions(cli: AwsCli, prefix: str) -> dict[str, str]:
    """Where an emulator is for its own functions; see `values`."""
    if not cli.local:
        return {}
    queue = urlsplit(outputs_of(cli, prefix, "product")["TasksQueueUrl"])
    return {"EndpointUrl": f"{queue.scheme}://{queue.netloc}"}


def _refuse_stuck(prefix: str, stack: str, state: str) -> None:
    if way_on := _way_on(prefix, stack, state):
        raise AwsError(f"{prefix}-{stack} is in {state}: {way_on}, then deploy again")
    if state.endswith("_IN_PROGRESS"):
        raise AwsError(
            f"{prefix}-{stack} is in {state}: wait until CloudFormation has finished, then try again"
        )


def _way_on(prefix: str, stack: str, state: str) -> str:
    """What to do about a stack that cannot be updated; nothing where it can be, or soon can."""
    if state in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}:
        return f"run `dev/aws delete --prefix {prefix} {stack}`"
    if state == "UPDATE_ROLLBACK_FAILED":
        return f"run `aws cloudformation continue-update-rollback --stack-name {prefix}-{stack}`"
    return ""


def _what_became(
    cli: AwsCli, prefix: str, planned: Sequence[str], done: Sequence[str], failed: Mapping[str, AwsError]
) -> str:
    """One line: why, what is deployed, in which state the failed ones are, what is still to do, and how to go on."""
    names_by_reason: dict[str, list[str]] = {}
    for name, error in failed.items():
        names_by_reason.setdefault(str(error), []).append(name)
    reasons = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in names_by_reason.items())
    states = _states(cli, prefix)
    ways_on = [
        way_on
        for stack in planned
        if f"{prefix}-{stack}" in failed and (way_on := _way_on(prefix, stack, states.get(stack, "")))
    ]
    in_states = (f"{name} ({states.get(name.removeprefix(f'{prefix}-'), 'absent')})" for name in failed)
    waiting = [name for stack in planned if (name := f"{prefix}-{stack}") not in done and name not in failed]
    return (
        f"{reasons} (deployed: {', '.join(done) or 'none'}; failed: {', '.join(in_states)}; "
        f"not started: {', '.join(waiting) or 'none'}; "
        f"{' and '.join(ways_on) + ', then ' if ways_on else ''}run the same command to continue)"
    )


def _states(cli: AwsCli, prefix: str) -> dict[str, str]:
    """Stack -> its state; nothing when AWS cannot be asked, which is then why the deploy failed too."""
    try:
        return {stack: str(each["StackStatus"]) for stack, each in cli.describe(prefix).items()}
    except AwsError:
        return {}
