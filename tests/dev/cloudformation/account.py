"""An AWS account whose CloudFormation is slow or fails as a test requires, which the emulator cannot do.

Its clients are those of boto3: parameters are validated, and paginators and waiters work, but no request is sent.
"""

import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from shopdev.cloudformation.account import Account


class FakeAccount(Account):
    """The account.

    Args:
        stacks: name of a stack -> its state.
        parameters: parameters of every stack.
    """

    def __init__(self, stacks: Mapping[str, str], parameters: Mapping[str, str] | None = None) -> None:
        super().__init__(boto3.Session("id", "secret", region_name="eu-central-1"))
        self.stacks = dict(stacks)
        self.parameters = dict(parameters or {})
        self.resources: dict[str, dict[str, str]] = {}
        """Stack -> id of a remaining resource -> its type."""
        self.outputs: dict[str, str] = {}
        self.failing: dict[str, str] = {}
        """Stack -> reason why its resource Thing fails."""
        self.refusing: dict[str, str] = {}
        """Stack -> code of the error with which AWS refuses to change it."""
        self.states_after: dict[str, str] = {}
        """Stack -> the state that its failure leaves it in."""
        self.objects: list[str] = []
        """Every object in every bucket."""
        self.requests: list[tuple[str, dict[str, Any]]] = []
        """Operation and parameters of each request."""
        self.waiting = threading.Event()
        """Set when a client asks for the state of a slow stack."""
        self.slow: dict[str, threading.Event] = {}
        """Stack -> event for which its deployment waits."""

    def client(self, service: str) -> Any:
        made = self.session.client(service)  # type: ignore[call-overload]  # any name
        made._make_api_call = partial(self._called, made)
        return made

    def ran(self, operation: str, **parameters: object) -> list[dict[str, Any]]:
        """The parameters of the requests of an operation that contain these parameters."""
        return [
            given
            for name, given in self.requests
            if name == operation and parameters.items() <= {key: given.get(key) for key in parameters}.items()
        ]

    def _called(self, client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        shape = client.meta.service_model.operation_model(operation).input_shape
        report = ParamValidator().validate(parameters, shape)
        assert not report.has_errors(), report.generate_report()
        self.requests.append((operation, parameters))
        name = parameters.get("StackName", "")
        if operation in {"CreateChangeSet", "DeleteStack", "UpdateStack"} and name in self.refusing:
            raise refusal(operation, self.refusing[name])
        answer = getattr(self, f"_{xform_name(operation)}", None)
        return answer(name, parameters) if answer else {}

    def _describe_stacks(self, name: str, _parameters: dict[str, Any]) -> Any:
        if name in self.slow and not self.slow[name].is_set():
            self.waiting.set()
        else:
            self._end(name)
        if name and name not in self.stacks:
            raise refusal("DescribeStacks", "ValidationError", f"Stack with id {name} does not exist")
        pairs = [{"ParameterKey": key, "ParameterValue": value} for key, value in self.parameters.items()]
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in self.outputs.items()]
        return {
            "Stacks": [
                {"StackName": each, "StackStatus": state, "Parameters": pairs, "Outputs": outputs}
                for each, state in self.stacks.items()
                if name in {"", each}
            ]
        }

    def _create_change_set(self, name: str, _parameters: dict[str, Any]) -> Any:
        self.stacks.setdefault(name, "REVIEW_IN_PROGRESS")
        return {"Id": name}

    def _describe_change_set(self, _name: str, _parameters: dict[str, Any]) -> Any:
        return {"Status": "CREATE_COMPLETE"}

    def _execute_change_set(self, _name: str, parameters: dict[str, Any]) -> Any:
        name = parameters["ChangeSetName"]
        new = self.stacks[name] == "REVIEW_IN_PROGRESS"
        self.stacks[name] = "CREATE_IN_PROGRESS" if new else "UPDATE_IN_PROGRESS"

    def _update_stack(self, name: str, _parameters: dict[str, Any]) -> Any:
        self.stacks[name] = "UPDATE_IN_PROGRESS"

    def _delete_stack(self, name: str, _parameters: dict[str, Any]) -> Any:
        self.stacks[name] = "DELETE_IN_PROGRESS"

    def _end(self, name: str) -> None:
        """Complete the operation on a stack."""
        verb, _, in_progress = self.stacks.get(name, "").partition("_")
        if in_progress != "IN_PROGRESS" or verb == "REVIEW":
            return
        if name in self.failing:
            self.stacks[name] = self.states_after.get(name, "UPDATE_ROLLBACK_COMPLETE")
        elif verb == "DELETE":
            del self.stacks[name]
        else:
            self.stacks[name] = f"{verb}_COMPLETE"

    def _describe_stack_events(self, name: str, _parameters: dict[str, Any]) -> Any:
        failed = {
            "LogicalResourceId": "Thing",
            "ResourceStatus": "UPDATE_FAILED",
            "ResourceStatusReason": self.failing.get(name, "an old story"),
        }
        begun = {"LogicalResourceId": name, "ResourceStatus": "UPDATE_IN_PROGRESS"}
        return {"StackEvents": [failed, begun]}

    def _list_stack_resources(self, name: str, _parameters: dict[str, Any]) -> Any:
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

    def _list_object_versions(self, _name: str, parameters: dict[str, Any]) -> Any:
        most = parameters["MaxKeys"]
        return {"Versions": [{"Key": key, "VersionId": "1"} for key in self.objects[:most]]}

    def _delete_objects(self, _name: str, parameters: dict[str, Any]) -> Any:
        gone = {each["Key"] for each in parameters["Delete"]["Objects"]}
        assert len(gone) <= 1000, "AWS takes no more at once"
        self.objects = [key for key in self.objects if key not in gone]
        return {}


def refusal(operation: str, code: str, message: str = "refused") -> ClientError:
    """The error that boto3 raises when AWS refuses a request."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)
