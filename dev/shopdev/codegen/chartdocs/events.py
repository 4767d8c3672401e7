"""docs/reference/events.md: every Event of a ShopService, and what to do."""

from shop_operator.api.v1alpha1.reasons import ROWS
from shop_operator.api.v1alpha1.reasons.events import EVENTS

_HEAD = """\
# Events

Generated from the operator's tables of Events and reasons by `make generate`. Events (`events.k8s.io/v1`) belong to the ShopService. List
them with:

    kubectl get events -n NAMESPACE --field-selector involvedObject.kind=ShopService

An Event with the reason and note of one of the last ten minutes does not create another object: it raises the count of the earlier one, at
most once a minute. Events are best effort, and Kubernetes removes them after an hour by default: for the state of a ShopService, read its
[conditions](conditions.md).

| reason | type | meaning | what to do |
|---|---|---|---|
"""
_CONDITIONS = """
## Reasons of conditions

When the cause in the condition Ready changes to one of the following reasons, or Stalled becomes True with it, the operator emits a Warning
with that reason and with the message of the condition. [Conditions and reasons](conditions.md) describes the remedy of each:

"""


def page() -> str:
    """The page."""
    rows = "".join(f"| `{each.reason}` | {each.type} | {each.meaning} | {each.cure} |\n" for each in EVENTS)
    warned = sorted(
        {each.word for each in ROWS if each.warns or "Stalled" in each.conditions} - {"NotStalled"}
    )
    return f"{_HEAD}{rows}{_CONDITIONS}{', '.join(f'`{each}`' for each in warned)}.\n"
