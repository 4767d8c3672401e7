"""An AWS account whose CloudFormation ends as a test says: no emulator is slow, or fails half-way, when it is asked to."""

import json
import threading
from collections.abc import Mapping
from typing import Any

from shopdev.cloudformation.awscli import AwsCli, AwsError

CLI_GAVE_UP = "Waiter StackDeleteComplete failed: Waiter encountered a terminal failure state"
CLI_FAILED = "Failed to create/update the stack. Run the following command to fetch the list of events"


class Account(AwsCli):
    """The AWS CLI of such an account.

    Args:
        stacks: name of a stack -> its state.
        parameters: of every stack.
    """

    def __init__(self, stacks: Mapping[str, str], parameters: Mapping[str, str] | None = None) -> None:
        super().__init__({"AWS_REGION": "eu-central-1"})
        self.stacks = dict(stacks)
        self.parameters = dict(parameters or {})
        self.resources: dict[str, dict[str, str]] = {}
        """Stack -> id of a resource that is left of it -> its type."""
        self.outputs: dict[str, str] = {}
        self.failing: dict[str, str] = {}
        """Stack -> why its resource Thing fails; or, beginning with `aws: `, what the CLI says before there is a stack."""
        self.states_after: dict[str, str] = {}
        """Stack -> the state that its failure leaves it in."""
        self.objects: list[str] = []
        """Every object in every bucket."""
        self.commands: list[str] = []
        self.begun = threading.Event()
        """Set with the first deployment."""
        self.slow: dict[str, threading.Event] = {}
        """Stack -> what its deployment waits for."""

    def run(self, *arguments: str, service: str = "cloudformation") -> str:
        command = " ".join([service, *arguments])
        self.commands.append(command)
        name = arguments[arguments.index("--stack-name") + 1] if "--stack-name" in arguments else ""
        answer = getattr(self, f"_{arguments[0].replace('-', '_')}", None)
        found = answer(name, arguments) if answer else ""
        return found if isinstance(found, str) else json.dumps(found)

    def stop(self) -> None:
        for event in self.slow.values():
            event.set()

    def ran(self, word: str) -> list[str]:
        """The commands with a word in them."""
        return [command for command in self.commands if word in command]

    def _describe_stacks(self, _name: str, _arguments: tuple[str, ...]) -> Any:
        pairs = [{"ParameterKey": key, "ParameterValue": value} for key, value in self.parameters.items()]
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in self.outputs.items()]
        return {
            "Stacks": [
                {"StackName": name, "StackStatus": state, "Parameters": pairs, "Outputs": outputs}
                for name, state in self.stacks.items()
            ]
        }

    def _deploy(self, name: str, _arguments: tuple[str, ...]) -> str:
        self.begun.set()
        if name in self.slow:
            assert self.slow[name].wait(30)
        self._fail(name, CLI_FAILED)
        self.stacks[name] = "UPDATE_COMPLETE" if name in self.stacks else "CREATE_COMPLETE"
        return "Successfully created/updated stack"

    def _delete_stack(self, name: str, _arguments: tuple[str, ...]) -> str:
        if self.failing.get(name, "").startswith("aws: "):
            raise AwsError(self.failing[name].removeprefix("aws: "))
        self.stacks[name] = "DELETE_IN_PROGRESS"
        return ""

    def _wait(self, name: str, arguments: tuple[str, ...]) -> str:
        self._fail(name, CLI_GAVE_UP)
        if arguments[1] == "stack-delete-complete":
            del self.stacks[name]
        return ""

    def _fail(self, name: str, said: str) -> None:
        reason = self.failing.get(name, "")
        if reason.startswith("aws: "):
            raise AwsError(reason.removeprefix("aws: "))
        if reason:
            self.stacks[name] = self.states_after.get(name, "UPDATE_ROLLBACK_COMPLETE")
            raise AwsError(said)

    def _describe_stack_events(self, name: str, _arguments: tuple[str, ...]) -> Any:
        failed = {
            "LogicalResourceId": "Thing",
            "ResourceStatus": "UPDATE_FAILED",
            "ResourceStatusReason": self.failing.get(name, "an old story"),
        }
        begun = {"LogicalResourceId": name, "ResourceStatus": "UPDATE_IN_PROGRESS"}
        return {"StackEvents": [failed, begun]}

    def _list_stack_resources(self, name: str, _arguments: tuple[str, ...]) -> Any:
        return {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": "Thing",
                    "PhysicalResourceId": resource,
                    "ResourceType": kind,
                    "ResourceStatus": "DELETE_FAILED",
                }
                for resource, kind in self.resources.get(name, {}).items()
            ]
        }

    def _list_object_versions(self, _name: str, arguments: tuple[str, ...]) -> Any:
        most = int(arguments[arguments.index("--max-keys") + 1])
        return {"Versions": [{"Key": key, "VersionId": "1"} for key in self.objects[:most]]}

    def _delete_objects(self, _name: str, arguments: tuple[str, ...]) -> str:
        file = arguments[arguments.index("--delete") + 1].removeprefix("file://")
        with open(file, encoding="utf-8") as listed:  # noqa: PTH123 - an address of the CLI's, not a path
            gone = {each["Key"] for each in json.load(listed)["Objects"]}
        assert len(gone) <= 1000, "AWS takes no more at once"
        self.objects = [key for key in self.objects if key not in gone]
        return ""
