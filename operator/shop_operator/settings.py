"""The settings of the operator. A flag takes precedence over its SHOP_OPERATOR_* variable, and the variable over the default.

`RunSettings` declares each setting once: its type, its help text, its flag and its variable. pydantic-settings reads the
variables. argparse reads the flags, because the command line of pydantic-settings shows Python types in its help, and does not
apply variables to the settings of a subcommand.
"""

import argparse
import os
import re
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Final, Literal, get_args

import orjson
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from shop_operator.api.v1alpha1.common_metadata import CommonMetadata
from shop_operator.objects.pod_security import LABEL as POD_SECURITY_LABEL
from shop_operator.objects.pod_security import LEVELS as POD_SECURITY_LEVELS
from shop_operator.objects.pod_security import Level
from shop_operator.render.queue_addresses import PREFIX as ENDPOINT

PROTECTED: Final = ("kube-system", "kube-public", "kube-node-lease")
"""Namespaces of the cluster itself, whose ShopServices are not reconciled by default."""

LogLevel = Literal["debug", "info", "warning", "error"]

_PREFIX: Final = "SHOP_OPERATOR_"
_NAMESPACE: Final = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_LOG_LEVELS: Final = ", ".join(get_args(LogLevel))
_POD_SECURITY_LEVELS: Final = ", ".join(POD_SECURITY_LEVELS)


class BadSetting(ValueError):
    """A flag or a variable has a value that cannot be used; the message names it and the allowed values."""


@dataclass(frozen=True)
class _Value:
    """The value of a setting.

    Attributes:
        metavar: its placeholder in the help.
        allowed: a description of the allowed values; empty if the validators describe them.
    """

    metavar: str
    allowed: str = ""


def _digits(value: Any) -> Any:
    """Reject other notations, such as 1_000."""
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,9}", value):
        raise ValueError("is not a number")
    return value


def _switch(value: Any) -> Any:
    """Reject other notations, such as yes and 1."""
    if isinstance(value, str) and value not in {"true", "false"}:
        raise ValueError("is neither true nor false")
    return value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _distinct(value: str | Sequence[str]) -> tuple[str, ...]:
    """The values of a repeatable flag, or of a variable, which separates them by commas."""
    values = value.split(",") if isinstance(value, str) else value
    return tuple(dict.fromkeys(each.strip() for each in values if each.strip()))


def _namespaces(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _NAMESPACE.match(name):
            raise ValueError(f"names {name!r}, which is not a valid namespace name (RFC 1123 label)")
    return names


def _endpoints(urls: tuple[str, ...]) -> tuple[str, ...]:
    for url in urls:
        if not ENDPOINT.fullmatch(url):
            raise ValueError(
                f"has {url!r}; use http:// or https://, a lowercase host, and optionally a port and a path"
            )
    return urls


def _address(url: str) -> str:
    if url and not ENDPOINT.fullmatch(url):
        raise ValueError(
            "is not a URL; use http:// or https://, a lowercase host, and optionally a port and a path"
        )
    return url


def _json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str) and value else value or None


_Distinct = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_distinct)]
_Namespaces = Annotated[_Distinct, AfterValidator(_namespaces), _Value("NAME")]
_Endpoints = Annotated[_Distinct, AfterValidator(_endpoints), _Value("URL")]
_Address = Annotated[str, AfterValidator(_address), _Value("URL")]
_Name = Annotated[str, _Value("NAME")]
_OptionalName = Annotated[str | None, AfterValidator(lambda name: name or None), _Value("NAME")]
_Number = Annotated[int, BeforeValidator(_digits)]
_Port = Annotated[_Number, Field(ge=0, le=65535), _Value("PORT", "a number from 0 to 65535")]
_Workers = Annotated[_Number, Field(ge=1, le=256), _Value("N", "a number from 1 to 256")]
_Seconds = Annotated[_Number, Field(ge=1, le=86400), _Value("S", "a number from 1 to 86400")]
_Switch = Annotated[bool, BeforeValidator(_switch), _Value("", "true or false")]
_JsonObject = Annotated[
    dict[str, Any] | None, NoDecode, BeforeValidator(_json), _Value("JSON", "a JSON object of strings")
]
_LogLevel = Annotated[LogLevel, BeforeValidator(_lower), _Value("LEVEL", f"one of {_LOG_LEVELS}")]
_PodSecurityLevel = Annotated[
    Level, BeforeValidator(_lower), _Value("LEVEL", f"one of {_POD_SECURITY_LEVELS}")
]


