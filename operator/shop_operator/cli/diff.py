"""What an apply would change: the rendered children beside the live ones, as far as the operator owns them. Pure."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import yaml

from shop_operator.cli.applying import written
from shop_operator.cli.owning import with_leftovers
from shop_operator.compare import HASH_ANNOTATION, drift, owned_part

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One object that would change.

    Args:
        action: create, update, delete; or conflict, for what belongs to somebody else and stays as it is.
        kind: its kind.
        name: its name.
        before: what there is of it now, as far as it is ours or will be; None when there is nothing.
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
        if self.action == "conflict":
            return [
                f"! {where} exists and is not this ShopService's: it stays as it is, and the ShopService stalls.",
                "! Delete or rename it, or give the ShopService another name.",
            ]
        return list(
            difflib.unified_diff(
                _text(self.before),
                _text(self.after),
                f"live/{where}" if self.before is not None else "/dev/null",
                f"applied/{where}" if self.after is not None else "/dev/null",
                lineterm="",
            )
        )


def changes(
    desired: Sequence[Object],
    live: Mapping[tuple[str, str], Object],
    uid: str,
    find: Callable[[str, str], Object | None],
    kept: AbstractSet[tuple[str, str]] = frozenset(),
) -> Iterator[Change]:
    """What differs, in the order in which it is applied; what the operator would delete comes last.

    Args:
        desired: the rendered children.
        live: every object that carries the ShopService's label, by (kind, name).
        uid: of the live ShopService; only what it controls is deleted.
        find: the object of a kind and a name that carries no such label, None when there is none.
        kept: what is not deleted although it is not rendered, by (kind, name).
    """
    for child in desired:
        kind, name = child["kind"], child["metadata"]["name"]
        there = live.get((kind, name)) or find(kind, name)
        if there is None:
            yield Change("create", kind, name, None, child)
        elif not _is_ours(there, uid):
            yield Change("conflict", kind, name, None, child)
        else:
            wider = with_leftovers(child, there)
            if wider != child or any(drift(child, there)):
                yield Change("update", kind, name, owned_part(wider, there), child)
    wanted = kept | {(child["kind"], child["metadata"]["name"]) for child in desired}
    for (kind, name), there in sorted(live.items()):
        if (kind, name) not in wanted and _controller(there) == uid:
            yield Change("delete", kind, name, {"metadata": {"name": name}}, None)


def _is_ours(there: Object, uid: str) -> bool:
    """Whether the operator would touch it: one without a controller only if it has applied it itself."""
    controller = _controller(there)
    return controller == uid or (
        controller is None and HASH_ANNOTATION in (there["metadata"].get("annotations") or {})
    )


def _controller(there: Object) -> str | None:
    owners = there["metadata"].get("ownerReferences", ())
    return next((each["uid"] for each in owners if each.get("controller")), None)


def of_shopservice(wanted: Object, live: Object | None) -> Change | None:
    """The ShopService itself.

    Args:
        wanted: as it is after the apply.
        live: as it is now, None when there is none.
    """
    before, after = None if live is None else written(live), written(wanted)
    if before == after:
        return None
    action = "create" if before is None else "update"
    return Change(action, wanted["kind"], wanted["metadata"]["name"], before, after)


def _text(obj: Object | None) -> list[str]:
    return [] if obj is None else yaml.safe_dump(dict(obj), sort_keys=True, width=98).splitlines()
