"""The common frame of the HTTP services."""

from http import HTTPStatus
from typing import Any

import orjson
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from flask.testing import FlaskClient
from flask_openapi3.blueprint import APIBlueprint
from openapi_spec_validator import validate

from services.common.http import web
from services.common.telemetry import metrics
from services.common.values.errors import Conflict, NotFound, UnreadableRow

FAILURES: dict[str, Exception] = {
    "conflict": Conflict("used already", extra={"other": "1"}, retry_after=7),
    "missing": NotFound("nothing there"),
    "unreadable": UnreadableRow("the row ORDER#1 ORDER cannot be read: KeyError('an inner secret')"),
    "bug": RuntimeError("an inner secret"),
    "away": EndpointConnectionError(endpoint_url="http://aws"),
    "throttled": ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "GetItem"),
    "forbidden": ClientError(
        {"Error": {"Code": "AccessDeniedException", "Message": "an inner secret"}}, "GetItem"
    ),
}


class Path(web.Parameters):
    kind: str


def broken() -> None:
    raise ConnectionError


@pytest.fixture
def client() -> FlaskClient:
    api = APIBlueprint("things", __name__)

    @api.get("/things/<string:kind>", responses=web.problems(HTTPStatus.NOT_FOUND))
    def fail(path: Path) -> None:
        raise FAILURES[path.kind]

    return web.create_app(
        name="things", version="1", apis=[api], ready={"table": lambda: None, "queue": broken}
    ).test_client()


def problem(client: FlaskClient, kind: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    response = client.get(f"/things/{kind}")
    assert response.content_type == "application/problem+json"
    return response.status_code, orjson.loads(response.data), dict(response.headers)


def test_given_an_error_with_extra_members_when_it_is_raised_then_the_problem_document_contains_them(
    client: FlaskClient,
) -> None:
    status, body, headers = problem(client, "conflict")

    assert status == body["status"] == HTTPStatus.CONFLICT
    assert (body["type"], body["title"], body["detail"]) == ("about:blank", "Conflict", "used already")
    assert body["other"] == "1"
    assert headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("missing", 404),
        ("unreadable", 503),
        ("bug", 500),
        ("away", 503),
        ("throttled", 503),
        ("forbidden", 500),
    ],
)
def test_given_a_failure_when_it_is_raised_then_the_response_has_its_status_and_reveals_no_secret(
    client: FlaskClient, kind: str, status: int
) -> None:
    answered, body, _ = problem(client, kind)

    assert answered == status
    assert "inner secret" not in repr(body)


def test_given_an_unreadable_row_when_it_is_requested_then_the_response_allows_a_retry_after_a_minute(
    client: FlaskClient,
) -> None:
    _, body, headers = problem(client, "unreadable")

    assert headers["Retry-After"] == "60"
    assert "cannot be read" in body["detail"]


def test_given_a_traceparent_header_when_a_request_fails_then_the_problem_contains_its_trace_id(
    client: FlaskClient,
) -> None:
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}

    body = orjson.loads(client.get("/things/bug", headers=headers).data)

    assert body["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_given_a_query_that_is_not_utf_8_when_a_request_is_sent_then_the_response_is_400(
    client: FlaskClient,
) -> None:
    answer = client.get("/things/missing", environ_overrides={"QUERY_STRING": "\x80"})

    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert "percent-encode" in orjson.loads(answer.data)["detail"]


def test_given_an_unknown_path_or_method_when_a_request_is_sent_then_the_response_is_a_problem_document(
    client: FlaskClient,
) -> None:
    assert client.get("/nothing").content_type == "application/problem+json"
    response = client.post("/things/1")
    assert response.status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert "GET" in response.headers["Allow"]


def test_given_an_unavailable_dependency_when_the_probes_run_then_only_readiness_fails(
    client: FlaskClient,
) -> None:
    assert client.get("/healthz").status_code == HTTPStatus.OK
    response = client.get("/readyz")
    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert orjson.loads(response.data)["failing"] == {"queue": "ConnectionError"}


def test_given_a_path_parameter_when_a_request_is_counted_then_the_metric_is_labeled_with_the_route(
    client: FlaskClient,
) -> None:
    counter = metrics.HTTP_REQUESTS.labels("GET", "/things/<string:kind>", 404)
    before = counter._value.get()

    client.get("/things/missing")

    assert counter._value.get() == before + 1
    assert b"http_request_duration_seconds_bucket" in client.get("/metrics").data


def test_given_a_first_request_when_it_is_counted_then_the_series_of_later_errors_begin_with_zero(
    client: FlaskClient,
) -> None:
    client.post("/healthz/none")

    text = client.get("/metrics").text
    for status in (500, 503):
        assert f'http_requests_total{{method="POST",route="none",status="{status}"}} 0.0' in text


def test_given_unknown_methods_when_requests_are_counted_then_they_share_one_time_series(
    client: FlaskClient,
) -> None:
    counter = metrics.HTTP_REQUESTS.labels("other", "none", 404)
    before = counter._value.get()

    for method in ("SECA1", "SECA2", "SECA3"):
        client.open("/nothing", method=method)

    assert counter._value.get() == before + 3
    assert b"SECA" not in client.get("/metrics").data


def test_when_the_openapi_document_is_requested_then_it_is_valid_and_its_errors_are_problem_documents(
    client: FlaskClient,
) -> None:
    spec = orjson.loads(client.get("/openapi.json").data)

    validate(spec)
    responses = spec["paths"]["/things/{kind}"]["get"]["responses"]
    assert {media for response in responses.values() for media in response["content"]} == {web.PROBLEM}
