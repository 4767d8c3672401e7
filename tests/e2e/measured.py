"""The program of the service that test_canary.py releases: the HTTP frame and the metrics of the services of the shop, and a fault.

VERSION is in each response. With FAIL_EVERY, one response in that many is a 500. With DELAY_SECONDS, each response is late.
"""

import itertools
import os
import time
from http import HTTPStatus

from flask import Response
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI

from services.common.http.web import blueprint, create_app, json_response
from services.common.telemetry import logs

_VERSION = os.environ["VERSION"]
_FAIL_EVERY = int(os.environ.get("FAIL_EVERY", "0"))
_DELAY_SECONDS = float(os.environ.get("DELAY_SECONDS", "0"))
_numbers = itertools.count(1)
_api = blueprint("measured", __name__, Tag(name="measured"))


@_api.get("/measured")
def measured() -> Response:
    """The version."""
    time.sleep(_DELAY_SECONDS)
    fails = _FAIL_EVERY and next(_numbers) % _FAIL_EVERY == 0
    status = HTTPStatus.INTERNAL_SERVER_ERROR if fails else HTTPStatus.OK
    return json_response({"version": _VERSION}, status)


def application() -> OpenAPI:
    """The WSGI application."""
    logs.configure("measured", "WARNING")
    return create_app(name="measured", version=_VERSION, apis=[_api], ready={})
