"""What an apply would change: the rendered children beside the live ones, as far as the operator owns them."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from shop_operator.compare import drift, owned_part

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One object that would change.

    Args:
        action: create, update or delete.
        kind: its kind.
        name: its name.
        before: what there is of it now, as far as it is ours; None when there is nothing.
        after: what there would be; None for nothing.
    """

    action: str
    kind: str
    name: str
    before: Object | None
    after: Object | None

    def to_dict(self) -> dict[str, Any]:
        """For `-o json`."""
        return {
            "action": self.action,
            "kind": self.kind,
            "name": self.name,
            "before": self.before,
            "after": self.after,
        }

    def lines(self) -> list[str]:
        """A unified diff."""
        where = f"{self.kind}/{self.name}"
        return list(
            difflib.unified_diff(
                _text(self.before),
                _text(self.after),
                f"live/{where}" if self.before is not None else "/dev/null",
                f"applied/{where}" if self.after is not None else "/dev/null",
                lineterm="",
            )
        )


def changes(desired: Sequence[Object], live: Mapping[tuple[str, str], Object], uid: str) -> Iterator[Change]:
    """What differs, in the order in which it is applied; what the operator would delete comes last.

    Args:
        desired: the rendered children.
        live: every object that carries the ShopService's label, by (kind, name).
        uid: of the live ShopService; only what it controls is deleted.
    """
    for child in desired:
        kind, name = child["kind"], child["metadata"]["name"]
        there = live.get((kind, name))
        if there is None:
            yield Change("create", kind, name, None, child)
        elif any(drift(child, there)):
            yield Change("update", kind, name, owned_part(child, there), child)
    wanted = {(child["kind"], child["metadata"]["name"]) for child in desired}
    for (kind, name), there in sorted(live.items()):
        owners = there["metadata"].get("ownerReferences", ())
        if (kind, name) not in wanted and any(o.get("controller") and o["uid"] == uid for o in owners):
            yield Change("delete", kind, name, {"metadata": {"name": name}}, None)


def of_shopservice(document: Object, live: Object | None) -> Change | None:
    """The ShopService itself."""
    after = {"spec": document["spec"]}
    if live is None:
        return Change("create", document["kind"], document["metadata"]["name"], None, after)
    before = {"spec": {key: live["spec"].get(key) for key in (*document["spec"], *live["spec"])}}
    # What the file does not say and the API server fills in.
    before["spec"] = {
        key: value
        for key, value in before["spec"].items()
        if value is not None and (key in document["spec"] or key != "port")
    }
    if before == after:
        return None
    return Change("update", document["kind"], document["metadata"]["name"], before, after)


def _text(obj: Object | None) -> list[str]:
    return [] if obj is None else yaml.safe_dump(dict(obj), sort_keys=True, width=98).splitlines()
