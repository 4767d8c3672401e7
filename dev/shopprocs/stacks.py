"""Which CloudFormation stacks there are, in which order, and which of their outputs become whose environment.

Nothing here talks to AWS: `deploy` does it with the AWS CLI, `emulator` with boto3 for a start within seconds.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "manifests" / "aws"
SERVICES = ("product", "order", "payment", "shipping")
# Each wave needs what the waves before it export; the stacks within one are independent.
WAVES = (("events",), SERVICES, ("saga",))
STACKS = tuple(stack for wave in WAVES for stack in wave)
# What a service needs and no stack knows: which outside partner it talks to.
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "payment": {"PROVIDER": "sandbox"},
    "shipping": {"CARRIER": "sandbox"},
}

Outputs = Mapping[str, Mapping[str, str]]
"""Stack -> output -> value."""


def template(stack: str) -> str:
    """The text to send to CloudFormation: a file that the template refers to is put in its place.

    `aws cloudformation package` does the same, but needs a bucket for it.
    """

    def inline(reference: re.Match[str]) -> str:
        return "DefinitionString: " + json.dumps((FOLDER / reference["file"]).read_text(encoding="utf-8"))

    text = (FOLDER / f"{stack}.yaml").read_text(encoding="utf-8")
    return re.sub(r"DefinitionS3Location: (?P<file>\S+)", inline, text)


def document(stack: str) -> dict[str, Any]:
    """The same as data, with `!Sub x` read as `{"Fn::Sub": "x"}`."""
    loaded: dict[str, Any] = yaml.load(template(stack), Loader=_TemplateLoader)  # noqa: S506  a safe loader
    return loaded


def parameters(stack: str, values: Mapping[str, str]) -> dict[str, str]:
    """Those of `values` that the stack has a parameter for."""
    declared = document(stack)["Parameters"]
    return {name: value for name, value in values.items() if name in declared}


def environment(service: str, outputs: Outputs) -> dict[str, str]:
    """What the stacks' outputs put into the environment of a service's processes.

    A service gets its own stack's outputs, except for ARNs, which are for other stacks and for roles; the topic; and
    the order service the workflow that it starts. `TasksQueueUrl` becomes `TASKS_QUEUE_URL`.

    Raises:
        KeyError: names the stack or the output that is missing.
    """
    own = {name: value for name, value in outputs[service].items() if not name.endswith("Arn")}
    shared = {"EventsTopicArn": outputs["events"]["EventsTopicArn"]}
    if service == "order":
        shared["StateMachineArn"] = outputs["saga"]["StateMachineArn"]
    found = {_upper_snake(name): value for name, value in (own | shared).items()}
    return dict(sorted((found | dict(SETTINGS.get(service, {}))).items()))


def _upper_snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()


class _TemplateLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short functions."""


def _function(loader: _TemplateLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    if isinstance(node, yaml.MappingNode):
        return {name: loader.construct_mapping(node, deep=True)}
    value = loader.construct_object(yaml.ScalarNode("tag:yaml.org,2002:str", node.value))
    return {name: value.split(".", 1) if suffix == "GetAtt" else value}


_TemplateLoader.add_multi_constructor("!", _function)