def _metadata(kind: str) -> Any:
    return Field(
        None,
        description=f"JSON object with {kind}s of every object that is created for a ShopService, except pods, such as"
        f' {{"example.com/{kind}": "value"}} (default: none)',
    )


class RunSettings(BaseSettings):
    """The settings of `shop-operator run`."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, populate_by_name=True)

    pod_name: str = Field("", validation_alias="POD_NAME")
    pod_namespace: str = Field("", validation_alias="POD_NAMESPACE")
    namespaces: _Namespaces = Field(
        (),
        description="reconcile ShopServices of this namespace only; repeatable (default: all; SHOP_OPERATOR_NAMESPACES,"
        " comma-separated)",
    )
    leader_elect: _Switch = Field(
        default=True,
        description="write only while holding the Lease, so that several replicas may run (default: yes)",
    )
    lease_namespace: _OptionalName = Field(
        default_factory=lambda before: before["pod_namespace"] or None,
        description="namespace of the Lease (default: POD_NAMESPACE)",
    )
    lease_name: _Name = Field("shop-operator", description="name of the Lease (default: shop-operator)")
    metrics_port: _Port = Field(
        8080, description="port of /healthz, /readyz and /metrics; 0 for a free one (default: 8080)"
    )
    workers: _Workers = Field(16, description="ShopServices reconciled at the same time (default: 16)")
    resync_seconds: _Seconds = Field(
        3600, description="interval in which the cache is compared with the cluster (default: 3600)"
    )
    watch_config: _Switch = Field(
        default=True,
        description="replace pods when a ConfigMap or Secret that they use changes (default: yes)",
    )
    diagnose_logs: _Switch = Field(
        default=False,
        description="quote the last log line of a failing container in status and Events, which is visible to everyone who"
        " may read these (default: no)",
    )
    common_labels: _JsonObject = _metadata("label")
    common_annotations: _JsonObject = _metadata("annotation")
    pod_security: _PodSecurityLevel = Field(
        "restricted",
        description=f"{_POD_SECURITY_LEVELS}: Pod Security Standard of the pods in namespaces without the label"
        f" {POD_SECURITY_LABEL} (default: restricted)",
    )
    protected_namespaces: _Namespaces = Field(
        PROTECTED,
        description=f"do not reconcile ShopServices of this namespace; repeatable (default: {', '.join(PROTECTED)};"
        " SHOP_OPERATOR_PROTECTED_NAMESPACES, comma-separated). The operator's own namespace is always protected. A"
        " namespace that --namespace names is not.",
    )
    allowed_queue_endpoints: _Endpoints = Field(
        (),
        description="address that autoscaling.queue of a ShopService may use in addition to those of Amazon SQS, such as"
        " http://emulator.aws.svc:4566; all paths below it are allowed too; repeatable (default: none;"
        " SHOP_OPERATOR_ALLOWED_QUEUE_ENDPOINTS, comma-separated)",
    )
    prometheus_address: _Address = Field(
        "",
        description="URL at which Argo Rollouts reaches Prometheus, such as http://prometheus.monitoring.svc:9090, for"
        " rollout.canary.analysis of ShopServices (default: none)",
    )
    log_level: _LogLevel = Field("info", description=f"{_LOG_LEVELS} (default: info)")

    @cached_property
    def common(self) -> CommonMetadata:
        """Labels and annotations of every object that is created for a ShopService.

        Raises:
            ValidationError: no object may have them; `parse` has raised BadSetting then.
        """
        return CommonMetadata.model_validate(
            {"labels": self.common_labels, "annotations": self.common_annotations}
        )

    @cached_property
    def identity(self) -> str:
        """The holder of the Lease; unique."""
        return f"{self.pod_name or socket.gethostname()}_{uuid.uuid4()}"

    @cached_property
    def protected(self) -> frozenset[str]:
        """Namespaces whose ShopServices are not reconciled."""
        return frozenset({*self.protected_namespaces, self.pod_namespace} - {"", *self.namespaces})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read no other variables than those that `parse` is given: the plugin parses the settings of another process."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


@dataclass(frozen=True)
class CrdSettings:
    """`shop-operator crd`, which has no settings."""


def parse(argv: Sequence[str], env: Mapping[str, str]) -> RunSettings | CrdSettings:
    """Parse a command line and its environment variables.

    Raises:
        BadSetting: a value cannot be used.
        SystemExit: with 2 for an unknown flag or command, with 0 for --help.
    """
    arguments = _parser().parse_args(argv)
    if arguments.command == "crd":
        return CrdSettings()
    flags = {
        name: value for name, value in vars(arguments).items() if name != "command" and value is not None
    }
    source = EnvSettingsSource(RunSettings)
    # pydantic-settings would also accept a variable in another case, and POD_NAME with the prefix.
    source.env_vars = {name.lower(): env[name] for name in _variables() if name in env}
    given = {**source(), **flags}
    try:
        settings = RunSettings(**given)
    except ValidationError as error:
        raise BadSetting(_message(error.errors(include_url=False)[0], given, flags)) from None
    try:
        _ = settings.common
    except ValidationError as error:
        raise BadSetting(_common_message(error.errors(include_url=False)[0], settings, flags)) from None
    return settings


def from_process() -> Mapping[str, str]:
    """The environment of this process."""
    return os.environ


def _message(error: ErrorDetails, given: Mapping[str, object], flags: Mapping[str, object]) -> str:
    """The sentence for a value that its setting does not allow."""
    name = str(error["loc"][0])
    value = _value(RunSettings.model_fields[name])
    if value.allowed:
        return f"{_source(name, flags)} is {given[name]!r}; use {value.allowed}."
    return f"{_source(name, flags)} {_reason(error)}."


def _common_message(error: ErrorDetails, settings: RunSettings, flags: Mapping[str, object]) -> str:
    """The sentence for labels or annotations that no object may have."""
    kinds = [kind for kind in ("labels", "annotations") if kind in error["loc"] or not error["loc"]]
    names = [f"common_{kind}" for kind in kinds]
    given = [name for name in names if getattr(settings, name) is not None]
    return f"{' or '.join(_source(name, flags) for name in given)}: {_reason(error)}."


def _reason(error: ErrorDetails) -> str:
    return error["msg"].removeprefix("Value error, ")


def _variables() -> list[str]:
    """The names of all variables."""
    fields = RunSettings.model_fields.items()
    return [str(field.validation_alias or f"{_PREFIX}{name.upper()}") for name, field in fields]


def _source(name: str, flags: Mapping[str, object]) -> str:
    """The flag or the variable that sets a setting."""
    return _flag(name) if name in flags else f"{_PREFIX}{name.upper()}"


def _flag(name: str) -> str:
    repeatable = isinstance(RunSettings.model_fields[name].default, tuple)
    return f"--{(name.removesuffix('s') if repeatable else name).replace('_', '-')}"


def _value(field: FieldInfo) -> _Value:
    return next(each for each in field.metadata if isinstance(each, _Value))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shop-operator",
        description="Reconciles the ShopServices of a Kubernetes cluster.",
        epilog="Every option of `run` can also be set by an environment variable: --metrics-port by SHOP_OPERATOR_METRICS_PORT.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{run,crd}")
    commands.add_parser("crd", help="print the CustomResourceDefinition as YAML")
    run = commands.add_parser(
        "run", help="run the operator, with the cluster of KUBECONFIG or the one that it runs in"
    )
    for name, field in RunSettings.model_fields.items():
        if field.validation_alias is None:
            run.add_argument(_flag(name), dest=name, help=field.description, **_action(field))
    return parser


def _action(field: FieldInfo) -> dict[str, Any]:
    if field.annotation is bool:
        return {"action": argparse.BooleanOptionalAction, "default": None}
    repeatable = isinstance(field.default, tuple)
    return {"metavar": _value(field).metavar, "action": "append" if repeatable else "store"}
