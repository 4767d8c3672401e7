"""The table of HTTP statuses contains every error of the services."""

import importlib
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

import services
from services.common.http.errors import HttpError, InvalidRequest, TooManyRequests, headers_of, status_of
from services.common.values.errors import Conflict, NotFound, RuleBroken, ServiceError, Unavailable

CODE = [
    ".".join(path.with_suffix("").parts)
    for folder in services.__path__
    for path in (
        found.relative_to(Path(folder).parent)
        for name in ("domain", "handlers", "idempotency", "errors")
        for found in Path(folder).rglob(f"{name}.py")
    )
]


def below(kind: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for each in kind.__subclasses__():
        yield each
        yield from below(each)


def test_given_every_error_of_the_services_then_each_has_a_status_other_than_500() -> None:
    for module in CODE:
        importlib.import_module(module)

    errors = {each for each in below(ServiceError) if each.__module__.startswith("services.")} - {HttpError}

    assert {"services.order.domain", "services.product.handlers"} <= {each.__module__ for each in errors}
    for error in errors:
        assert status_of(error.__new__(error)) is not HTTPStatus.INTERNAL_SERVER_ERROR, error


class NoMore(NotFound):
    """A service's own error."""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRequest("no"), 400),
        (NoMore("no"), 404),
        (Conflict("no"), 409),
        (RuleBroken("no"), 422),
        (TooManyRequests("no"), 429),
        (Unavailable("no"), 503),
        (ServiceError("no"), 500),
    ],
)
def test_given_an_error_when_its_status_is_looked_up_then_the_nearest_base_class_determines_it(
    error: ServiceError, status: int
) -> None:
    assert status_of(error) == status


def test_given_an_error_with_headers_and_retry_after_when_its_headers_are_built_then_they_contain_both() -> (
    None
):
    error = TooManyRequests("no", headers={"X-Limit": "5"}, retry_after=3)

    assert headers_of(error) == {"X-Limit": "5", "Retry-After": "3"}
    assert headers_of(Unavailable("no")) == {"Retry-After": "1"}
    assert headers_of(NotFound("no")) == {}
