"""Why a reconcile stopped, in one small tree: it decides whether to retry and what a condition says.

    OperatorError
    ├── PermanentError     manual intervention is required: Stalled
    │   ├── InvalidSpec    the ShopService asks for something that cannot be rendered
    │   ├── Conflict       an object of the wanted name belongs to another owner
    │   ├── RolledBack     the release failed, and the last good one is in its place
    │   ├── RollbackFailed the release failed, and the last good one cannot be rendered any more
    │   └── Refused        the API server rejected what was sent (schema, admission, quota); sent again with back-off
    └── TemporaryError     time or another controller heals it: Reconciling, backoff for ever
        ├── Unreachable    no answer from the API server: whatever else is asked will fail too
        ├── ApiUnavailable it answered 5xx, or others but not this request
        ├── Throttled      429; carries how long the server asks to wait
        ├── Forbidden      401, or 403 by RBAC: a grant may be on its way
        ├── NotInstalled   the API server does not know the kind: its CRD is missing
        ├── Stale          the object moved under the request (resourceVersion or UID precondition)
        ├── Exists         a create-only apply found an object of that name
        ├── Contested      another client repeatedly changes fields that the operator owns
        ├── Terminating    an object of the wanted name is still being deleted
        ├── InternalError  a bug of the operator
        └── NotLeader      the lease was lost: whoever holds it now does the work

Every message is a sentence that says what to do next; `reason` is the CamelCase reason of a
Kubernetes condition.
"""

from typing import ClassVar


class OperatorError(Exception):
    """The root of everything that a reconcile may raise on purpose."""

    reason: ClassVar[str] = "Error"

    @property
    def message(self) -> str:
        """The sentence that a condition shows."""
        return str(self)


class PermanentError(OperatorError):
    """Retrying the same input gives the same answer."""


class InvalidSpec(PermanentError):
    """The spec passed the API server's schema but cannot be rendered."""

    reason: ClassVar[str] = "InvalidSpec"


class Conflict(PermanentError):
    """An object of the desired name exists and its controller is not this ShopService."""

    reason: ClassVar[str] = "Conflict"


class RolledBack(PermanentError):
    """The release could not be rolled out, and the last one that was available is in its place."""

    reason: ClassVar[str] = "RolledBack"


class RollbackFailed(PermanentError):
    """The release could not be rolled out, and the last one that was available cannot be rendered any more."""

    reason: ClassVar[str] = "RollbackFailed"


class Refused(PermanentError):
    """The API server understood the request and said no. The same request may succeed once a policy or a quota is changed."""

    reason: ClassVar[str] = "Refused"


class TemporaryError(OperatorError):
    """The same input may succeed later.

    Args:
        message: what failed and what to do if it lasts.
        retry_after: seconds that the server asked to wait, or None to leave it to the queue's backoff.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unreachable(TemporaryError):
    """The API server did not answer in time, or at all."""

    reason: ClassVar[str] = "ApiUnavailable"


class ApiUnavailable(TemporaryError):
    """The API server, or an admission webhook behind it, answered 5xx, or not in time while it answered other requests."""

    reason: ClassVar[str] = "ApiUnavailable"


class Throttled(TemporaryError):
    """The API server answered 429."""

    reason: ClassVar[str] = "Throttled"


class Forbidden(TemporaryError):
    """The API server does not allow the request. Temporary, because a grant needs no change of the spec."""

    reason: ClassVar[str] = "Forbidden"


class NotInstalled(TemporaryError):
    """The API server does not serve the kind. Temporary, because installing its CRD changes no spec."""

    reason: ClassVar[str] = "NotInstalled"


class Stale(TemporaryError):
    """The object changed or vanished between the observation and the write."""

    reason: ClassVar[str] = "Stale"


class Exists(TemporaryError):
    """An object that the cache does not know has the wanted name; look at it before deciding."""

    reason: ClassVar[str] = "Exists"


class Contested(TemporaryError):
    """Another client changes the same fields as often as they are reverted, so they are reverted at a limited rate."""

    reason: ClassVar[str] = "Contested"


class Terminating(TemporaryError):
    """An object of the wanted name is being deleted; its DELETED event starts the next pass."""

    reason: ClassVar[str] = "Terminating"


class InternalError(TemporaryError):
    """A pass ended with an exception that the operator does not foresee."""

    reason: ClassVar[str] = "InternalError"


class NotLeader(TemporaryError):
    """This process may not write any more."""

    reason: ClassVar[str] = "NotLeader"
