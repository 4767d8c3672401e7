"""The errors of HTTP itself, and the one table that makes an HTTP status of an error."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from services.common.values.errors import Conflict, NotFound, RuleBroken, ServiceError, Unavailable


class HttpError(ServiceError):
    """A request that no handler is asked about.

    Args:
        detail: what happened and what to do next, for whoever sent the request.
        extra: further members of the problem document.
        headers: further headers of the response.
    """

    def __init__(
        self,
        detail: str,
        *,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail, extra=extra, retry_after=retry_after)
        self.headers = dict(headers or {})


class InvalidRequest(HttpError):
    """The request is not well-formed."""


class Unauthorized(HttpError):
    """The caller is not authenticated. The header WWW-Authenticate of the response names what to send (RFC 9110)."""


class Forbidden(HttpError):
    """It is known who sent the request, and they may not."""


class TooManyRequests(HttpError):
    """The caller exceeds its rate; the same request may succeed later."""


STATUSES: Final[Mapping[type[ServiceError], HTTPStatus]] = {
    InvalidRequest: HTTPStatus.BAD_REQUEST,
    Unauthorized: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    RuleBroken: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


def status_of(error: ServiceError) -> HTTPStatus:
    """The status of the answer to a request that failed so: that of the nearest class in the table, else 500."""
    return next(
        (STATUSES[each] for each in type(error).__mro__ if each in STATUSES),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def headers_of(error: ServiceError) -> dict[str, str]:
    """The headers that such an answer has in addition."""
    headers = dict(error.headers) if isinstance(error, HttpError) else {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return headers
