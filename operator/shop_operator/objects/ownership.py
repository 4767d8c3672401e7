"""Which objects are a ShopService's own: those that it controls, and those without an owner that the operator has applied for it. Pure.

A child loses its owner by a hand edit or by `kubectl delete --cascade=orphan`. A manifest that was copied or restored has our
annotation and our labels as well, and belongs to its author: the API server's record of who applied an object tells them
apart.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from shop_operator.errors import Conflict, Terminating
from shop_operator.names import HASH_ANNOTATION, KIND, NAME_LABEL, ChildId
from shop_operator.objects.lenient import mapping, mappings

CONFLICT_RECHECK: Final = 30.0
"""Seconds until the operator looks again. A foreign object is not watched, since it lacks our label."""
_HASH: Final = re.compile(r"[0-9a-f]{32}")


def adoptable(live: Mapping[str, Any], shop: str, *, applied: bool) -> bool:
    """Whether an object that no controller owns is a child that has lost its owner.

    Args:
        live: the object.
        shop: the name of the ShopService that wants it.
        applied: whether its managedFields have an apply by the operator; snapshot.applied_by_operator.
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
    """The owner reference that is the controller's; empty when there is none."""
    return next(
        (each for each in mappings(obj["metadata"].get("ownerReferences")) if each.get("controller")), {}
    )


def check_owner(child: ChildId, live: Mapping[str, Any], shop: str, uid: str, *, applied: bool) -> None:
    """Pass only objects that this very ShopService controls and that are there to stay.

    Args:
        child: the kind and the name that the ShopService wants.
        live: the object of that kind and name.
        shop: the name of the ShopService.
        uid: of the ShopService.
        applied: see adoptable.

    Raises:
        Terminating: it is being deleted, or goes with a deleted ShopService of the same name.
        Conflict: it has another owner.
    """
    metadata, controller = live["metadata"], controller_of(live)
    if controller.get("uid") == uid:
        if "deletionTimestamp" in metadata:
            held = ", ".join(metadata.get("finalizers", ())) or "its grace period"
            raise Terminating(
                f"{child} is being deleted and waits for {held}; it is created again afterwards."
            )
        return
    if not controller and adoptable(live, shop, applied=applied):
        return
    if not controller:
        whose = "was not created by the operator"
    elif controller.get("kind") == KIND and "deletionTimestamp" in metadata:
        raise Terminating(f"{child} of a deleted ShopService is still being deleted.")
    else:
        whose = f"belongs to {controller.get('kind')} {controller.get('name')}"
    raise Conflict(
        f"{child} already exists and {whose}. Delete or rename it, or give this ShopService another name; "
        f"the operator retries every {CONFLICT_RECHECK:.0f} s."
    )
