"""Lists and redrives dead letters for staff, through the API of a service, see the package.

No letter is lost: one is sent to its queue before it is deleted, and letters that are only read are visible again at once. To redrive a
letter that is not there any more has no effect.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.common.messaging.dlq.letter import Letter, Place
from services.common.telemetry import logs, metrics

log = logs.logger(__name__)
# Maximum number of letters that a request redrives, so that it ends within seconds.
MOST_REDRIVEN = 100


@dataclass(frozen=True, slots=True)
class Listed:
    """Dead letters for display, oldest first, and the approximate number of all."""

    letters: Sequence[Mapping[str, Any]]
    total: int


@dataclass(frozen=True, slots=True)
class Redriven:
    """The result of redriving.

    Args:
        ids: IDs of the redriven letters.
        missing: IDs of letters that were not found.
    """

    ids: list[str]
    missing: list[str]


def listed(place: Place, most: int) -> Listed:
    """At most `most` dead letters, without secrets."""
    found = place.glance(most)
    try:
        shown = [{**letter.decoded(), "body": letter.excerpt()} for letter in found.letters]
    finally:
        place.give_back(found.letters)
    return Listed(shown, found.total)


def redrive(place: Place, ids: Collection[str], by: str) -> Redriven:
    """Sends the dead letters with these IDs to their queues again.

    Args:
        place: dead letters of the service.
        ids: IDs of dead letters.
        by: user, for the log.
    """
    sent = _redriven(place, place.find(frozenset(ids)), by)
    return Redriven(sent, sorted(set(ids) - set(sent)))


def redrive_all(place: Place, by: str) -> Redriven:
    """Sends all dead letters to their queues again, at most `MOST_REDRIVEN` of them.

    Args:
        place: dead letters of the service.
        by: user, for the log.
    """
    return Redriven(_redriven(place, place.glance(MOST_REDRIVEN).letters, by), [])


def _redriven(place: Place, letters: Collection[Letter], by: str) -> list[str]:
    left = {letter.id: letter for letter in letters}
    sent = []
    try:
        for letter in letters:
            place.redrive(letter)
            del left[letter.id]
            sent.append(letter.id)
            _note(letter, by)
    finally:
        place.give_back(list(left.values()))
    return sent


def _note(letter: Letter, by: str) -> None:
    shown = letter.decoded()
    metrics.DEAD_LETTERS_REDRIVEN.labels(shown["queue"]).inc()
    log.info(
        "dead_letter_redriven",
        message_id=letter.id,
        queue=shown["queue"],
        kind=shown["kind"],
        by=by,
    )
