"""The errors of HTTP itself, and the table that maps errors to HTTP statuses."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from services.common.values.errors import Conflict, NotFound, RuleBroken, ServiceError, Unavailable


class HttpError(ServiceError):
    """A request that is rejected before it reaches a handler.

    Args:
        detail: what happened and what to do next, for the sender of the request.
        extra: additional members of the problem document.
        headers: additional headers of the response.
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
    """The caller is authenticated, but may not perform the operation."""


class TooManyRequests(HttpError):
    """The caller exceeds its rate limit. The same request may succeed later."""


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
    """The HTTP status of an error: that of the nearest class in the table, otherwise 500."""
    return next(
        (STATUSES[each] for each in type(error).__mro__ if each in STATUSES),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def headers_of(error: ServiceError) -> dict[str, str]:
    """The additional headers of a response to an error."""
    headers = dict(error.headers) if isinstance(error, HttpError) else {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return headers
