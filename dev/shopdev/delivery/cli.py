"""Run one step of a delivery. The step `changed` needs only Python; the others need .venv (run dev/bootstrap)."""

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from shopdev.checkout import SHOPSERVICES
from shopdev.console import CommandError, say
from shopdev.delivery import deliverables
from shopdev.delivery.delivery import Delivery, DeliveryError
from shopdev.demo import images

if TYPE_CHECKING:
    from shopdev.delivery.engine import Engine
    from shopdev.delivery.registry import Ecr


def main(argv: list[str] | None = None) -> int:
    """Run one step and return the exit code."""
    options = _parser().parse_args(argv)
    try:
        if options.command == "changed":
            _changed(options)
        else:
            _step(options, Delivery.of(options.service))
    except CommandError as error:
        sys.stderr.write(f"delivery: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev/delivery", description=__doc__)
    steps = parser.add_subparsers(dest="command", required=True)
    changed = steps.add_parser("changed", help="print the services and functions that a change affects")
    changed.add_argument(
        "--since",
        default="",
        metavar="COMMIT",
        help="last delivered commit (default: none, which selects everything)",
    )
    changed.add_argument("--json", action="store_true", help="print a JSON list, for a build matrix")

    def step(name: str, text: str) -> argparse.ArgumentParser:
        made = steps.add_parser(name, help=text)
        made.add_argument("service", choices=SHOPSERVICES)
        return made

    image = step("image", "build the image")
    image.add_argument("--registry", default=os.environ.get("REGISTRY") or "localhost")
    image.add_argument(
        "--base", default=os.environ.get("BASE"), help="base image (default: that of the container engine)"
    )
    step("sbom", "write the image's bill of materials in CycloneDX format")
    scan = step("scan", "fail on a known vulnerability of a locked package")
    step("push", "push the image and store its digest")
    findings = step("findings", "wait for ECR's scan of the pushed image, and fail on findings")
    findings.add_argument("--threshold", default="HIGH", choices=("LOW", "MEDIUM", "HIGH", "CRITICAL"))
    findings.add_argument("--seconds", type=float, default=600, help="seconds to wait (default: 600)")
    for each in (scan, findings):
        each.add_argument(
            "--offline-ok", action="store_true", help="continue if no vulnerability database is reachable"
        )
    chart = step("chart", "write the chart to deploy, with its values")
    chart.add_argument(
        "--prefix", default=os.environ.get("PREFIX") or "shop", help="prefix of the stacks (default: shop)"
    )
    chart.add_argument(
        "--place", default="eks", help="values file of charts/shop, values-PLACE.yaml (default: eks)"
    )
    for made in (
        step("deploy", "install or upgrade the service's Helm release"),
        step("rollback", "restore the release that was installed before this delivery"),
        (smoke := step("smoke", "wait for the rollout, then place an order")),
    ):
        made.add_argument("--namespace", default=os.environ.get("NAMESPACE") or "shop")
    smoke.add_argument(
        "--url", default=os.environ.get("SHOP_URL"), help="URL of the shop (default: SHOP_URL)"
    )
    smoke.add_argument("--seconds", type=float, default=float(os.environ.get("SMOKE_SECONDS") or 300))
    return parser


def _changed(options: argparse.Namespace) -> None:
    found = deliverables.changed_since(options.since)
    print(json.dumps(found) if options.json else "\n".join(found))


def _step(options: argparse.Namespace, delivery: Delivery) -> None:
    # Imported here, because `changed` must run without packages.
    from shopdev.delivery import engine, registry, release  # noqa: PLC0415

    match options.command:
        case "image":
            _build(delivery, engine.find(), options.registry, options.base)
        case "push":
            _push(delivery, engine.find(), registry.ecr(delivery.fact("repository")))
        case "chart":
            release.write_chart(delivery, prefix=options.prefix, place=options.place)
        case "deploy":
            release.deploy(delivery, options.namespace)
        case "rollback":
            release.roll_back(delivery, options.namespace)
        case _:
            _check(options, delivery)


def _check(options: argparse.Namespace, delivery: Delivery) -> None:
    from shopdev.delivery import audit, bill, engine, smoke  # noqa: PLC0415  see _step

    match options.command:
        case "sbom":
            say(bill.write(delivery, engine.find()))
        case "scan":
            audit.packages(delivery.lock, offline_ok=options.offline_ok)
        case "findings":
            audit.image(
                delivery,
                threshold=options.threshold,
                seconds=options.seconds,
                offline_ok=options.offline_ok,
            )
        case "smoke":
            if not options.url:
                raise DeliveryError("SHOP_URL is not set: set it to the URL of the API or of the gateway")
            smoke.rolled_out(delivery, options.namespace, options.seconds)
            smoke.order(options.url, options.seconds)


def _build(delivery: Delivery, engine: "Engine", registry: str, base: str | None) -> None:
    base = engine.base(base)
    image = images.plan(registry, base)[delivery.service]
    engine.build(image.target, image.reference, base)
    delivery.note(repository=image.repository, tag=image.tag)
    say(image.reference)


def _push(delivery: Delivery, engine: "Engine", ecr: "Ecr | None") -> None:
    """Push an image unless its tag exists: the tag is a hash of the content, and tags in ECR are immutable."""
    repository, tag = delivery.fact("repository"), delivery.fact("tag")
    digest = ecr.digest(repository, tag) if ecr else None
    if digest:
        say(f"{delivery.reference} is already in the registry")
    else:
        if ecr:
            engine.login(ecr.host, *ecr.credentials())
        digest = engine.push(delivery.reference)
    delivery.note(digest=digest)
    say(f"{repository}@{digest}")
