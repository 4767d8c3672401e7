"""The errors of the services, in trees that know no protocol.

A handler raises a `ServiceError` if it cannot fulfill a request; `http.errors` maps it to an HTTP status. The handler of a
task raises `TaskFailed` to reject the task for a business reason, and `PermanentError` if no retry can succeed.
`messaging.permanent` classifies all other exceptions of a task.
"""

from collections.abc import Mapping
from typing import Any


class ServiceError(Exception):
    """A request that cannot be fulfilled.

    Args:
        detail: what happened and what to do next, for the sender of the request.
        extra: machine-readable details, by name.
        retry_after: seconds after which the same request may succeed; None if unknown.
    """

    def __init__(
        self, detail: str, *, extra: Mapping[str, Any] | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = dict(extra or {})
        self.retry_after = retry_after


class NotFound(ServiceError):
    """The resource does not exist."""


class Conflict(ServiceError):
    """The request conflicts with the current state of the resource."""


class RuleBroken(ServiceError):
    """The request is well-formed, but violates a rule."""


class Unavailable(ServiceError):
    """A required service is unavailable. The same request may succeed later."""

    def __init__(
        self, detail: str, *, extra: Mapping[str, Any] | None = None, retry_after: int | None = 1
    ) -> None:
        super().__init__(detail, extra=extra, retry_after=retry_after)


class Stale(Exception):
    """The data that a decision was based on has been written since, or is being written: read it again and decide again."""


class Unanswered(Exception):
    """An outside service did not answer. It may have performed the request. The same call may succeed later.

    Base of the errors that the ports of outside services raise.
    """


class PermanentError(Exception):
    """An error that no retry can solve: an operator has to correct something first.

    The consumer moves such a message to the dead-letter queue within a minute or two instead of hours.
    """


class InvalidValue(PermanentError):
    """A value that an outside service cannot accept, such as a key that is too long. Raised by the adapters."""


class UnreadableRow(ValueError):
    """A row that cannot be parsed: another version of the service, or a manual edit, has written it."""


class TaskFailed(Exception):
    """A task that is rejected for a business reason: the workflow receives the reason, and the task is not retried.

    Args:
        error: error code, which the `Catch` of the workflow names.
        cause: human-readable reason.
    """

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause
