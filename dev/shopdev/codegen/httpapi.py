"""docs/reference/http-api-SERVICE.md: the operations and the schemas of each service, from its OpenAPI document."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from shopdev.checkout import ROOT, SERVICES
from shopdev.codegen.apigateway.documents import METHODS, OWN_PATHS, document

_HEAD: Final = """\
# HTTP API of {service}

Generated from the OpenAPI document of the service by `make generate`. A running service returns that document at `/openapi.json`. To call
the API, see [Place an order with curl](../how-to/order-by-curl.md).
"""


def outputs() -> Mapping[Path, Callable[[], str]]:
    """Page -> its generator."""
    return {
        ROOT / f"docs/reference/http-api-{service}.md": partial(page, service, document)
        for service in SERVICES
    }


def page(service: str, documents: Callable[[str], Mapping[str, Any]]) -> str:
    """The page of a service.

    Args:
        service: its name.
        documents: the OpenAPI document of a service.
    """
    found = documents(service)
    parts = [_HEAD.format(service=service)]
    for path, methods in found["paths"].items():
        if path not in OWN_PATHS:
            parts += [
                "\n".join(_operation(method, path, each))
                for method, each in methods.items()
                if method in METHODS
            ]
    parts.append("## Schemas\n")
    parts += ["\n".join(_schema(name, each)) for name, each in sorted(found["components"]["schemas"].items())]
    return "\n".join(parts)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {operation['summary']}\n\n    {method.upper()} {path}\n"
    yield f"{operation.get('description', '').strip()}\n"
    yield f"Callers: {_callers(operation)}.\n"
    if parameters := operation.get("parameters"):
        yield "| parameter | in | type | description |\n|---|---|---|---|"
        for each in parameters:
            name = f"`{each['name']}`" + (" (required)" if each.get("required") else "")
            yield f"| {name} | {each['in']} | {_type(each['schema'])} | {_cell(each.get('description', ''))} |"
        yield ""
    if body := operation.get("requestBody"):
        yield f"Request body: {_content(body)}.\n"
    yield "| status | description | body |\n|---|---|---|"
    for status, answer in sorted(operation["responses"].items()):
        yield f"| {status} | {_cell(answer['description'])} | {_content(answer)} |"
    yield ""


def _callers(operation: Mapping[str, Any]) -> str:
    schemes = {name: scopes for each in operation.get("security", ()) for name, scopes in each.items()}
    if not schemes:
        return "everyone, without a token"
    scopes = schemes.get("customer", ())
    people = "staff" if any(scope.startswith("ops:") for scope in scopes) else "customers"
    named = {
        "customer": f"{people} with the scope{'s'[: len(scopes) - 1]} {', '.join(f'`{each}`' for each in scopes)}",
        "machine": "machines with a signature",
    }
    return ", or ".join(named[each] for each in schemes)


def _content(holder: Mapping[str, Any]) -> str:
    return " or ".join(
        f"{_type(each['schema'])} (`{kind}`)" for kind, each in holder.get("content", {}).items()
    )


def _schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {name}\n"
    if text := schema.get("description"):
        yield f"{text}\n"
    properties = schema.get("properties", {})
    if not properties:
        yield f"{_type(schema)}\n"
        return
    yield "| member | type | description |\n|---|---|---|"
    for member, each in properties.items():
        required = " (required)" if member in schema.get("required", ()) else ""
        yield f"| `{member}`{required} | {_type(each)} | {_cell(each.get('description', ''))} |"
    yield ""


def _type(schema: Mapping[str, Any]) -> str:
    """The type of a schema, with a link to the section of a named one, and with its limits."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[key]))
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if schema.get("type") == "array":
        return f"array of {_type(schema.get('items', {}))}{_limits(schema, 'Items')}"
    name = str(schema.get("format") or schema.get("type") or "any")
    return f"{name}{_limits(schema, 'Length')}{_range(schema)}"


def _limits(schema: Mapping[str, Any], what: str) -> str:
    low, high = schema.get(f"min{what}"), schema.get(f"max{what}")
    unit = "characters" if what == "Length" else "items"
    if low is not None and high is not None:
        return f", {low} to {high} {unit}"
    if high is not None:
        return f", at most {high} {unit}"
    return "" if low is None else f", at least {low} {unit}"


def _range(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f", {low:g} to {high:g}"
    if high is not None:
        return f", at most {high:g}"
    return "" if low is None else f", at least {low:g}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
