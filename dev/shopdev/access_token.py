"""Print an access token of the shop's API: `dev/token alice`, `dev/token ops --scope ops:read`.

If AWS_ENDPOINT_URL is set (in the environment or in .dev/env), the token is for a user of the emulator: alice, bob, or ops,
who is an operator. Otherwise, sign in with Cognito in the browser. `make demo`, `make dev` and `dev/aws env` write the
addresses (COGNITO_*). Exits with 1 and one line on standard error after an error.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from shopdev import identity
from shopdev.checkout import ROOT
from shopdev.cloudformation import stacks
from shopdev.cloudformation.account import AwsError, read_environment


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="dev/token", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("user", nargs="?", default="alice", help="user of the emulator (default: alice)")
    parser.add_argument(
        "--scope",
        action="append",
        metavar="SCOPE",
        help=f"scope of the token, such as orders:read (default: {', '.join(identity.CUSTOMER_SCOPES)})",
    )
    parser.add_argument(
        "--env-file", type=Path, help="file with KEY=VALUE lines (default: .dev/env, if it exists)"
    )
    return parser.parse_args()


def environment(file: Path | None) -> dict[str, str]:
    """The variables of the file, and over them those of the environment."""
    default = ROOT / ".dev" / "env"
    chosen = file or (default if default.exists() else None)
    return read_environment(chosen) | dict(os.environ)


def main() -> int:
    """Print one token."""
    chosen = arguments()
    try:
        found = environment(chosen.env_file)
        pool = stacks.cognito_outputs(found)
        scopes = tuple(chosen.scope or default_scopes(chosen.user))
        sys.stdout.write(token(found, pool, chosen.user, scopes) + "\n")
    except (identity.SignInError, AwsError) as error:
        sys.stderr.write(f"dev/token: {error}\n")
        return 1
    except KeyError as missing:
        sys.stderr.write(
            f"dev/token: {missing.args[0]} is not set: run `make demo` or `make dev`, or `eval` the output of `dev/aws env`\n"
        )
        return 1
    return 0


def default_scopes(user: str) -> tuple[str, ...]:
    """The default scopes of a user; `ops` is an operator."""
    return identity.OPERATOR_SCOPES if user == "ops" else identity.CUSTOMER_SCOPES


def token(found: Mapping[str, str], pool: Mapping[str, str], user: str, scopes: tuple[str, ...]) -> str:
    """The token, from the emulator or from a sign-in with the browser."""
    if endpoint := found.get("AWS_ENDPOINT_URL"):
        return identity.token(pool, endpoint, user, scopes)
    return identity.token_by_browser(pool, scopes, tell=lambda line: sys.stderr.write(line + "\n"))
