"""The command line of dead letters, see the package."""

import argparse
import sys
from collections.abc import Iterator, Sequence

import orjson
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import Field

from services.common.aws import clients
from services.common.messaging.dlq.letter import Discards, Letter, Place
from services.common.messaging.dlq.sqs import DynamoDiscards, SqsPlace
from services.common.runtime.settings import ServiceSettings
from services.common.values.errors import InvalidValue

LONGEST_REASON = 500


class Settings(ServiceSettings):
    """The common settings, of which this command uses the queues and the table."""

    tasks_queue_url: str = Field("", description="URL of the service's SQS queue of tasks")
    events_queue_url: str = Field("", description="URL of the service's SQS queue of events")
    events_topic_arn: str = Field("", description="not used: this command publishes no events")


class NoSuchLetter(Exception):
    """The dead letter does not exist."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(f"dead letter {', '.join(ids)} not found; run `list` to list all dead letters")


def run(arguments: Sequence[str], place: Place, discards: Discards) -> Iterator[str]:
    """Runs a command. Returns the lines of its output.

    Raises:
        NoSuchLetter: a dead letter does not exist.
    """
    chosen = _parser().parse_args(arguments)
    letters = place.look()
    left = {letter.id: letter for letter in letters}
    try:
        wanted = _wanted(chosen, letters)
        match chosen.command:
            case "list":
                yield from (orjson.dumps(letter.decoded()).decode() for letter in wanted)
            case "show":
                yield from (_shown(letter) for letter in wanted)
            case "redrive":
                for letter in wanted:
                    place.redrive(letter)
                    del left[letter.id]
                    yield f"redriven: {letter.id}"
            case _:
                for letter in wanted:
                    discards.note(letter, chosen.reason)
                    place.delete(letter)
                    del left[letter.id]
                    yield f"discarded: {letter.id}"
    finally:
        place.give_back(list(left.values()))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command.

    Raises:
        SystemExit: the command failed; the message contains the next step.
    """
    given = sys.argv[1:] if arguments is None else arguments
    _parser().parse_args(given)  # reports invalid arguments before the queues are accessed
    settings = Settings.load()
    queues = [url for url in (settings.tasks_queue_url, settings.events_queue_url) if url]
    try:
        place = SqsPlace(clients.client("sqs", settings), queues, clients.receiver(settings))
        for line in run(given, place, DynamoDiscards(clients.client("dynamodb", settings), settings.table)):
            print(line, flush=True)
    except NoSuchLetter as missing:
        raise SystemExit(str(missing)) from missing
    except (BotoCoreError, ClientError, InvalidValue) as error:
        raise SystemExit(
            f"the queues cannot be used: {error}\n"
            "Apart from the dead letters listed above, at most one dead letter may have been changed."
        ) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dlq", description="Dead letters of a service's queues.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="print one line of JSON per dead letter")
    show = commands.add_parser("show", help="print the content of dead letters, and why they failed")
    show.add_argument("ids", metavar="ID", nargs="*", help="id of a dead letter (default: all)")
    redrive = commands.add_parser("redrive", help="send dead letters to their queue again")
    chosen = redrive.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--all", action="store_true", help="redrive all dead letters")
    chosen.add_argument(
        "--id", dest="ids", metavar="ID", action="append", help="id of a dead letter; may be repeated"
    )
    discard = commands.add_parser("discard", help="delete a dead letter permanently")
    discard.add_argument("ids", metavar="ID", nargs=1, help="id of the dead letter")
    discard.add_argument("--reason", type=_reason, required=True, help="reason, which is kept for 90 days")
    return parser


def _reason(text: str) -> str:
    if not text.strip() or len(text) > LONGEST_REASON:
        raise argparse.ArgumentTypeError(f"the reason must have 1 to {LONGEST_REASON} characters")
    return text.strip()


def _wanted(chosen: argparse.Namespace, letters: Sequence[Letter]) -> list[Letter]:
    ids: list[str] = getattr(chosen, "ids", None) or []
    known = {letter.id: letter for letter in letters}
    if missing := [each for each in ids if each not in known]:
        raise NoSuchLetter(missing)
    return [known[each] for each in dict.fromkeys(ids)] if ids else list(letters)


def _shown(letter: Letter) -> str:
    shown = letter.decoded()
    try:
        return orjson.dumps({**shown, "body": letter.content()}, option=orjson.OPT_INDENT_2).decode()
    except (RecursionError, TypeError):  # nested too deep
        return orjson.dumps({**shown, "body": letter.text()}, option=orjson.OPT_INDENT_2).decode()


if __name__ == "__main__":
    main()
