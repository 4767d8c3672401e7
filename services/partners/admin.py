"""Issue, list, rotate and revoke partners' keys.

Run it with `python -m services.partners.admin issue --partner acme --scope orders:read`. A new key is printed once, on
standard output; messages go to standard error.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError

from services.common.values import clock
from services.common.values.errors import InvalidValue, UnreadableRow
from services.partners import app, handlers
from services.partners.app import Dependencies
from services.partners.domain import LONGEST_LIFE, SCOPES, InvalidKey, PartnerKey
from services.partners.handlers import NoSuchKey
from services.partners.ports import AlreadyRevoked, NotConfirmed

OVERLAP_DAYS = 7


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command.

    Raises:
        SystemExit: the command failed; the message contains the next step.
    """
    chosen = _parser().parse_args(arguments)
    try:
        _run(chosen, app.dependencies())
    except (InvalidKey, NoSuchKey) as error:
        raise SystemExit(f"{error}; run `list` to see all keys") from error
    except AlreadyRevoked as error:
        raise SystemExit("the key was revoked in the meantime; issue a new one") from error
    except UnreadableRow as error:
        raise SystemExit(f"{error}; delete the row and issue a new key") from error
    except NotConfirmed as error:
        raise SystemExit(
            f"the keys may have been changed: {error}\n"
            "Run `list`. Revoke any new key that was not printed, and repeat the command."
        ) from error
    except (BotoCoreError, ClientError, InvalidValue) as error:
        raise SystemExit(
            f"nothing was changed: {error}\nCheck that TABLE and PEPPER_SECRET_ID are set correctly."
        ) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.partners.admin", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    issue = commands.add_parser("issue", help="create a key and print it once")
    issue.add_argument(
        "--partner", required=True, help="name of the partner; orders belong to the customer partner:NAME"
    )
    issue.add_argument("--scope", action="append", required=True, choices=SCOPES, help="scope of the key")
    issue.add_argument(
        "--days", type=_days, default=LONGEST_LIFE.days, help="validity in days (default: %(default)s)"
    )
    listed = commands.add_parser("list", help="list the keys, without their secrets")
    listed.add_argument("--partner", help="only keys of this partner")
    rotate = commands.add_parser("rotate", help="create a successor of a key and print it once")
    rotate.add_argument("key", help="ID of the key")
    rotate.add_argument(
        "--overlap-days",
        type=_days,
        default=OVERLAP_DAYS,
        help="days for which the old key remains valid (default: %(default)s)",
    )
    revoke = commands.add_parser("revoke", help="revoke a key")
    revoke.add_argument("key", help="ID of the key")
    return parser


def _days(text: str) -> int:
    if not text.isdecimal() or int(text) > LONGEST_LIFE.days:
        raise argparse.ArgumentTypeError(f"must be a number of days from 0 to {LONGEST_LIFE.days}")
    return int(text)


def _run(chosen: argparse.Namespace, dependencies: Dependencies) -> None:
    keys, pepper = dependencies.keys, dependencies.pepper
    match chosen.command:
        case "issue":
            life = timedelta(days=chosen.days)
            _show(*handlers.issue(chosen.partner, chosen.scope, keys=keys, pepper=pepper, life=life))
        case "rotate":
            overlap = timedelta(days=chosen.overlap_days)
            _show(*handlers.rotate(chosen.key, overlap, keys=keys, pepper=pepper))
        case "revoke":
            print(_line(handlers.revoke(chosen.key, keys=keys)))
        case _:
            for record in keys.of(chosen.partner):
                print(_line(record))


def _show(key: str, record: PartnerKey) -> None:
    print(f"Give this key to {record.partner}; it is not shown again. {_line(record)}", file=sys.stderr)
    print(key)


def _line(record: PartnerKey) -> str:
    scopes = ",".join(sorted(record.scopes))
    return f"{record.id}  {record.partner}  {scopes}  {record.state(clock.now())}  until {clock.rfc3339(record.ends_at)}"


if __name__ == "__main__":
    main()
