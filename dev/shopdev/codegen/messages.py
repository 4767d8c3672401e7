"""docs/reference/messages.md: the tasks and the events of the services, from the schemas in services/*/contracts."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from shopdev.checkout import ROOT, SERVICES

FILE: Final = ROOT / "docs/reference/messages.md"
_CONTRACTS: Final = "services/{}/contracts"
_RESULT: Final = ".result"
# Members of every task and of every event, which the page describes once.
_OF_EVERY_TASK: Final = frozenset({"task", "task_token", "order_id", "traceparent"})
_OF_EVERY_RESULT: Final = frozenset({"order_id"})
_HEAD: Final = """\
# Messages

Generated from the JSON Schemas in `services/*/contracts` by `make generate`. The services exchange events and tasks. Every message is
delivered at least once, in any order, and possibly late, so a receiver must be idempotent
([Consistency and idempotency](../explanation/consistency.md)). Receivers ignore members that they do not know.

To add a message, see [Add a message](../../CONTRIBUTING.md#add-a-message). The queues, topics and their policies are in
`manifests/aws/SERVICE.yaml` and `manifests/aws/events.yaml`.

## Events

A service publishes events to its SNS topic (`PREFIX-SERVICE-facts`), as CloudEvents 1.0 in JSON. A subscription with raw message delivery
receives the JSON unchanged. A subscription can filter by the attribute `type` of the SNS message, or by the body, as in
`manifests/aws/order.yaml`. Every event has these members:

| member | description |
|---|---|
| `specversion` | `1.0` |
| `id` | ID of the event. An event that is published again has the same ID. |
| `type` | Type with its version, such as `shop.order.accepted.v1`. A change that a receiver would not understand gets a new version. |
| `source` | Service that published the event, such as `/order`. |
| `subject` | ID of the order or SKU of the product. |
| `time` | Time of the event, as RFC 3339 in UTC. |
| `datacontenttype` | `application/json` |
| `traceparent` | W3C trace context. |
| `data` | Data of the event, described below. |
"""
_TASKS: Final = """\
## Tasks

The order workflow sends tasks to the SQS queue of a service (`PREFIX-SERVICE-tasks`), and waits. The service returns the result, or an
error, to Step Functions with the task token. Every task has these members:

| member | description |
|---|---|
| `task` | Name of the task. |
| `task_token` | Task token of the workflow, to which the result is sent. |
| `order_id` | ID of the order. |
| `traceparent` | W3C trace context. |
"""


def generated() -> str:
    """The page."""
    parts = [_HEAD]
    parts += [
        _section(name, schema["properties"]["data"], schema)
        for service in SERVICES
        for name, schema in _schemas(service)
        if name.startswith("shop.")
    ]
    parts.append(_TASKS)
    for service in SERVICES:
        found = dict(_schemas(service))
        for name, schema in found.items():
            if name.startswith("shop.") or name.endswith(_RESULT):
                continue
            heading = _section(name, schema, schema, without=_OF_EVERY_TASK, receiver=service)
            parts.append(heading + _result(found[f"{name}{_RESULT}"]))
    return "\n".join(parts)


def _schemas(service: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((ROOT / _CONTRACTS.format(service)).glob("*.json")):
        yield _name(path), json.loads(path.read_text(encoding="utf-8"))


def _name(path: Path) -> str:
    return path.name.removesuffix(".json")


def _section(
    name: str,
    members: Mapping[str, Any],
    schema: Mapping[str, Any],
    *,
    without: frozenset[str] = frozenset(),
    receiver: str = "",
) -> str:
    text = schema.get("description") or schema["title"].rstrip(".") + "."
    to = f" Handled by {receiver}." if receiver else ""
    rows = list(_rows(members, "", without))
    table = ["| member | type | description |", "|---|---|---|", *rows, ""] if rows else []
    return "\n".join([f"### {name}\n", f"{text}{to}\n", *table])


def _result(schema: Mapping[str, Any]) -> str:
    rows = list(_rows(schema, "", _OF_EVERY_RESULT))
    if not rows:
        return ""
    return "\n".join(["\nResult:\n", "| member | type | description |", "|---|---|---|", *rows, ""])


def _rows(schema: Mapping[str, Any], prefix: str, without: frozenset[str] = frozenset()) -> Iterator[str]:
    """The members of an object, each followed by those of its value."""
    required = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        if name in without:
            continue
        mark = "" if name in required else " (optional)"
        yield f"| `{prefix}{name}`{mark} | {_type(each)} | {_cell(each.get('description', ''))} |"
        if each.get("type") == "array":
            yield from _rows(each.get("items", {}), f"{prefix}{name}[].")
        else:
            yield from _rows(each, f"{prefix}{name}.")


def _type(schema: Mapping[str, Any]) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if schema.get("type") == "array":
        return f"array of {_type(schema.get('items', {}))}"
    found = schema.get("type", "any")
    named = " or ".join(found) if isinstance(found, list) else found
    return f"{named} ({schema['format']})" if "format" in schema else str(named)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
