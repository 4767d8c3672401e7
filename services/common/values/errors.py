"""Every error that a service answers with, in one tree.

An HTTP service raises a `ServiceError`; `web` turns it into an RFC 9457 problem. A task's handler raises `TaskFailed`
when the answer is a well-founded no, and `Unrecoverable` when no further try can help; of every other exception there
`hopeless` says whether it means "try again later".
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar


class ServiceError(Exception):
    """A request that cannot be answered with what it asked for.

    Args:
        detail: what happened and what to do next, for whoever sent the request.
        extra: further members of the problem document.
        headers: further headers of the response.
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    type: ClassVar[str] = "about:blank"

    def __init__(
        self,
        detail: str,
        *,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})

    @property
    def title(self) -> str:
        """The short name of the status, as RFC 9457 asks for when `type` is about:blank."""
        return self.status.phrase


class InvalidRequest(ServiceError):
    """The request is not well-formed."""

    status = HTTPStatus.BAD_REQUEST


class Unauthorized(ServiceError):
    """Nobody knows who sent the request. Its header WWW-Authenticate says what to send (RFC 9110)."""

    status = HTTPStatus.UNAUTHORIZED


class Forbidden(ServiceError):
    """It is known who sent the request, and they may not."""

    status = HTTPStatus.FORBIDDEN


class NotFound(ServiceError):
    """There is no such thing."""

    status = HTTPStatus.NOT_FOUND


class Conflict(ServiceError):
    """The request does not fit the present state."""

    status = HTTPStatus.CONFLICT


class Unprocessable(ServiceError):
    """The request is well-formed, and cannot be done."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TooManyRequests(ServiceError):
    """The caller exceeds its rate; the same request may succeed later."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class Unavailable(ServiceError):
    """Something that this service needs does not answer; the same request may succeed later."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(
        self,
        detail: str,
        *,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail, extra=extra, headers={"Retry-After": "1", **(headers or {})})


class Unrecoverable(Exception):
    """What the same message cannot do however often it is tried: an operator has to mend something first.

    The consumer moves such a message to the dead letters within a minute instead of hours.
    """


class TaskFailed(Exception):
    """A task that is refused for a reason of business: the workflow is told, and nobody tries again.

    Args:
        error: the code that the workflow's `Catch` names.
        cause: the reason, for people.
    """

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause
