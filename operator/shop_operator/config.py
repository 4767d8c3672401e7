"""What the operator can be told, parsed once: flags over SHOP_OPERATOR_* variables over defaults."""

import argparse
import os
import re
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

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
        watch_config: whether a ConfigMap or Secret that changes brings new pods.
        log_level: debug, info, warning or error.
    """

    namespaces: tuple[str, ...]
    leader_elect: bool
    lease_namespace: str | None
    lease_name: str
    identity: str
    metrics_port: int
    workers: int
    resync: float
    watch_config: bool
    log_level: str


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
        watch_config=read.boolean("watch_config", default=True),
        log_level=read.choice("log_level", "info", _LEVELS),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shop-operator",
        description="Keeps every ShopService of a Kubernetes cluster true.",
        epilog="Every option of `run` is also a variable: --metrics-port is SHOP_OPERATOR_METRICS_PORT.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{run,crd}")
    commands.add_parser("crd", help="print the CustomResourceDefinition as YAML")
    run = commands.add_parser("run", help="run the operator against KUBECONFIG, or the cluster it is in")
    run.add_argument(
        "--namespace",
        action="append",
        metavar="NAME",
        help="serve this namespace only; repeatable (default: all; SHOP_OPERATOR_NAMESPACES, comma-separated)",
    )
    run.add_argument(
        "--leader-elect",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="write only while holding the lease, so that several may run (default: yes)",
    )
    run.add_argument("--lease-namespace", metavar="NAME", help="where the lease is (default: POD_NAMESPACE)")
    run.add_argument("--lease-name", metavar="NAME", help="the lease's name (default: shop-operator)")
    run.add_argument(
        "--metrics-port",
        metavar="PORT",
        help="for /healthz, /readyz, /metrics; 0: a free one (default: 8080)",
    )
    run.add_argument("--workers", metavar="N", help="ShopServices reconciled at the same time (default: 16)")
    run.add_argument(
        "--resync-seconds", metavar="S", help="compare the cache with the cluster this often (default: 3600)"
    )
    run.add_argument(
        "--watch-config",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="roll pods out anew when a ConfigMap or Secret of their variables changes (default: yes)",
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

    def choice(self, name: str, default: str, allowed: Sequence[str]) -> str:
        value, where = self._raw(name)
        if value is None:
            return default
        if value.lower() not in allowed:
            raise BadSetting(f"{where} is {value!r}; use one of {', '.join(allowed)}.")
        return value.lower()

    def namespaces(self) -> tuple[str, ...]:
        flags = self._flags.get("namespace")
        listed = (
            flags if isinstance(flags, list) else self._env.get("SHOP_OPERATOR_NAMESPACES", "").split(",")
        )
        where = "--namespace" if isinstance(flags, list) else "SHOP_OPERATOR_NAMESPACES"
        names = [name.strip() for name in listed if name.strip()]
        for name in names:
            if not _NAMESPACE.match(name):
                raise BadSetting(f"{where} names {name!r}, which is no namespace name; see RFC 1123 labels.")
        return tuple(dict.fromkeys(names))


def from_process() -> Mapping[str, str]:
    """The environment of this process."""
    return os.environ
