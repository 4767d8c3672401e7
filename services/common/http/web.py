"""The common frame of every HTTP service: errors, probes, metrics, logs and the OpenAPI document.

`create_app` adds them to the blueprints of a service, and `add_frame` adds what pages need of them. Each request produces one log line, one metric and one span of a trace.
Each error is a problem document (RFC 9457). /openapi.json describes the API.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, cast

import orjson
import structlog
from botocore.exceptions import BotoCoreError, ClientError
from flask import Flask, Response, g, request
from flask.json.provider import JSONProvider
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.info import Info
from flask_openapi3.models.security_scheme import SecurityScheme
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from werkzeug.exceptions import HTTPException

from services.common.aws.clients import is_temporary
from services.common.http import spans
from services.common.http.auth import Verifier, insufficient
from services.common.http.errors import InvalidRequest, headers_of, status_of
from services.common.http.front import LARGEST_BODY
from services.common.runtime.worker import failing
from services.common.telemetry import exposition, logs, metrics, tracing
from services.common.telemetry.redaction import redact_line
from services.common.values.caller import Caller
from services.common.values.errors import ServiceError, Unavailable, UnreadableRow

log = logs.logger(__name__)
Ready = Mapping[str, Callable[[], object]]

PROBLEM = "application/problem+json"
_RETRY_AFTER = {"Retry-After": "1"}
_RETRY_ONCE_REPAIRED = 60
_OWN_PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json"})
# For the `security` of an operation: `[for_customers("orders:read"), FOR_MACHINES]`.
FOR_MACHINES: dict[str, list[str]] = {"machine": []}
# Additional errors of an operation with `security`.
CLOSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
SECURITY_SCHEMES: dict[str, SecurityScheme | dict[str, Any]] = {
    "customer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Access token of the shop's Amazon Cognito user pool, with the required scopes",
    },
    "machine": {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "description": "AWS Signature Version 4, accepted by the API for machines",
        "x-amazon-apigateway-authtype": "awsSigv4",
    },
}
# The names of fields and headers in the models.
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")
_METHODS = frozenset({"get", "post", "put", "patch", "delete"})


def blueprint(name: str, module: str, tag: Tag, operation: str = "{name}") -> APIBlueprint:
    """The blueprint of a service.

    Args:
        name: name of the blueprint.
        module: name of its module.
        tag: tag of its operations.
        operation: operation ID of each operation, in which `{name}` is the name of its function.
    """

    def operation_id(*, name: str, **_where: str) -> str:
        return operation.format(name=name)

    return APIBlueprint(name, module, abp_tags=[tag], operation_id_callback=operation_id)


def for_customers(*scopes: str) -> dict[str, list[str]]:
    """The `security` of an operation for customers whose tokens have all scopes."""
    return {"customer": list(scopes)}


class FieldError(BaseModel):
    """An invalid field of a request."""

    field: str = Field(description="Path of the field, such as body.items.0.quantity")
    message: str = Field(description="Human-readable description of the error")


class Problem(BaseModel):
    """A problem document (RFC 9457). Additional members may be present."""

    model_config = ConfigDict(extra="allow")

    type: str = Field("about:blank", description="URI of the problem type")
    title: str = Field(description="Title of the problem type")
    status: int = Field(description="HTTP status code")
    detail: str = Field(description="Human-readable explanation, with the next step if there is one")
    trace_id: str = Field(description="ID of the request in the logs; include it when you report the problem")
    errors: list[FieldError] | None = Field(None, description="Invalid fields of the request")


class Parameters(BaseModel):
    """Base of query, header and path models. Caches the schema, which flask-openapi3 requests at every request."""

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As in pydantic, but computed once."""
        return _kept_schema(cls, *args, **kwargs)


@cache
def _kept_schema(model: type[Parameters], *args: Any, **kwargs: Any) -> dict[str, Any]:
    return super(Parameters, model).model_json_schema(*args, **kwargs)


def problems(*statuses: HTTPStatus) -> dict[str | int, type[BaseModel] | dict[Any, Any] | None]:
    """The `responses` of an operation for its possible errors, in the OpenAPI document."""
    return {int(status): _problem_response(status.phrase) for status in statuses}


def answered_with(**headers: str) -> ConfigDict:
    """The `model_config` of a response with headers (name -> description), for the OpenAPI document."""
    described = {
        name: {"description": description, "schema": {"type": "string"}}
        for name, description in headers.items()
    }
    return cast("ConfigDict", {"openapi_extra": {"headers": described}})


