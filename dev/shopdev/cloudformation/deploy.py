"""Creating and updating the stacks with change sets, in order, with progress and advice."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import WaiterError

from shopdev.cloudformation import stacks
from shopdev.cloudformation.account import (
    Account,
    AwsError,
    advice,
    advising,
    parameters_of,
    request_parameters,
)
from shopdev.cloudformation.follow import Running, Say, follow, naming
from shopdev.cloudformation.outputs import deployed, outputs_of_stack
from shopdev.lambdas import built

# Parameters that a deployment fills in itself.
FILLED_IN = frozenset({"Prefix", *built.PARAMETERS.values()})
DEPLOYED = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
# How CloudFormation words that a change set is empty.
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
Existing = Mapping[str, Mapping[str, Any]]
"""Stack -> its description."""


def deploy(
    account: Account, prefix: str, values: Mapping[str, str], say: Say, chosen: Sequence[str] = ()
) -> None:
    """Create or update stacks, in order; a stack without changes stays as it is.

    Args:
        account: where to.
        prefix: first part of every name.
        values: parameters; each stack gets those that it declares.
        say: gets a line per stack, and one every few seconds about a stack that takes long.
        chosen: which stacks; by default those of the shop, except those that wait for a parameter.

    Raises:
        AwsError: before anything is changed, names what is missing; later, the stacks that failed and why, and the state of
            the others.
        Interrupted: names the stacks that CloudFormation still works on.
    """
    refuse_unknown(chosen)
    waves = _waves(account, chosen, values, prefix, say)
    planned = [stack for wave in waves for stack in wave]
    existing = deployed(account, prefix)
    _refuse_missing(prefix, [stack for stack in planned if stack not in existing], values)
    for stack in planned:
        if stack in existing:
            _refuse_stuck(prefix, stack, str(existing[stack]["StackStatus"]))
    started = time.monotonic()
    say(
        f"deploying {len(planned)} stacks to {'the emulator' if account.local else 'AWS'}; a new stack takes about "
        f"{'a second' if account.local else 'a minute'}"
    )
    deployment = _Deployment(account, prefix, values, existing, len(planned), say)
    for wave in waves:
        deployment.deploy(wave)
        if deployment.failed:
            raise AwsError(_what_became(account, prefix, planned, deployment))
    if not account.local and (silent := _without_topic(planned, existing, values)):
        names = ", ".join(f"{prefix}-{stack}" for stack in silent)
        say(
            f"alarms are not sent: {names} {'has' if len(silent) == 1 else 'have'} no {stacks.ALARM_TOPIC}; "
            f"add --set {stacks.ALARM_TOPIC}=…"
        )
    say(f"all up to date in {time.monotonic() - started:.1f} s")


def refuse_unknown(chosen: Sequence[str]) -> None:
    """Check the names of stacks.

    Raises:
        AwsError: for an unknown name; lists the known ones.
    """
    if unknown := set(chosen) - set(stacks.ALL):
        raise AwsError(f"unknown stack: {', '.join(sorted(unknown))}; known stacks: {', '.join(stacks.ALL)}")


def _without_topic(planned: Sequence[str], existing: Existing, values: Mapping[str, str]) -> list[str]:
    """The stacks whose alarms have no topic. An existing stack keeps its topic."""
    return [
        stack
        for stack in planned
        if stacks.ALARM_TOPIC in stacks.declared(stack)
        and not values.get(stacks.ALARM_TOPIC, parameters_of(existing.get(stack, {})).get(stacks.ALARM_TOPIC))
    ]


def _waves(
    account: Account, chosen: Sequence[str], values: Mapping[str, str], prefix: str, say: Say
) -> list[list[str]]:
    """The stacks to deploy, in waves: the chosen ones, or those of the shop that wait for no parameter."""
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
    if stacks.FAULTS in chosen and not account.local:
        raise AwsError(
            f"{prefix}-{stacks.FAULTS} is for a demo: faults can be switched on in the emulator only, not on AWS"
        )
    wanted = chosen or [stack for stack in stacks.of_the_shop(local=account.local) if stack not in waiting]
    waves = [[stack for stack in wave if stack in wanted] for wave in stacks.ALL_WAVES]
    return [wave for wave in waves if wave]


def _refuse_missing(prefix: str, new: Sequence[str], values: Mapping[str, str]) -> None:
    """An existing stack keeps its values; a new one needs every parameter without a default."""
    missing = {
        stack: [
            name
            for name, parameter in stacks.declared(stack).items()
            if "Default" not in parameter and name not in FILLED_IN and name not in values
        ]
        for stack in new
    }
    sentences = [f"{prefix}-{stack} requires {', '.join(names)}" for stack, names in missing.items() if names]
    if sentences:
        flags = " ".join(f"--set {name}=…" for names in missing.values() for name in names)
        raise AwsError(f"{'; '.join(sentences)}: add {flags}, or add them to the file of --parameters")


@dataclass
class _Deployment:
    """The deployment of several waves of stacks, and its result so far."""

    account: Account
    prefix: str
    values: Mapping[str, str]
    existing: Existing
    total: int
    say: Say
    done: list[str] = field(default_factory=list)
    failed: dict[str, AwsError] = field(default_factory=dict)

    def deploy(self, wave: Sequence[str]) -> None:
        """Deploy the stacks of one wave at the same time.

        Raises:
            Interrupted: names the stacks that CloudFormation still works on.
        """
        running: Running = {}
        with naming(running):
            for stack in wave:
                name, began = f"{self.prefix}-{stack}", time.monotonic()
                try:
                    if self._begin(stack):
                        running[name] = began
                    else:
                        self._succeeded(name, "unchanged", time.monotonic() - began)
                except AwsError as error:
                    self.failed[name] = error
            follow(self.account, running, self._ended, self.say)

    def _begin(self, stack: str) -> bool:
        """Begin to create or update a stack; False if it would not change.

        Raises:
            AwsError: when CloudFormation refuses it.
        """
        account, values = self.account, {**self.values, "Prefix": self.prefix}
        if stack in stacks.WITH_CODE:
            values |= _uploaded_functions(account, self.prefix) | _endpoint_for_functions(
                account, self.prefix
            )
        given = stacks.parameters(stack, values)
        declared = stacks.declared(stack).keys()
        kept = parameters_of(self.existing.get(stack, {})).keys() & declared - given.keys()
        with advising():
            change_set = account.cloudformation.create_change_set(
                StackName=f"{self.prefix}-{stack}",
                ChangeSetName=f"deploy-{time.time_ns()}",
                ChangeSetType="UPDATE" if stack in self.existing else "CREATE",
                TemplateBody=stacks.body(stack),
                Parameters=request_parameters(given, kept),
                Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
                **_on_behalf(account, self.prefix, stack),
            )["Id"]
            if not _has_changes(account, change_set):
                return False
            account.cloudformation.execute_change_set(ChangeSetName=change_set)
        return True

    def _ended(self, name: str, state: str | AwsError, seconds: float) -> None:
        if isinstance(state, AwsError):
            self.failed[name] = state
        elif state in DEPLOYED:
            self._succeeded(name, "deployed", seconds)
        else:
            self.failed[name] = AwsError(self.account.first_failure(name) or state)

    def _succeeded(self, name: str, what: str, seconds: float) -> None:
        self.done.append(name)
        self.say(f"[{len(self.done)}/{self.total}] {name} {what} in {seconds:.1f} s")


def _has_changes(account: Account, change_set: str) -> bool:
    """Wait until a change set can be executed; False if it is empty.

    Raises:
        AwsError: when CloudFormation refuses it.
    """
    try:
        account.cloudformation.get_waiter("change_set_create_complete").wait(
            ChangeSetName=change_set, WaiterConfig={"Delay": 1, "MaxAttempts": 600}
        )
    except WaiterError as error:
        reason = str(error.last_response.get("StatusReason", error))
        if any(words in reason for words in NO_CHANGES):
            return False
        raise AwsError(advice(reason)) from error
    return True


def _on_behalf(account: Account, prefix: str, stack: str) -> dict[str, Any]:
    """The role with which CloudFormation changes the stacks of functions, so that a pipeline needs no such permissions.

    Raises:
        AwsError: when the stack of artifacts is older than this role.
    """
    if stack not in stacks.OF_FUNCTIONS or account.local:
        return {}
    role = outputs_of_stack(account, prefix, "artifacts").get("FunctionsStackRoleArn")
    if role is None:
        raise AwsError(
            f"run `dev/aws deploy --prefix {prefix} artifacts` first: it creates the required role"
        )
    return {"RoleARN": role}


def _uploaded_functions(account: Account, prefix: str) -> dict[str, str]:
    """Upload the code of the functions, with keys that name its content, and return the keys as parameters."""
    try:
        keys = built.keys()
    except built.NotBuilt as error:
        raise AwsError(str(error)) from error
    bucket = outputs_of_stack(account, prefix, "artifacts")["BucketName"]
    with advising():
        pages = account.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="functions/")
        present = {each["Key"] for page in pages for each in page.get("Contents", [])}
        for file, key in keys.items():
            if key not in present:
                account.s3.upload_file(str(file), bucket, key)
    return built.parameters(keys)


def _endpoint_for_functions(account: Account, prefix: str) -> dict[str, str]:
    """The address of an emulator for its own functions; see `outputs.values`."""
    if not account.local:
        return {}
    queue = urlsplit(outputs_of_stack(account, prefix, "product")["TasksQueueUrl"])
    return {"EndpointUrl": f"{queue.scheme}://{queue.netloc}"}


def _refuse_stuck(prefix: str, stack: str, state: str) -> None:
    if way_on := _way_on(prefix, stack, state):
        raise AwsError(f"{prefix}-{stack} is in {state}: {way_on}, then deploy again")
    if state.endswith("_IN_PROGRESS"):
        raise AwsError(
            f"{prefix}-{stack} is in {state}: wait until CloudFormation has finished, then try again"
        )


def _way_on(prefix: str, stack: str, state: str) -> str:
    """Instructions for a stack that cannot be updated; empty if an update is possible now or soon."""
    if state in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}:
        return f"run `dev/aws delete --prefix {prefix} {stack}`"
    if state == "UPDATE_ROLLBACK_FAILED":
        return f"run `aws cloudformation continue-update-rollback --stack-name {prefix}-{stack}`"
    return ""


def _what_became(account: Account, prefix: str, planned: Sequence[str], deployment: _Deployment) -> str:
    """One line: the reasons, what is deployed, the states of the failed stacks, what is not started, and how to continue."""
    done, failed = deployment.done, deployment.failed
    names_by_reason: dict[str, list[str]] = {}
    for name, error in failed.items():
        names_by_reason.setdefault(str(error), []).append(name)
    reasons = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in names_by_reason.items())
    states = _states(account, prefix)
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


def _states(account: Account, prefix: str) -> dict[str, str]:
    """Stack -> its state; empty when AWS does not respond, which then is the reason of the failure too."""
    try:
        return {stack: str(each["StackStatus"]) for stack, each in account.describe(prefix).items()}
    except AwsError:
        return {}
