"""The settings of the operator, parsed once: flags over SHOP_OPERATOR_* variables over defaults."""

import argparse
import os
import re
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson
from pydantic import ValidationError

from shop_operator.api.v1alpha1.common_metadata import CommonMetadata
from shop_operator.objects.pod_security import LABEL as POD_SECURITY_LABEL
from shop_operator.objects.pod_security import LEVELS as POD_SECURITY_LEVELS
from shop_operator.objects.pod_security import Level
from shop_operator.render.queue_addresses import PREFIX as ENDPOINT

PROTECTED: Final = ("kube-system", "kube-public", "kube-node-lease")
"""Namespaces of the cluster itself, whose ShopServices are not reconciled by default."""

Choice = TypeVar("Choice", bound=str)

_NAMESPACE: Final = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_PORTS: Final = range(65536)
_WORKERS: Final = range(1, 257)
_LEVELS: Final = ("debug", "info", "warning", "error")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})


class BadSetting(ValueError):
    """A flag or a variable has a value that cannot be used; the message names it and what is allowed."""


@dataclass(frozen=True)
class RunSettings:
    """`shop-operator run`.

    Attributes:
        namespaces: the namespaces to serve; empty: all.
        leader_elect: whether to stand for election before writing anything.
        lease_namespace: where the lease is; None: the namespace that the process runs in.
        lease_name: the lease's name.
        identity: how this process signs the lease; unique.
        metrics_port: the port of /healthz, /readyz and /metrics; 0 picks a free one and logs it.
        workers: how many ShopServices are reconciled at the same time.
        resync: seconds between two comparisons of the cache with a LIST, jittered.
        common: labels and annotations of every object that is made for a ShopService.
        watch_config: whether a ConfigMap or Secret that changes brings new pods.
        diagnose_logs: whether the last line that a failing container has logged is told in a status.
        log_level: debug, info, warning or error.
        pod_security: the pod-security level of namespaces that have no label for it.
        protected: namespaces whose ShopServices are not reconciled.
        queue_endpoints: the beginnings of addresses that autoscaling.queue may have beside those of AWS.
    """

    namespaces: tuple[str, ...]
    leader_elect: bool
    lease_namespace: str | None
    lease_name: str
    identity: str
    metrics_port: int
    workers: int
    resync: float
    common: CommonMetadata
    watch_config: bool
    diagnose_logs: bool
    log_level: str
    pod_security: Level
    protected: frozenset[str]
    queue_endpoints: tuple[str, ...]


@dataclass(frozen=True)
class CrdSettings:
    """`shop-operator crd`: it has nothing to set."""


def parse(argv: Sequence[str], env: Mapping[str, str]) -> RunSettings | CrdSettings:
    """The settings of one command line.

    Raises:
        BadSetting: a value cannot be used.
        SystemExit: with 2 for an unknown flag or command, with 0 for --help and --version.
    """
    arguments = _parser().parse_args(argv)
    if arguments.command == "crd":
        return CrdSettings()
    read = _Reader(vars(arguments), env)
    return RunSettings(
        namespaces=read.namespaces(),
        leader_elect=read.boolean("leader_elect", default=True),
        lease_namespace=read.text("lease_namespace", env.get("POD_NAMESPACE", "")) or None,
        lease_name=read.text("lease_name", "shop-operator"),
        identity=f"{env.get('POD_NAME') or socket.gethostname()}_{uuid.uuid4()}",
        metrics_port=read.integer("metrics_port", 8080, _PORTS),
        workers=read.integer("workers", 16, _WORKERS),
        resync=float(read.integer("resync_seconds", 3600, range(1, 86401))),
        common=read.common_metadata(),
        watch_config=read.boolean("watch_config", default=True),
        diagnose_logs=read.boolean("diagnose_logs", default=False),
        log_level=read.choice("log_level", "info", _LEVELS),
        pod_security=read.choice("pod_security", "restricted", POD_SECURITY_LEVELS),
        protected=read.protected(),
        queue_endpoints=read.queue_endpoints(),
    )


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
    run.add_argument(
        "--namespace",
        action="append",
        metavar="NAME",
        help="reconcile ShopServices of this namespace only; repeatable (default: all; SHOP_OPERATOR_NAMESPACES, comma-separated)",
    )
    run.add_argument(
        "--leader-elect",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="write only while holding the Lease, so that several replicas may run (default: yes)",
    )
    run.add_argument(
        "--lease-namespace", metavar="NAME", help="namespace of the Lease (default: POD_NAMESPACE)"
    )
    run.add_argument("--lease-name", metavar="NAME", help="name of the Lease (default: shop-operator)")
    run.add_argument(
        "--metrics-port",
        metavar="PORT",
        help="port of /healthz, /readyz and /metrics; 0 for a free one (default: 8080)",
    )
    run.add_argument("--workers", metavar="N", help="ShopServices reconciled at the same time (default: 16)")
    run.add_argument(
        "--resync-seconds",
        metavar="S",
        help="interval in which the cache is compared with the cluster (default: 3600)",
    )
    run.add_argument(
        "--watch-config",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="replace pods when a ConfigMap or Secret that they use changes (default: yes)",
    )
    run.add_argument(
        "--diagnose-logs",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="quote the last log line of a failing container in status and Events, which is visible to everyone who may read these (default: no)",
    )
    for name, what in (("labels", "label"), ("annotations", "annotation")):
        run.add_argument(
            f"--common-{name}",
            metavar="JSON",
            help=f"JSON object with {name} of every object that is created for a ShopService, except pods, such as"
            f' {{"example.com/{what}": "value"}} (default: none)',
        )
    run.add_argument(
        "--pod-security",
        metavar="LEVEL",
        help=f"{', '.join(POD_SECURITY_LEVELS)}: Pod Security Standard of the pods in namespaces without the label"
        f" {POD_SECURITY_LABEL} (default: restricted)",
    )
    run.add_argument(
        "--protected-namespace",
        action="append",
        metavar="NAME",
        help="do not reconcile ShopServices of this namespace; repeatable (default:"
        f" {', '.join(PROTECTED)}; SHOP_OPERATOR_PROTECTED_NAMESPACES, comma-separated). The operator's own namespace is"
        " always protected. A namespace that --namespace names is not.",
    )
    run.add_argument(
        "--allowed-queue-endpoint",
        action="append",
        metavar="URL",
        help="address that autoscaling.queue of a ShopService may use in addition to those of Amazon SQS, such as"
        " http://emulator.aws.svc:4566; all paths below it are allowed too; repeatable (default: none;"
        " SHOP_OPERATOR_ALLOWED_QUEUE_ENDPOINTS, comma-separated)",
    )
    run.add_argument("--log-level", metavar="LEVEL", help=f"{', '.join(_LEVELS)} (default: info)")
    return parser


class _Reader:
    """One look-up for all: the flag if given, else the variable, else the default."""

    def __init__(self, flags: Mapping[str, object], env: Mapping[str, str]) -> None:
        self._flags = flags
        self._env = env

    def _raw(self, name: str) -> tuple[str | None, str]:
        """The value as text, and what to call it in a complaint."""
        flag = self._flags.get(name)
        if flag is not None:
            return str(flag), f"--{name.replace('_', '-')}"
        variable = f"SHOP_OPERATOR_{name.upper()}"
        return self._env.get(variable), variable

    def text(self, name: str, default: str) -> str:
        value, _ = self._raw(name)
        return default if value is None else value

    def boolean(self, name: str, *, default: bool) -> bool:
        value, where = self._raw(name)
        if value is None:
            return default
        if value.lower() not in _TRUE | _FALSE:
            raise BadSetting(f"{where} is {value!r}; use true or false.")
        return value.lower() in _TRUE

    def integer(self, name: str, default: int, allowed: range) -> int:
        value, where = self._raw(name)
        if value is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) not in allowed:
            raise BadSetting(f"{where} is {value!r}; use a number from {allowed[0]} to {allowed[-1]}.")
        return int(value)

    def choice(self, name: str, default: Choice, allowed: Sequence[Choice]) -> Choice:
        value, where = self._raw(name)
        if value is None:
            return default
        found = next((each for each in allowed if each == value.lower()), None)
        if found is None:
            raise BadSetting(f"{where} is {value!r}; use one of {', '.join(allowed)}.")
        return found

    def common_metadata(self) -> CommonMetadata:
        found = {name: self._map(f"common_{name}") for name in ("labels", "annotations")}
        try:
            return CommonMetadata.model_validate({key: value for key, (value, _) in found.items()})
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False)[0]
            said = wrong["msg"].removeprefix("Value error, ")
            fields = [found[key][1] for key in found if key in wrong["loc"] or not wrong["loc"]]
            raise BadSetting(f"{' or '.join(fields)}: {said}.") from None

    def _map(self, name: str) -> tuple[Any, str]:
        """A JSON object, None when it is not set; and what to call it in a complaint."""
        value, where = self._raw(name)
        if not value:
            return None, where
        try:
            parsed = orjson.loads(value)
        except orjson.JSONDecodeError:
            parsed = None
        if not isinstance(parsed, dict):
            raise BadSetting(f"{where} is {value!r}; use a JSON object of strings.")
        return parsed, where

    def namespaces(self) -> tuple[str, ...]:
        return self._names("namespace", "SHOP_OPERATOR_NAMESPACES", ())

    def protected(self) -> frozenset[str]:
        """The operator's own namespace and those that are set, without those that are served by name."""
        names = self._names("protected_namespace", "SHOP_OPERATOR_PROTECTED_NAMESPACES", PROTECTED)
        own = self._env.get("POD_NAMESPACE", "")
        return frozenset({*names, own} - {"", *self.namespaces()})

    def queue_endpoints(self) -> tuple[str, ...]:
        found = self._list("allowed_queue_endpoint", "SHOP_OPERATOR_ALLOWED_QUEUE_ENDPOINTS")
        urls, where = found or ((), "")
        for url in urls:
            if not ENDPOINT.fullmatch(url):
                raise BadSetting(
                    f"{where} has {url!r}; use http:// or https://, a lowercase host, and optionally a port and a path."
                )
        return urls

    def _names(self, flag: str, variable: str, default: tuple[str, ...]) -> tuple[str, ...]:
        found = self._list(flag, variable)
        if found is None:
            return default
        names, where = found
        for name in names:
            if not _NAMESPACE.match(name):
                raise BadSetting(
                    f"{where} names {name!r}, which is not a valid namespace name (RFC 1123 label)."
                )
        return names

    def _list(self, flag: str, variable: str) -> tuple[tuple[str, ...], str] | None:
        """The distinct values of a repeatable flag, and what to call it in a complaint; None when it is not set."""
        flags = self._flags.get(flag)
        if not isinstance(flags, list) and variable not in self._env:
            return None
        listed = flags if isinstance(flags, list) else self._env[variable].split(",")
        where = f"--{flag.replace('_', '-')}" if isinstance(flags, list) else variable
        return tuple(dict.fromkeys(each.strip() for each in listed if each.strip())), where


def from_process() -> Mapping[str, str]:
    """The environment of this process."""
    return os.environ
