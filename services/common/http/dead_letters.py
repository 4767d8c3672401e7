"""The operations of a service with which staff lists and redrives the service's dead letters, see `common.messaging.dlq`."""

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Self

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from services.common.http import web
from services.common.messaging.dlq import staff
from services.common.messaging.dlq.letter import LONGEST_EXCERPT, Place
from services.common.messaging.dlq.staff import MOST_REDRIVEN

MOST_LISTED, USUALLY_LISTED = 100, 20
TAG = Tag(name="dead letters", description="Messages that the service could not handle, for staff")
MessageId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,100}$")]


class DeadLetter(BaseModel):
    """A message that the service could not handle."""

    id: str = Field(description="ID of the message")
    queue: str = Field(description="Name of the queue from which the message comes")
    kind: str = Field(description="Task or type of event; `unknown` if the message names neither")
    order_id: str | None = Field(description="ID of the order, if the message names one")
    trace_id: str | None = Field(description="ID of the trace, if the message names one")
    sent_at: datetime = Field(description="Time at which the message was sent")
    deliveries: int = Field(
        description="Number of deliveries to handlers, plus one for each time that the dead letter was read"
    )
    cause: str = Field(description="Human-readable cause, and where to find the error")
    body: str = Field(
        description=f"Content without tokens; more than {LONGEST_EXCERPT} characters are cut off, and end with …"
    )


class DeadLetterList(BaseModel):
    """Dead letters, oldest first. The list has no further pages, because SQS has none: redrive or discard some first."""

    items: list[DeadLetter] = Field(description="Dead letters")
    total: int = Field(
        ge=0,
        description="Approximate number of all dead letters, including those that another request is reading",
    )


class Redrive(BaseModel):
    """The dead letters to redrive: either `ids` or `all`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ids: list[MessageId] | None = Field(
        None, min_length=1, max_length=MOST_REDRIVEN, description="IDs of dead letters"
    )
    all: bool = Field(
        default=False,
        strict=True,
        description=f"`true` for all dead letters, at most {MOST_REDRIVEN} in one request",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.ids is None) != self.all:
            raise ValueError("set either ids, or all to true")
        return self


class RedriveResult(BaseModel):
    """The result of redriving dead letters."""

    redriven: list[str] = Field(description="IDs of the messages that were sent to their queue again")
    missing: list[str] = Field(
        description="IDs that were not found: the dead letters were redriven or discarded before, or another request is "
        "reading them"
    )


class ListQuery(web.Parameters):
    """The length of a list."""

    limit: int = Field(
        USUALLY_LISTED, ge=1, le=MOST_LISTED, description="Maximum number of dead letters in the response"
    )


def blueprint(service: str, place: Callable[[], Place]) -> APIBlueprint:
    """The operations.

    Args:
        service: name of the service.
        place: connects to the dead letters of the service.
    """
    api = web.blueprint("dead_letters", __name__, TAG, f"{{name}}_{service}_dead_letters")
    path = f"/dead-letters/{service}"

    @api.get(
        path,
        summary="List dead letters",
        security=[web.for_customers("ops:read")],
        responses={HTTPStatus.OK: DeadLetterList, **web.problems(*web.CLOSED)},
    )
    def list(query: ListQuery) -> Response:  # noqa: A001 - part of the operation ID
        """Returns dead letters of the service's queues. They stay in their queue, and a message from the last minute may be missing.

        While a request reads a dead letter, other requests do not find it, for at most a minute.
        """
        found = staff.listed(place(), query.limit)
        return web.json_response({"items": found.letters, "total": found.total})

    @api.post(
        f"{path}/redrive",
        summary="Redrive dead letters",
        security=[web.for_customers("ops:write")],
        responses={
            HTTPStatus.OK: RedriveResult,
            **web.problems(*web.CLOSED, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        },
    )
    def redrive(body: Redrive) -> Response:
        """Sends dead letters to their queue again. It is safe to repeat the request: every handler accepts a message twice.

        A message that still cannot be handled becomes a dead letter again after minutes or hours, with another ID.
        """
        by = web.caller().subject
        done = staff.redrive_all(place(), by) if body.ids is None else staff.redrive(place(), body.ids, by)
        return web.json_response(_result(done))

    return api


def _result(done: staff.Redriven) -> dict[str, Any]:
    return {"redriven": done.ids, "missing": done.missing}
