"""The verdict on an HTTPRoute: every Gateway that it references has accepted it and resolved its backends."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from shop_operator.objects.summary import Summary
from shop_operator.status.verdicts.verdict import READY_VERDICT, Input, Verdict, first_answer
from shop_operator.wording import clause


class _Parent(NamedTuple):
    """A Gateway that the route references, and the conditions that its controller has reported."""

    gateway: Mapping[str, Any]
    conditions: list[Mapping[str, Any]]

    def __str__(self) -> str:
        return f"Gateway {self.gateway.get('namespace')}/{self.gateway['name']}"


def judge(route: Input) -> Verdict:
    """Judge an HTTPRoute."""
    gateways = route.summary["spec"]["parentRefs"]
    if not gateways:
        return _not_accepted("names no Gateway")
    for gateway in gateways:
        verdict = first_answer(_CHAIN, _Parent(gateway, _reported(gateway, route.summary)))
        if not verdict.ready:
            return verdict
    return READY_VERDICT


def _rejected(parent: _Parent) -> Verdict | None:
    for condition in parent.conditions:
        if condition["type"] in {"Accepted", "ResolvedRefs"} and condition["status"] == "False":
            cause = condition.get("message") or condition.get("reason", "")
            return _not_accepted(f"{parent} rejected the route: {clause(cause)}")
    return None


def _unanswered(parent: _Parent) -> Verdict | None:
    if any(each["type"] == "Accepted" and each["status"] == "True" for each in parent.conditions):
        return None
    return _not_accepted(
        f"{parent} has not accepted the route;"
        " check that the Gateway exists and that its GatewayClass has a controller"
    )


_CHAIN: Final = (_rejected, _unanswered)


def _not_accepted(message: str) -> Verdict:
    return Verdict(ready=False, reason="RouteNotAccepted", message=message)


def _reported(gateway: Mapping[str, Any], route: Summary) -> list[Mapping[str, Any]]:
    """The conditions for one Gateway and this generation of the route. A controller may omit parts of the reference."""
    generation = route["metadata"].get("generation", 0)
    return [
        condition
        for parent in route.get("status", {}).get("parents", ())
        if all(gateway.get(key) == value for key, value in parent.get("ref", {}).items() if key in gateway)
        for condition in parent.get("conditions", ())
        if condition.get("observedGeneration", generation) >= generation
    ]
