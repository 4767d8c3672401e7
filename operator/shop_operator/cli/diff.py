"""What an apply would change: the rendered children beside the live ones, as far as the operator owns them. Pure."""

import difflib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import yaml

from shop_operator.cli.applying import written
from shop_operator.cli.owning import with_leftovers
from shop_operator.errors import Conflict, OperatorError
from shop_operator.names import KIND, NAME_LABEL, ChildId
from shop_operator.objects.compare import drift, owned_part
from shop_operator.objects.lenient import mappings
from shop_operator.objects.ownership import applied_by_operator, controlled_by, refusal

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One object that would change, or that the operator would not touch.

    Args:
        action: create, update, delete; conflict, for an object that belongs to another owner and is left unchanged; or
            wait, for one that comes later.
        kind: its kind.
        name: its name.
        before: what there is of it now, as far as it is ours or will be; None when there is nothing.
        after: what there would be; None for nothing.
        reason: the reason that the operator would report; empty when nothing is in the way.
        message: its sentence.
    """

    action: str
    kind: str
    name: str
    before: Object | None
    after: Object | None
    reason: str = ""
    message: str = ""

    @classmethod
    def refused(cls, error: OperatorError, kind: str, name: str, after: Object | None) -> "Change":
        """One that the operator reports as that error."""
        action = "conflict" if isinstance(error, Conflict) else "wait"
        return cls(action, kind, name, None, after, error.reason, error.message)

    def to_dict(self) -> dict[str, Any]:
        """For `-o json`."""
        refused = {"reason": self.reason, "message": self.message} if self.reason else {}
        return {
            "action": self.action,
            "kind": self.kind,
            "name": self.name,
            "before": self.before,
            "after": self.after,
            **refused,
        }

    def lines(self) -> list[str]:
        """A unified diff."""
        where = f"{self.kind}/{self.name}"
        if self.reason:
            stays = (
                f"! {where} exists and has another owner: it is left unchanged, and the ShopService stalls."
            )
            foreign = self.action == "conflict" and self.kind != KIND
            return [*([stays] if foreign else []), f"! {where}: {self.reason}: {self.message}"]
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
    foreign_account = False
    for child in desired:
        kind, name = child["kind"], child["metadata"]["name"]
        if kind == "Deployment" and foreign_account:
            # The operator creates no pods that run as the ServiceAccount of another owner.
            continue
        there = live.get((kind, name)) or find(kind, name)
        if there is None:
            yield Change("create", kind, name, None, child)
        elif (refused := _refusal(there, child, uid)) is not None:
            foreign_account |= kind == "ServiceAccount" and not controlled_by(there, uid)
            yield Change.refused(refused, kind, name, child)
        else:
            wider = with_leftovers(child, there)
            if wider != child or any(drift(child, there)):
                yield Change("update", kind, name, owned_part(wider, there), child)
    wanted = kept | {(child["kind"], child["metadata"]["name"]) for child in desired}
    for (kind, name), there in sorted(live.items()):
        if (kind, name) not in wanted and controlled_by(there, uid):
            yield Change("delete", kind, name, {"metadata": {"name": name}}, None)


def _refusal(there: Object, child: Object, uid: str) -> OperatorError | None:
    metadata = child["metadata"]
    shop = str((metadata.get("labels") or {}).get(NAME_LABEL, ""))
    applied = applied_by_operator(mappings(there["metadata"].get("managedFields")))
    return refusal(ChildId(child["kind"], metadata["name"]), there, shop, uid, applied=applied)


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
    return (
        []
        if obj is None
        else yaml.safe_dump(dict(obj), sort_keys=True, allow_unicode=True, width=sys.maxsize).splitlines()
    )
