"""The command line of `make eks-install`."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from shopdev.console import CommandError, say
from shopdev.demo import steps
from shopdev.eks.target import Eks


def main(argv: Sequence[str] | None = None) -> int:
    """Install or update everything and return the exit code."""
    parser = argparse.ArgumentParser(prog="dev/eks", description="Install or update the shop on Amazon EKS.")
    parser.add_argument(
        *("--set",),
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a stack parameter, such as Mode=nodes or NatGateways=1",
    )
    chosen = parser.parse_args(argv)
    try:
        install(os.environ, chosen.set)
    except CommandError as error:
        sys.stderr.write(f"eks: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("eks: interrupted; run `make eks-install` to continue\n")
        return 130
    return 0


def install(environment: Mapping[str, str], parameters: Sequence[str]) -> None:
    """Run the steps of the demo on EKS, then deploy the API and the pages in front of the load balancer that they created.

    The storefront calls the API, so the first installation adds it only after the API exists.

    Raises:
        AwsError: when AWS refuses a request.
        CommandError: when a tool or a controller is missing, or a resource does not become ready.
    """
    target = Eks(environment, parameters)
    built = steps.install(target)
    say("API Gateway in front of the load balancer  (usually 5 min)")
    listener = target.listener_arn()
    known = target.copy_gateway_secret()
    target.connect_api(listener)
    steps.keep_addresses(target)
    if not known and target.copy_gateway_secret():
        target.restart_callees_of_machines()
    say("Storefront")
    target.admit_pages()
    steps.install_shop(target, built)
    say(f"The API:       {target.output('api', 'ApiUrl')}/products")
    say(f"Open the shop: {target.pages_url()}")
