"""The shop's AWS resources: `dev/aws deploy`, `values`, `env`, `status`, `unprotect`, `delete`.

Uses AWS with the credentials of the environment, or an emulator if AWS_ENDPOINT_URL is set (with any credentials). Exits
with 1 and one line on standard error after an error, and with 130 after Ctrl-C.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from shopdev import environment_file, identity
from shopdev.aws_environment import client_environment
from shopdev.checkout import ROOT
from shopdev.clients import Clients
from shopdev.cloudformation import account, deploy, outputs, removal, stacks
from shopdev.cloudformation.account import Account, AwsError
from shopdev.cloudformation.follow import Interrupted
from shopdev.console import say_aside


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="dev/aws", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--prefix", default="shop", help="prefix of every stack and resource name (default: shop)"
    )
    common.add_argument(
        "--env-file",
        type=Path,
        help="file with KEY=VALUE lines to add to the environment (default: .dev/env, unless AWS_ variables are set)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("deploy", parents=[common], help="create or update the stacks")
    create.add_argument(
        *("--parameters",),
        type=Path,
        help="JSON file of stack parameters (default: manifests/aws/parameters/{aws,local}.json)",
    )
    create.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a stack parameter; overrides the file",
    )
    create.add_argument(
        "stacks",
        nargs="*",
        metavar="STACK",
        help=f"one of {', '.join(stacks.ALL)} (default: {', '.join(stacks.ON_AWS)}; without reconciler and slo in the emulator)",
    )
    commands.add_parser("values", parents=[common], help="print Helm values for charts/shop")
    commands.add_parser(
        "env", parents=[common], help="print the addresses of the API and of the sign-in, as KEY=VALUE lines"
    )
    secret = commands.add_parser(
        "machine-secret",
        parents=[common],
        help="print a Secret with the credentials of machines in the emulator, for the pods",
    )
    secret.add_argument("--namespace", default="shop", help="namespace of the pods (default: shop)")
    commands.add_parser("status", parents=[common], help="print the state of each stack")
    for each in (
        commands.add_parser(
            "unprotect",
            parents=[common],
            help="disable the deletion protection of the stacks; changes nothing else",
        ),
        commands.add_parser(
            "delete", parents=[common], help="delete the stacks in reverse order of deployment"
        ),
    ):
        each.add_argument(
            "stacks", nargs="*", metavar="STACK", help=f"one of {', '.join(stacks.ALL)} (default: all)"
        )
    return parser.parse_args()


def parameters(chosen: argparse.Namespace, *, local: bool) -> dict[str, str]:
    """The parameters of the file, and over them those of the command line."""
    file = chosen.parameters or stacks.FOLDER / "parameters" / ("local.json" if local else "aws.json")
    try:
        values: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AwsError(f"cannot read the parameters in {file}: {error}") from error
    for pair in chosen.set:
        name, equals, value = pair.partition("=")
        if not equals:
            raise AwsError(f"--set {pair}: must be NAME=VALUE")
        values[name] = value
    known = {name for stack in stacks.ALL for name in stacks.declared(stack)}
    if unknown := sorted(values.keys() - known):
        raise AwsError(
            f"no stack has the parameter {', '.join(unknown)}; known parameters: {', '.join(sorted(known))}"
        )
    return values


def run(chosen: argparse.Namespace) -> None:
    """Run one command.

    Raises:
        AwsError: with what to do next.
        Interrupted: names the stacks that CloudFormation still works on.
    """
    file = environment_file.chosen(chosen.env_file, os.environ)
    environment = account.read_environment(file)
    if endpoint := environment.get("AWS_ENDPOINT_URL"):
        environment = client_environment(endpoint) | environment
    os.environ.update(environment)  # boto3 reads the credentials from there
    aws = Account.of(environment)
    if file is not None:
        say_aside(
            f"dev/aws: {aws.region}, {f'the emulator at {aws.endpoint}' if aws.local else 'AWS'}, from {_shown(file)}"
        )
    match chosen.command:
        case "deploy":
            values = parameters(chosen, local=aws.local)
            deploy.deploy(aws, chosen.prefix, values, say_aside, chosen.stacks)
            if aws.endpoint and (not chosen.stacks or "identity" in chosen.stacks):
                identity.seed(Clients(aws.endpoint), outputs.outputs_of_stack(aws, chosen.prefix, "identity"))
        case "values":
            sys.stdout.write(outputs.values(aws, chosen.prefix))
        case "env":
            sys.stdout.write(outputs.env(aws, chosen.prefix))
        case "machine-secret":
            sys.stdout.write(outputs.machine_secret(aws, chosen.prefix, chosen.namespace))
        case "status":
            sys.stdout.write(outputs.status(aws, chosen.prefix) + "\n")
        case "unprotect":
            removal.unprotect(aws, chosen.prefix, chosen.stacks or stacks.ALL, say_aside)
        case _:
            removal.delete(aws, chosen.prefix, chosen.stacks or stacks.ALL, say_aside)


def _shown(file: Path) -> str:
    """The path of a file, relative to the checkout if it is inside."""
    return str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else str(file)


def main() -> int:
    """Run one command and return the exit code."""
    chosen = arguments()
    try:
        run(chosen)
    except AwsError as error:
        say_aside(f"dev/aws: {error}")
        return 1
    except Interrupted as interrupted:
        say_aside(
            f"dev/aws: interrupted; CloudFormation continues with {interrupted}. "
            f"Run `dev/aws status --prefix {chosen.prefix}` to see the result, then run the same command to continue"
        )
        return 130
    except KeyboardInterrupt:
        say_aside("dev/aws: interrupted; run the same command to continue")
        return 130
    return 0
