"""The errors of a reconcile. Their class decides whether the operator retries, and which condition reports them.

    OperatorError
    ├── PermanentError     manual intervention is required: Stalled
    │   ├── InvalidSpec    the spec cannot be rendered
    │   ├── Conflict       an object of the desired name belongs to another owner
    │   ├── RolledBack     the release failed and was replaced by the last good one
    │   ├── RollbackFailed the release failed, and the last good one cannot be rendered any more
    │   └── Refused        the API server rejected a request (schema, admission, quota); it is sent again with backoff
    └── TemporaryError     no intervention is required yet: Reconciling, retried with backoff indefinitely
        ├── Unreachable    no response from the API server; other requests will fail too
        ├── ApiUnavailable a 5xx response, or no response to this request only
        ├── Throttled      a 429 response, with the delay that the server requests
        ├── Forbidden      a 401 response, or a 403 response by RBAC; a role may be added later
        ├── NotInstalled   the API server does not serve the kind, because its CRD is not installed
        ├── Stale          the object changed before the write (resourceVersion or UID precondition)
        ├── Exists         a create-only apply found an object of that name
        ├── Contested      another client repeatedly changes fields that the operator owns, or deletes a child
        ├── Terminating    an object of the desired name is still being deleted
        ├── InternalError  a bug in the operator
        └── NotLeader      the Lease was lost, and another replica continues the work

Every message is a sentence that includes what to do next. `reason` is the CamelCase reason of a
Kubernetes condition.
"""

from typing import ClassVar


class OperatorError(Exception):
    """The base of all errors that a reconcile raises."""

    reason: ClassVar[str] = "Error"

    @property
    def message(self) -> str:
        """The message of a condition."""
        return str(self)


class PermanentError(OperatorError):
    """The same input fails again; manual intervention is required."""


class InvalidSpec(PermanentError):
    """The spec is valid by the schema of the API server and cannot be rendered."""

    reason: ClassVar[str] = "InvalidSpec"


class Conflict(PermanentError):
    """An object of the desired name exists, and its controller is not this ShopService."""

    reason: ClassVar[str] = "Conflict"


class RolledBack(PermanentError):
    """The release failed and was replaced by the last good one."""

    reason: ClassVar[str] = "RolledBack"


class RollbackFailed(PermanentError):
    """The release failed, and the last good one cannot be rendered any more."""

    reason: ClassVar[str] = "RollbackFailed"


class Refused(PermanentError):
    """The API server rejected a valid request. The same request may succeed after a change of a policy or a quota."""

    reason: ClassVar[str] = "Refused"


class TemporaryError(OperatorError):
    """The same input may succeed later.

    Args:
        message: the failure, and what to do if it persists.
        retry_after: the delay that the server requested, in seconds; None for the backoff of the queue.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unreachable(TemporaryError):
    """The API server did not respond in time."""

    reason: ClassVar[str] = "ApiUnavailable"


class ApiUnavailable(TemporaryError):
    """The API server or an admission webhook responded with 5xx, or did not respond in time to this request only."""

    reason: ClassVar[str] = "ApiUnavailable"


class Throttled(TemporaryError):
    """The API server responded with 429."""

    reason: ClassVar[str] = "Throttled"


class Forbidden(TemporaryError):
    """The API server does not allow the request. Temporary, because a new role requires no change of the spec."""

    reason: ClassVar[str] = "Forbidden"


class NotInstalled(TemporaryError):
    """The API server does not serve the kind. Temporary, because the installation of its CRD requires no change of the spec."""

    reason: ClassVar[str] = "NotInstalled"


class Stale(TemporaryError):
    """The object was changed or deleted between the observation and the write."""

    reason: ClassVar[str] = "Stale"


class Exists(TemporaryError):
    """An object of the desired name exists that the cache does not contain. It must be read first."""

    reason: ClassVar[str] = "Exists"


class Contested(TemporaryError):
    """Another client repeats a change or a deletion whenever it is reverted, so it is reverted at a limited rate."""

    reason: ClassVar[str] = "Contested"


class Terminating(TemporaryError):
    """An object of the desired name is being deleted. Its DELETED event starts the next pass."""

    reason: ClassVar[str] = "Terminating"


class InternalError(TemporaryError):
    """A pass raised an unexpected exception."""

    reason: ClassVar[str] = "InternalError"


class NotLeader(TemporaryError):
    """This process is not the leader and must not write."""

    reason: ClassVar[str] = "NotLeader"
