"""A service as a Lambda function (payload format 2.0) behaves as it does in a container."""

import base64
from typing import Any

import pytest
from flask import Flask, request

from services.common.http import function


@pytest.fixture
def handler() -> function.Handler:
    app = Flask("echo")

    @app.route("/<path:rest>", methods=["GET", "POST"])
    def echo(rest: str) -> dict[str, Any]:
        return {
            "path": f"/{rest}",
            "query": request.args.to_dict(),
            "body": request.get_data(as_text=True),
            "agent": request.headers.get("User-Agent"),
        }

    return function.http(app)


def event(path: str, stage: str = "$default", **more: Any) -> dict[str, Any]:
    """A request in payload format 2.0, without the fields that the application ignores."""
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "limit=2",
        "headers": {"user-agent": "test"},
        "requestContext": {
            "stage": stage,
            "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
        },
        "isBase64Encoded": False,
        **more,
    }


def test_given_a_lambda_event_when_it_is_handled_then_the_application_receives_the_complete_request(
    handler: function.Handler,
) -> None:
    answer = handler(event("/orders", body="hello"), None)

    assert answer["statusCode"] == 200
    assert answer["headers"]["content-type"] == "application/json"
    assert answer["isBase64Encoded"] is False
    for part in ('"path":"/orders"', '"limit":"2"', '"body":"hello"', '"agent":"test"'):
        assert part in answer["body"].replace(": ", ":")


def test_given_a_base64_body_when_the_event_is_handled_then_the_application_receives_the_decoded_bytes(
    handler: function.Handler,
) -> None:
    body = base64.b64encode(b"hello").decode()
    answer = handler(event("/orders", body=body, isBase64Encoded=True), None)

    assert '"hello"' in answer["body"]


@pytest.mark.parametrize(
    ("raw", "stage", "known"),
    [
        ("/orders/1", "$default", "/orders/1"),
        ("/v1/orders/1", "v1", "/orders/1"),
        ("/v1", "v1", "/"),
        ("/v1/", "v1", "/"),
        ("/orders/1", "v1", "/orders/1"),  # by a domain name of one's own
        ("/v1orders", "v1", "/v1orders"),
        ("/v1/v1/orders", "v1", "/v1/orders"),
    ],
)
def test_given_a_stage_when_its_name_precedes_the_path_then_the_application_receives_the_path_without_it(
    raw: str, stage: str, known: str
) -> None:
    assert function.path(event(raw, stage)) == known
