"""The HTTP API of the fault switchboard, which the order service serves in a demo. No route of the gateway leads to it."""

from http import HTTPStatus

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from services.common.faults.switches import Fault, Switchboard
from services.common.http import web
from services.common.telemetry import logs

log = logs.logger(__name__)
TAG = Tag(name="faults", description="Break the shop of a demo")


class FaultState(BaseModel):
    """A fault."""

    key: Fault = Field(description="Key of the fault")
    on: bool = Field(description="Whether the fault is on")


class FaultList(BaseModel):
    """All faults."""

    items: list[FaultState] = Field(description="Faults, in the order of the workflow")


class FaultPath(web.Parameters):
    """The fault of an operation."""

    key: Fault = Field(description="`key` of a fault")


def create(switchboard: Switchboard) -> APIBlueprint:
    """The operations. Any user may switch faults: a demo has no users but its visitors.

    Args:
        switchboard: switches of all faults.
    """
    api = web.blueprint("faults", __name__, TAG)
    responses = {HTTPStatus.OK: FaultList, **web.problems(HTTPStatus.SERVICE_UNAVAILABLE)}
    guarded = {HTTPStatus.OK: FaultList, **web.problems(*web.CLOSED, HTTPStatus.SERVICE_UNAVAILABLE)}

    @api.get("/faults", summary="List faults", responses=responses)
    def list_faults() -> Response:
        """Returns all faults."""
        return _all(switchboard)

    @api.put(
        "/faults/<string:key>", summary="Switch a fault on", security=[web.for_customers()], responses=guarded
    )
    def turn_on(path: FaultPath) -> Response:
        """Switches a fault on, and returns all faults."""
        switchboard.turn_on(path.key)
        log.info("fault_switched_on", fault=path.key.value, user=web.caller().subject)
        return _all(switchboard)

    @api.delete(
        "/faults/<string:key>",
        summary="Switch a fault off",
        security=[web.for_customers()],
        responses=guarded,
    )
    def turn_off(path: FaultPath) -> Response:
        """Switches a fault off, and returns all faults."""
        switchboard.turn_off(path.key)
        log.info("fault_switched_off", fault=path.key.value, user=web.caller().subject)
        return _all(switchboard)

    @api.delete("/faults", summary="Undo all faults", security=[web.for_customers()], responses=guarded)
    def undo_all() -> Response:
        """Switches all faults off, and returns them."""
        switchboard.turn_off(*Fault)
        log.info("faults_undone", user=web.caller().subject)
        return _all(switchboard)

    return api


def _all(switchboard: Switchboard) -> Response:
    on = switchboard.on()
    return web.json_response({"items": [{"key": fault.value, "on": fault in on} for fault in Fault]})
