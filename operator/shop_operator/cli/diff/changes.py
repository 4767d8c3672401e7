"""The changes that an apply causes: a comparison of the rendered and the live children, for the fields that the operator owns. Pure."""

import difflib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import yaml

from shop_operator.cli.diff.merge import written
from shop_operator.cli.diff.removed_fields import with_leftovers
from shop_operator.errors import Conflict, OperatorError
from shop_operator.names import KIND, NAME_LABEL, ChildId
from shop_operator.objects.compare import differences, owned_part
from shop_operator.objects.lenient import mappings
from shop_operator.objects.ownership import applied_by_operator, controlled_by, refusal

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """The change of one object, or the reason why the operator would not write it.

    Args:
        action: create, update or delete; conflict for an object of another owner, which is left unchanged; wait for an object
            that is written later.
        kind: the kind of the object.
        name: the name of the object.
        before: the live object, reduced to the fields that the operator owns or will own; None if it does not exist.
        after: the object after the apply; None if it is deleted.
        reason: the reason that the operator would report; empty if nothing prevents the change.
        message: the message that the operator would report.
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
        """The change of an object that the operator does not write because of an error."""
        action = "conflict" if isinstance(error, Conflict) else "wait"
        return cls(action, kind, name, None, after, error.reason, error.message)

    def to_dict(self) -> dict[str, Any]:
        """The change in the form of `-o json`."""
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
        """The change as a unified diff."""
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
    """The changes of the children in the order in which they are applied, followed by the deletions.

    Args:
        desired: the rendered children.
        live: the objects with the label of the ShopService, by (kind, name).
        uid: the UID of the live ShopService; only objects that it controls are deleted.
        find: returns the object of a kind and name without that label; None if it does not exist.
        kept: the objects that are not deleted although they are not rendered, by (kind, name).
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
            if wider != child or any(differences(child, there)):
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
    """The change of the ShopService itself; None if it does not change.

    Args:
        wanted: the ShopService after the apply.
        live: the live ShopService; None if it does not exist.
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
