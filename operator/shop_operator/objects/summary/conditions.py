"""The conditions in a summary, and the type of all summaries."""

from collections.abc import Mapping
from typing import Any, Final

from shop_operator.objects.lenient import mapping, mappings

Summary = dict[str, Any]
_TYPES: Final[Mapping[str, type]] = {"observedGeneration": int}


def conditions(obj: Mapping[str, Any]) -> Summary:
    """The conditions without their messages, which contain measurements."""
    return {"status": {"conditions": conditions_of(mapping(obj.get("status")), "type", "status", "reason")}}


def conditions_of(state: Mapping[str, Any], *keys: str) -> list[Summary]:
    """The conditions of a status, all with a type and a status."""
    return [
        {"status": "Unknown", **_condition(each, *keys)}
        for each in mappings(state.get("conditions"))
        if isinstance(each.get("type"), str)
    ]


def _condition(
    condition: Mapping[str, Any],
    *keys: str,
) -> Summary:
    kept = keys or ("type", "status", "reason", "message", "observedGeneration")
    return {key: condition[key] for key in kept if isinstance(condition.get(key), _TYPES.get(key, str))}
