"""The function `authorize-partner` of AWS Lambda: the authorizer of the partners' API (REQUEST, payload format 2.0).

API Gateway caches an answer for the seconds that the template sets: a revoked key is accepted until then.
The answer names the partner and the key's scopes; the services enforce the scopes of each operation.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from services.common.runtime import telemetry
from services.partners import app, handlers
from services.partners.app import Dependencies

log = telemetry.logger(__name__)

HEADER = "x-api-key"
# A key has 69 characters.
LONGEST = 128

Request = Mapping[str, Any]


def answer(request: Request, dependencies: Dependencies) -> dict[str, Any]:
    """API Gateway's simple response: whether a request is authorized, and as which partner."""
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


def handler(request: Request, _context: Any) -> dict[str, Any]:
    """What Lambda calls."""
    return answer(request, _dependencies())
