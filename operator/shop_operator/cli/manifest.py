"""Builds a ShopService from command-line options. Pure."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shop_operator.cli.errors import NotValid
from shop_operator.names import GROUP, KIND, VERSION


@dataclass(frozen=True)
class Wishes:
    """The options of `kubectl shop new`.

    Args:
        image: image of the containers.
        port: port on which it serves HTTP; None for the default.
        replicas: number of pods; None for the default.
        env: variables, as NAME=VALUE.
        depends_on: names of other ShopServices.
        routes: routes, as [HOST]/PATH.
        gateway: Gateway of the routes, as [NAMESPACE/]NAME.
        workers: workers, as NAME=COMMAND, with the command quoted as in a shell.
    """

    image: str
    port: int | None = None
    replicas: int | None = None
    env: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    gateway: str | None = None
    workers: tuple[str, ...] = ()


def shopservice(name: str, namespace: str | None, wishes: Wishes) -> dict[str, Any]:
    """The ShopService, with only the requested fields.

    Args:
        name: name of the ShopService.
        namespace: namespace of the ShopService; None to omit it.
        wishes: options for the spec.

    Raises:
        NotValid: an option has an invalid form.
    """
    spec: dict[str, Any] = {
        "image": wishes.image,
        "port": wishes.port,
        "replicas": wishes.replicas,
        "env": [
            dict(zip(("name", "value"), _pair("--env", each, "VALUE"), strict=True)) for each in wishes.env
        ],
        "dependsOn": list(wishes.depends_on),
        "gateway": _gateway(wishes.gateway),
        "routes": [_route(each) for each in wishes.routes],
        "workers": [_worker(each) for each in wishes.workers],
    }
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": metadata,
        "spec": {key: value for key, value in spec.items() if value not in (None, [])},
    }


def _pair(option: str, given: str, what: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals or not name:
        lacks = "name" if equals else "="
        raise NotValid(f"{option} {given!r} has no {lacks}; write {option} NAME={what}")
    return name, value


def _gateway(given: str | None) -> Mapping[str, str] | None:
    if given is None:
        return None
    namespace, slash, name = given.rpartition("/")
    return {"name": name, "namespace": namespace} if slash else {"name": name}


def _route(given: str) -> dict[str, Any]:
    host, slash, path = given.partition("/")
    if not slash:
        raise NotValid(f"--route {given!r} has no path; write --route /PATH or --route HOST/PATH")
    return {"path": f"/{path}"} | ({"hostnames": [host]} if host else {})


def _worker(given: str) -> dict[str, Any]:
    name, text = _pair("--worker", given, "COMMAND")
    try:
        command = shlex.split(text)
    except ValueError as error:
        raise NotValid(f"--worker {given!r} has an unmatched quotation mark") from error
    return {"name": name, "command": command}
