"""The result of a pass, as the reconciler hands it to the status writer."""

from collections.abc import Sequence
from dataclasses import dataclass

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import OperatorError, TemporaryError
from shop_operator.status.dependencies import Dependencies
from shop_operator.status.rollback import Release


@dataclass(frozen=True)
class Outcome:
    """The result of a pass.

    Args:
        problems: the errors.
        pods: the ShopService with the last good release, if that runs in place of the spec's.
        unrestored: the cause, as a sentence, why the last good release cannot replace the rejected one; empty if it can.
        release: the release that the spec asks for, with automatic rollback.
        dependencies: the dependencies of the ShopService; None without any.
        held: whether its pods wait for them.
        notes: clauses about fields of the spec that the cluster does not support.
        overruled: the children with fields to which the API server or a webhook gives other values than the spec.
        retained: objects that are kept for pods and clients of an earlier release.
    """

    problems: Sequence[OperatorError] = ()
    pods: ShopService | None = None
    unrestored: str = ""
    release: Release | None = None
    dependencies: Dependencies | None = None
    held: bool = False
    notes: Sequence[str] = ()
    overruled: Sequence[str] = ()
    retained: Sequence[str] = ()


def worst(problems: Sequence[OperatorError]) -> OperatorError | None:
    """The error that the status shows: a permanent one before a temporary one, the first of equals."""
    return min(problems, key=lambda problem: isinstance(problem, TemporaryError), default=None)
