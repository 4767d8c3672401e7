"""The ownership policy: a ShopService writes only the objects that it controls, and orphans that the operator applied for it. Pure.

A child loses its owner by a manual edit or by `kubectl delete --cascade=orphan`. A manifest that was copied or restored has the
operator's annotation and labels too, but belongs to its author. The managedFields of the API server distinguish the two.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from shop_operator.errors import Conflict, Terminating
from shop_operator.names import FIELD_MANAGER, HASH_ANNOTATION, KIND, NAME_LABEL, ChildId
from shop_operator.objects.lenient import mapping, mappings

CONFLICT_RECHECK: Final = 30.0
"""Seconds until the operator checks again. An object without the operator's label is not watched."""
_HASH: Final = re.compile(r"[0-9a-f]{32}")


def adoptable(live: Mapping[str, Any], shop: str, *, applied: bool) -> bool:
    """Whether an object without a controller is a child that has lost its owner.

    Args:
        live: the object.
        shop: the name of the ShopService that wants it.
        applied: whether its managedFields contain an apply by the operator; applied_by_operator.
    """
    metadata = mapping(live.get("metadata"))
    digest = mapping(metadata.get("annotations")).get(HASH_ANNOTATION)
    labels = mapping(metadata.get("labels"))
    return (
        applied
        and isinstance(digest, str)
        and _HASH.fullmatch(digest) is not None
        and labels.get(NAME_LABEL) == shop
    )


def controller_of(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """The owner reference of the controller; empty if the object has none."""
    return next(
        (each for each in mappings(obj["metadata"].get("ownerReferences")) if each.get("controller")), {}
    )


def controlled_by(obj: Mapping[str, Any], uid: str) -> bool:
    """Whether the owner with that UID controls an object."""
    return bool(controller_of(obj).get("uid") == uid)


def applied_by_operator(managed: Iterable[Mapping[str, Any]]) -> bool:
    """Whether managedFields contain an apply by the operator. The API server maintains them, so an author cannot forge them."""
    return any(map(is_apply_by_operator, managed))


def is_apply_by_operator(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of managedFields records an apply by the operator."""
    return (
        entry.get("manager") == FIELD_MANAGER
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
    )


def refusal(
    child: ChildId, live: Mapping[str, Any], shop: str, uid: str, *, applied: bool
) -> Conflict | Terminating | None:
    """The reason why a ShopService may not write an object: another owner, or a pending deletion.

    Args:
        child: the kind and the name of the child.
        live: the object of that kind and name.
        shop: the name of the ShopService.
        uid: the UID of the ShopService.
        applied: see adoptable.

    Returns:
        Terminating if the object is being deleted, or belongs to a deleted ShopService of the same name; Conflict if it has
        another owner; None if the ShopService controls it or may adopt it.
    """
    metadata, controller = live["metadata"], controller_of(live)
    if controlled_by(live, uid):
        if "deletionTimestamp" not in metadata:
            return None
        held = ", ".join(metadata.get("finalizers", ())) or "its grace period"
        return Terminating(f"{child} is being deleted and waits for {held}; it is created again afterwards.")
    if controller.get("kind") == KIND and "deletionTimestamp" in metadata:
        return Terminating(f"{child} of a deleted ShopService is still being deleted.")
    if controller:
        return _conflict(child, f"belongs to {controller.get('kind')} {controller.get('name')}")
    if adoptable(live, shop, applied=applied):
        return None
    return _conflict(child, "was not created by the operator")


def _conflict(child: ChildId, reason: str) -> Conflict:
    return Conflict(
        f"{child} already exists and {reason}. Delete or rename it, or give this ShopService another name; "
        f"the operator retries every {CONFLICT_RECHECK:.0f} s."
    )
