"""The CloudFormation stacks, the order of their deployment, and the outputs that become environment of the services.

This module makes no request to AWS; `deploy` does.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import yaml

from shopdev.aws_environment import EMULATOR_KEY
from shopdev.checkout import ROOT, SERVICES, STOREFRONT

FOLDER = ROOT / "manifests" / "aws"
# The stacks of a wave import exports of earlier waves only.
WAVES = (
    ("network",),
    ("events", "tokens", "identity", STOREFRONT, "discovery", "artifacts"),
    SERVICES,
    ("saga",),
    ("functions", "functions-catalogue", "functions-partners"),
    ("api",),
)
STACKS = tuple(stack for wave in WAVES for stack in wave)
# Compute, delivery and operations. The emulator does not support the resources of these stacks.
PLATFORM = (
    ("ecs-capacity",),
    ("eks", "ecs", "reconciler", "slo", "tracing"),
    ("collector", "pipeline", "ecs-storefront"),
)
# The stack of the fault switchboard. It exists in the emulator only.
FAULTS = "faults"
# All stacks, in the order of their deployment.
ALL_WAVES = (*WAVES, (FAULTS,), *PLATFORM)
ALL = tuple(stack for wave in ALL_WAVES for stack in wave)
# The stacks that are deployed to AWS by default. On AWS the reconciler is a function; with the emulator, a CronJob of charts/shop.
ON_AWS = (*STACKS, "reconciler", "slo", "tracing")
# The topic of the alarms; without it they are not sent.
ALARM_TOPIC = "AlarmTopicArn"
# The stacks of functions that a pipeline delivers. CloudFormation changes them with a separate role.
OF_FUNCTIONS = ("functions", "functions-catalogue", "functions-partners")
# The stacks of functions whose code is in the bucket of artifacts.
WITH_CODE = (*OF_FUNCTIONS, "reconciler")
# The stacks of most tests: the code of the functions is large, and they handle every event.
WITHOUT_FUNCTIONS = tuple(stack for stack in STACKS if stack not in WITH_CODE)
# Parameters of which a stack needs one; without it, the stack is skipped.
ONE_OF: Mapping[str, tuple[str, ...]] = {"api": ("BackendUrl", "ListenerArn")}
# Settings of a service that no stack has: the external partner that it uses.
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "payment": {"PROVIDER": "sandbox"},
    "shipping": {"CARRIER": "sandbox"},
    STOREFRONT: {"SANDBOX": "true"},
}

# The outputs of the identity stack that a sign-in needs.
SIGN_IN = ("UserPoolId", "WebClientId", "OpsClientId", "Issuer", "AuthorizeUrl", "TokenUrl")

Outputs = Mapping[str, Mapping[str, str]]
"""Stack -> output -> value."""


def template(stack: str) -> str:
    """The text of a template, in which the content of a referenced file replaces the reference.

    `aws cloudformation package` does the same, but needs a bucket.
    """

    def inline(reference: re.Match[str]) -> str:
        return "DefinitionString: " + json.dumps((FOLDER / reference["file"]).read_text(encoding="utf-8"))

    text = (FOLDER / f"{stack}.yaml").read_text(encoding="utf-8")
    return re.sub(r"DefinitionS3Location: (?P<file>\S+)", inline, text)


def body(stack: str) -> str:
    """The template as a request contains it: JSON without spaces and comments, which would count toward its size limit."""
    return _as_json(template(stack))


def document(stack: str) -> dict[str, Any]:
    """The template as data, with `!Sub x` read as `{"Fn::Sub": "x"}` and every `Fn::ForEach` of resources expanded."""
    loaded: dict[str, Any] = json.loads(_as_json(template(stack)))
    loaded["Resources"] = dict(_written_out(loaded["Resources"]))
    return loaded


@cache
def _as_json(text: str) -> str:
    """The same template in JSON. Each template is read many times, and YAML takes 50 times as long."""
    loaded = yaml.load(text, Loader=_TemplateLoader)  # noqa: S506  a safe loader
    return json.dumps(loaded, separators=(",", ":"), ensure_ascii=False)


def _written_out(resources: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Expand loops over resources, as AWS::LanguageExtensions does."""
    for name, resource in resources.items():
        if not name.startswith("Fn::ForEach::"):
            yield name, resource
            continue
        variable, values, body = resource
        for value in values:
            text = json.dumps(body).replace(f"${{{variable}}}", value)
            # The part of a logical ID: letters and digits only.
            text = text.replace(f"&{{{variable}}}", re.sub(r"[^A-Za-z0-9]", "", value))
            # A name that was built from the variable alone.
            text = re.sub(r'\{"Fn::Sub": ("[^"$]*")\}', r"\1", text)
            yield from json.loads(text.replace(json.dumps({"Ref": variable}), json.dumps(value))).items()