def create_app(
    *, name: str, version: str, apis: Sequence[APIBlueprint], ready: Ready, verifier: Verifier | None = None
) -> OpenAPI:
    """A Flask application with the blueprints of a service.

    Args:
        name: name of the service.
        version: version of its API.
        apis: its blueprints. An operation that declares `security` rejects all other callers, see `for_customers`.
        ready: checks of /readyz by name. If a check raises an exception, the response is 503. /healthz checks nothing.
        verifier: authenticates requests. Not required if all operations are public.

    Raises:
        ValueError: an operation declares `security`, but there is no verifier.
    """
    app = _App(
        name,
        info=Info(title=name, version=version),
        doc_ui=False,
        validation_error_status=HTTPStatus.BAD_REQUEST.value,
        validation_error_model=Problem,
        validation_error_callback=_on_invalid,
        static_folder=None,
        security_schemes=SECURITY_SCHEMES if verifier else None,
    )
    app.json = _Json(app)
    add_frame(app, ready)
    app.register_error_handler(ServiceError, _on_service_error)
    app.register_error_handler(HTTPException, _on_http_error)
    app.register_error_handler(BotoCoreError, _on_aws_error)
    app.register_error_handler(ClientError, _on_aws_error)
    app.register_error_handler(UnreadableRow, _on_unreadable_row)
    app.register_error_handler(Exception, _on_unexpected)
    for api in apis:
        app.register_api(api)
    _add_document(app)
    _guard(app, verifier)
    return app


def add_frame(app: Flask, ready: Ready) -> None:
    """Adds what APIs and pages have in common: a limit of the body, the log line, metric and span of each request, and probes.

    Args:
        app: the application, which handles its errors itself. It also handles `InvalidRequest`, for a query that is not UTF-8.
        ready: checks of /readyz by name, as for `create_app`.
    """
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_leave)
    _add_probes(app, ready)


def _guard(app: OpenAPI, verifier: Verifier | None) -> None:
    """Authenticates and authorizes each request to an operation with `security` before it is parsed."""
    declared = {
        (path, method.upper()): operation["security"]
        for path, operations in app.api_doc["paths"].items()
        for method, operation in operations.items()
        if method in _METHODS and operation.get("security")
    }
    if not declared:
        return
    if verifier is None:
        raise ValueError(f"no authentication is configured for {', '.join(path for path, _ in declared)}")

    def authorize() -> None:
        if request.url_rule is None:
            return
        path = spans.template(request.url_rule.rule)
        alternatives = declared.get((path, "GET" if request.method == "HEAD" else request.method))
        if alternatives is None:
            return
        g.is_private = True
        g.caller = verifier.verify(request)
        _permit(g.caller, {name: scopes for each in alternatives for name, scopes in each.items()})

    app.before_request(authorize)


def _permit(caller: Caller, alternatives: Mapping[str, list[str]]) -> None:
    if caller.machine and "machine" in alternatives:
        return
    scopes = alternatives["customer"]
    if caller.machine or not all(caller.has(scope) for scope in scopes):
        raise insufficient(scopes)


def caller() -> Caller:
    """The authenticated sender of the current request to an operation that declares `security`."""
    sender: Caller = g.caller
    return sender


class _App(OpenAPI):
    def generate_spec_json(self) -> None:
        """Completes the document: flask-openapi3 does not support the media type of RFC 9457."""
        super().generate_spec_json()  # type: ignore[no-untyped-call]  # flask-openapi3 left it out
        for path in self.spec_json["paths"].values():
            for operation in (operation for method, operation in path.items() if method in _METHODS):
                # Descriptions in OpenAPI are CommonMark, in which a line break does not end a paragraph.
                operation["description"] = operation.get("description", "").replace("<br/>", "\n")
                operation["responses"] |= {
                    "400": _problem_response(HTTPStatus.BAD_REQUEST.phrase),
                    "default": _problem_response("Any other error"),
                }
        if self.security_schemes is None:
            del self.spec_json["components"]["securitySchemes"]


class _Json(JSONProvider):
    def dumps(self, obj: Any, **_kwargs: Any) -> str:
        return orjson.dumps(obj, default=_plain).decode()

    def loads(self, s: str | bytes, **_kwargs: Any) -> Any:
        return orjson.loads(s)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} is not JSON")


