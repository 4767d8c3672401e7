"""docs/reference/events.md: every Event of a ShopService, and what to do."""

from collections.abc import Collection

from shop_operator.api.v1alpha1.reasons import ROWS
from shop_operator.api.v1alpha1.reasons.events import EVENTS

_HEAD = """\
# Events

Generated from the operator's tables of Events and reasons by `make generate`. Events (`events.k8s.io/v1`) belong to the ShopService. List
them with:

    kubectl get events -n NAMESPACE --field-selector involvedObject.kind=ShopService

If an Event repeats the reason and the note of an Event of the last ten minutes, the operator raises the count of the earlier one, at most
once a minute, and creates no new object. Events are best effort, and Kubernetes removes them after an hour by default: for the state of a
ShopService, read its [conditions](conditions.md).

| reason | type | meaning | what to do |
|---|---|---|---|
"""
_CONDITIONS = """
## Reasons of conditions

The operator also emits a Warning with the reason and the message of a condition. [Conditions and reasons](conditions.md) describes the remedy.

- When Ready gets one of these reasons: {warned}.
- When Stalled becomes True with one of these reasons: {stalled}.
"""


def page() -> str:
    """The page."""
    rows = "".join(f"| `{each.reason}` | {each.type} | {each.meaning} | {each.cure} |\n" for each in EVENTS)
    warned = {each.word for each in ROWS if each.warns}
    stalled = {each.word for each in ROWS if "Stalled" in each.conditions} - {"NotStalled"}
    lists = _CONDITIONS.format(warned=_listed(warned), stalled=_listed(stalled - warned))
    return f"{_HEAD}{rows}{lists}"


def _listed(words: Collection[str]) -> str:
    return ", ".join(f"`{each}`" for each in sorted(words))