def of_the_shop(*, local: bool) -> tuple[str, ...]:
    """The stacks that are deployed unless others are named, to the emulator or to AWS."""
    return (*STACKS, FAULTS) if local else ON_AWS


def waiting(values: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Stacks without a required parameter -> the parameters of which they need one."""
    return {stack: names for stack, names in ONE_OF.items() if not any(values.get(name) for name in names)}


def chosen_for(environment: str) -> dict[str, str]:
    """The parameters of an environment: `aws` or `local`."""
    chosen: dict[str, str] = json.loads((FOLDER / "parameters" / f"{environment}.json").read_text("utf-8"))
    return chosen


def parameters(stack: str, values: Mapping[str, str]) -> dict[str, str]:
    """The entries of `values` that the stack declares as parameters."""
    return {name: value for name, value in values.items() if name in declared(stack)}


@cache
def declared(stack: str) -> Mapping[str, Mapping[str, Any]]:
    """The parameters that the template of a stack declares."""
    found: dict[str, dict[str, Any]] = document(stack)["Parameters"]
    return MappingProxyType(found)


def environment(service: str, outputs: Outputs, endpoint: str | None = None) -> dict[str, str]:
    """The environment that the outputs of the stacks give to the processes of a service.

    It contains the outputs of the service's own stack, except for ARNs, which are for other stacks and for roles; its topic; the
    trusted issuer of tokens; the table of payment tokens; for the order service, its workflow; and in a demo, the table of the
    fault switchboard. `TasksQueueUrl` becomes `TASKS_QUEUE_URL`.

    Args:
        service: one of SERVICES.
        outputs: outputs of every stack.
        endpoint: address of the emulator for the processes; None for AWS.

    Raises:
        KeyError: names the stack or the output that is missing.
    """
    own = {name: value for name, value in outputs[service].items() if not name.endswith("Arn")}
    shared = {"EventsTopicArn": topic(service, outputs)}
    if service in {"order", "payment"}:
        shared["TokensTable"] = outputs["tokens"]["Table"]
    if service == "order":
        shared["StateMachineArn"] = outputs["saga"]["StateMachineArn"]
    if FAULTS in outputs:
        shared["FaultsTable"] = outputs[FAULTS]["Table"]
    found = {_upper_snake(name): value for name, value in (own | shared).items()}
    return dict(
        sorted((found | trust(outputs["identity"], endpoint) | dict(SETTINGS.get(service, {}))).items())
    )


def pages(outputs: Outputs, endpoint: str | None = None, browsers: str | None = None) -> dict[str, str]:
    """The environment that the outputs of the stacks give to the storefront, without the keys of its cookies.

    Args:
        outputs: outputs of the stacks, with those of the api stack.
        endpoint: address of the emulator for the processes; None for AWS.
        browsers: address of the emulator for browsers, which open its sign-in pages; None for AWS.

    Raises:
        KeyError: names the stack or the output that is missing.
    """
    identity = outputs["identity"]
    return {
        "API_URL": api_urls(outputs["api"], endpoint)[0],
        "AUTHORIZE_URL": cognito(identity, browsers)["COGNITO_AUTHORIZE_URL"],
        "OPS_CLIENT_ID": identity["OpsClientId"],
        "PUBLIC_URL": outputs[STOREFRONT]["Url"],
        "TOKEN_URL": cognito(identity, endpoint)["COGNITO_TOKEN_URL"],
        "WEB_CLIENT_ID": identity["WebClientId"],
        **SETTINGS[STOREFRONT],
    }


def topic(service: str, outputs: Outputs) -> str:
    """The ARN of the topic to which a service publishes its events."""
    return outputs["events"][f"{service.capitalize()}TopicArn"]


def trust(identity: Mapping[str, str], endpoint: str | None = None) -> dict[str, str]:
    """The issuer of tokens that a service trusts, from the outputs of the identity stack.

    Tokens of the emulator name the same issuer as on AWS; the keys are at the address of the emulator.
    """
    keys = f"{endpoint}/{identity['UserPoolId']}/.well-known/jwks.json" if endpoint else identity["JwksUrl"]
    return {
        "AUTH_ISSUER": identity["Issuer"],
        "AUTH_CLIENT_IDS": identity["ClientIds"],
        "AUTH_JWKS_URL": keys,
    }


def cognito(identity: Mapping[str, str], endpoint: str | None = None) -> dict[str, str]:
    """The settings of a sign-in, such as `COGNITO_USER_POOL_ID`, from the identity stack.

    The sign-in pages of the emulator are at its own address. The issuer is that of its tokens.
    """
    pages = (
        {"AuthorizeUrl": f"{endpoint}/oauth2/authorize", "TokenUrl": f"{endpoint}/oauth2/token"}
        if endpoint
        else {}
    )
    return {f"COGNITO_{_upper_snake(name)}": {**identity, **pages}[name] for name in SIGN_IN}


def cognito_outputs(environment: Mapping[str, str]) -> dict[str, str]:
    """The inverse of `cognito`: outputs of the identity stack by name.

    Raises:
        KeyError: names the variable that is missing.
    """
    return {name: environment[f"COGNITO_{_upper_snake(name)}"] for name in SIGN_IN}


def machines(service: str, outputs: Outputs, endpoint: str) -> dict[str, str]:
    """The settings with which a service verifies the signature of a machine, because the emulator does not.

    The machine uses the credentials of the emulator. On AWS, the API Gateway verifies signatures, and only the machine has its
    key.
    """
    if service not in {"payment", "shipping"} or "api" not in outputs:
        return {}
    return {
        "MACHINE_KEYS": f"{EMULATOR_KEY}:{EMULATOR_KEY}",
        "MACHINE_API_URL": api_urls(outputs["api"], endpoint)[1],
    }


def api_urls(api: Mapping[str, str], endpoint: str | None = None) -> tuple[str, str]:
    """The URLs of the API Gateway for customers and for machines, from the outputs of the api stack.

    In the emulator, every API has the address of the emulator.
    """
    if endpoint is None:
        return api["ApiUrl"], api["MachineApiUrl"]
    root = f"{endpoint}/_aws/execute-api"
    return f"{root}/{api['ApiId']}/{api['StageName']}", f"{root}/{api['MachineApiId']}/{api['StageName']}"


def partner_api_url(api: Mapping[str, str], endpoint: str | None = None) -> str:
    """The URL of the API Gateway for partners, from the outputs of an api stack with an API for partners."""
    if endpoint is None:
        return api["PartnerApiUrl"]
    return f"{endpoint}/_aws/execute-api/{api['PartnerApiId']}/{api['StageName']}"


def _upper_snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()


class _TemplateLoader(yaml.CSafeLoader):
    """YAML with the short forms of CloudFormation's functions."""


def _function(loader: _TemplateLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    if isinstance(node, yaml.MappingNode):
        return {name: loader.construct_mapping(node, deep=True)}
    value = loader.construct_object(yaml.ScalarNode("tag:yaml.org,2002:str", node.value))
    return {name: value.split(".", 1) if suffix == "GetAtt" else value}


_TemplateLoader.add_multi_constructor("!", _function)