def _problem_response(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _add_probes(app: Flask, ready: Ready) -> None:
    def healthz() -> Response:
        return json_response({"status": "ok"})

    def readyz() -> Response:
        failures = failing(ready)
        if failures:
            return json_response(
                {"status": "failing", "failing": failures}, HTTPStatus.SERVICE_UNAVAILABLE, _RETRY_AFTER
            )
        return json_response({"status": "ok"})

    def metrics() -> Response:
        content_type, body = exposition.scrape(request.headers.get("Accept", ""))
        return Response(body, content_type=content_type)

    for view in (healthz, readyz, metrics):
        app.add_url_rule(f"/{view.__name__}", view_func=view)


def _add_document(app: OpenAPI) -> None:
    @cache
    def document() -> bytes:
        return orjson.dumps(app.api_doc)

    def openapi() -> Response:
        return Response(document(), mimetype="application/json")

    app.add_url_rule("/openapi.json", view_func=openapi)


def _begin() -> None:
    g.started = time.perf_counter()
    # The threads of the server are reused: a request must not log fields of an earlier one.
    structlog.contextvars.clear_contextvars()
    g.traced = tracing.untraced() if request.path in _OWN_PATHS else spans.received(request)
    g.span = g.traced.__enter__()
    try:
        request.query_string.decode()  # werkzeug would fail on it later with an internal error
    except UnicodeDecodeError:
        request.query_string = b""  # the page of the error may read the query
        raise InvalidRequest("the query is not valid UTF-8; percent-encode it (RFC 3986, 2.5)") from None


def _leave(_error: BaseException | None) -> None:
    traced = g.pop("traced", None)
    if traced is not None:
        traced.__exit__(None, None, None)


def _end(response: Response) -> Response:
    if g.get("is_private"):
        # Responses to one caller, including rejections, must not be cached for others (RFC 9111, 5.2.2.5).
        response.headers["Cache-Control"] = "no-store"
    if request.path in _OWN_PATHS:
        return response
    spans.answered(g.span, response.status_code, g.get("error_type"))
    seconds = time.perf_counter() - g.started
    route = request.url_rule.rule if request.url_rule else "none"
    # Arbitrary values of clients must not increase the number of time series.
    method = request.method if request.method in spans.METHODS else "other"
    # Server errors are logged at every log level, because alarms count them.
    failed = response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    metrics.of_route(method, route).record(response.status_code, seconds, tracing.exemplar())
    # Never the path as it was sent: it is text of the client, and may contain anything.
    (log.error if failed else log.info)(
        "request", method=method, route=route, status=response.status_code, seconds=round(seconds, 4)
    )
    return response


def json_response(
    body: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON response. Pydantic models in the body become objects."""
    return Response(json_bytes(body), int(status), dict(headers or {}), content_type="application/json")


def json_bytes(body: Any) -> bytes:
    """The body of a JSON response. Pydantic models become objects."""
    return orjson.dumps(body, default=_plain)


def problem(
    status: HTTPStatus,
    title: str,
    detail: str,
    *,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document as a response."""
    body = {
        **(extra or {}),
        "type": "about:blank",
        "title": title,
        "status": int(status),
        "detail": detail,
        "trace_id": tracing.trace_id(),
    }
    # The client may have sent a secret where it does not belong, and its response may be logged or displayed.
    content = redact_line(orjson.dumps(body))
    return Response(content, status=int(status), headers=dict(headers or {}), content_type=PROBLEM)


def _on_service_error(error: ServiceError) -> Response:
    status = status_of(error)
    return problem(status, status.phrase, error.detail, extra=error.extra, headers=headers_of(error))


def _on_invalid(error: ValidationError) -> Response:
    if request.is_json or not request.content_length:
        return _on_service_error(_invalid(error))
    return problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE.phrase,
        "send the body with Content-Type: application/json",
    )


def _invalid(error: ValidationError) -> InvalidRequest:
    # Never includes the input: it may contain a payment token.
    found = error.errors(include_url=False, include_context=False, include_input=False)
    errors = [
        {"field": ".".join(map(_part, item["loc"])) or "body", "message": item["msg"]} for item in found
    ]
    return InvalidRequest(
        "; ".join(f"{item['field']}: {item['message']}" for item in errors), extra={"errors": errors}
    )


def _part(part: str | int) -> str:
    """A part of the path of a field. The name of an unknown field is text of the client, which may be anything."""
    return str(part) if isinstance(part, int) or _FIELD.fullmatch(part) else "?"


def _on_http_error(error: HTTPException) -> Response:
    if error.response is not None:
        return cast("Response", error.response)
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    own = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    return problem(status, status.phrase, status.description, headers=own)


def _on_aws_error(error: BotoCoreError | ClientError) -> Response:
    if not is_temporary(error):
        return _on_unexpected(error)
    log.warning("dependency_unavailable", error=str(error))
    return _on_service_error(Unavailable("a required service is unavailable; retry the request"))


def _on_unreadable_row(_error: UnreadableRow) -> Response:
    # The error was logged and counted where the row was read. A 404 would be wrong: the order service would take it for a
    # payment or shipment that does not exist yet. Another version of this service may be able to read the row.
    return _on_service_error(
        Unavailable(
            "the stored data cannot be read; retry later, and include the trace_id when you report the problem",
            retry_after=_RETRY_ONCE_REPAIRED,
        )
    )


def _on_unexpected(error: Exception) -> Response:
    g.error_type = type(error).__qualname__
    log.error("request_failed", exc_info=error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return problem(status, status.phrase, "internal error; include the trace_id when you report the problem")
