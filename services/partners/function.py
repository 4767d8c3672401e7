"""The Lambda function `authorize-partner`: the authorizer of the API for partners (REQUEST, payload format 2.0).

API Gateway caches the result for the number of seconds that the template sets, so a revoked key is accepted until then. The
result contains the name of the partner and the scopes of the key. The services enforce the scopes of each operation.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from services.common.telemetry import emf, invocation, logs
from services.partners import app, handlers
from services.partners.app import Dependencies
from services.partners.config import Settings

log = logs.logger(__name__)

HEADER = "x-api-key"
# A key has 69 characters.
LONGEST = 128

Request = Mapping[str, Any]


def answer(request: Request, dependencies: Dependencies) -> dict[str, Any]:
    """The simple response of the authorizer: whether a request is authorized, and the partner."""
    found = None
    shown = str(request.get("headers", {}).get(HEADER, ""))
    if shown and len(shown) <= LONGEST:
        found = handlers.authorize(shown, keys=dependencies.keys, pepper=dependencies.pepper)
    if found is None:
        log.info("partner_refused")
        return {"isAuthorized": False}
    log.info("partner_authorized", partner=found.partner, key=found.id)
    return {
        "isAuthorized": True,
        "context": {"partner": found.partner, "scopes": " ".join(sorted(found.scopes)), "key": found.id},
    }


@cache
def _dependencies() -> Dependencies:
    return app.dependencies()


@emf.reported(Settings.service)
@invocation.traced(Settings.service, "http")
def handler(request: Request, _context: Any) -> dict[str, Any]:
    """The entry point of the Lambda function."""
    return answer(request, _dependencies())
