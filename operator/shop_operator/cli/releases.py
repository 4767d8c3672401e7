"""The commands that change a ShopService: retry, rollback, suspend and resume."""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from shop_operator.cli import workloads
from shop_operator.cli.errors import CliError, Forbidden, NotThere
from shop_operator.cli.rollback import way_back
from shop_operator.cli.settings import Command, Settings, ShopName, a_name, names
from shop_operator.names import RETRY_ANNOTATION
from shop_operator.wording import listed


@click.command(cls=Command)
@a_name
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@click.pass_obj
def retry(obj: Settings, name: str, dry_run: bool) -> None:  # noqa: FBT001  click hands flags over by name
    """Retry a release that was rolled back automatically."""
    found = obj.cluster.shop(obj.namespace, name)
    rejected = ((found.get("status") or {}).get("rollout") or {}).get("rejectedImage")
    if rejected is None:
        raise NotThere(f"no release of {name} was rolled back")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    patch = {"metadata": {"annotations": {RETRY_ANNOTATION: now}}}
    obj.cluster.patch(obj.namespace, name, patch, dry_run=dry_run)
    document = {"name": name, "release": rejected, "dryRun": dry_run}
    verb = "would retry" if dry_run else "retries"
    holds = _holds(obj, found)

    def text() -> None:
        obj.say(f"{name} {verb} the release with {rejected}.")
        for each in holds:
            obj.say(each)

    obj.show(document, text)


def _holds(obj: Settings, found: dict[str, Any]) -> list[str]:
    """The reasons why the pods do not change, and the commands that resume the change."""
    name, namespace = found["metadata"]["name"], obj.namespace
    said = []
    if found["spec"].get("suspend"):
        resume = f"kubectl shop resume {name} -n {namespace}"
        said.append(f"{name} is suspended. To apply the change, resume it: {resume}")
    with contextlib.suppress(Forbidden):
        for each in workloads.controlled(obj.cluster.deployments(namespace, name), found):
            if (each.get("spec") or {}).get("paused"):
                one = each["metadata"]["name"]
                resume = f"kubectl rollout resume deployment/{one} -n {namespace}"
                said.append(
                    f"The rollout of Deployment {one} is paused. To replace its pods, resume it: {resume}"
                )
    return said


@click.command(cls=Command)
@a_name
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@click.pass_obj
def rollback(obj: Settings, name: str, dry_run: bool) -> None:  # noqa: FBT001  click hands flags over by name
    """Roll back to the previous release by setting it in the spec.

    If status.rollout contains the last available release (rollout.autoRollback), all fields that affect pods are set to its
    values. Otherwise, only the image is set.
    """
    cluster, namespace = obj.cluster, obj.namespace
    found = cluster.shop(namespace, name)
    patch = way_back(found, lambda: cluster.replicasets(namespace, name))
    cluster.patch(namespace, name, {"spec": patch}, dry_run=dry_run)
    now = found["spec"]["image"]
    back, fields = patch.get("image", now), sorted(patch)
    document = {"name": name, "from": now, "to": back, "fields": fields, "dryRun": dry_run}
    holds = _holds(obj, found)

    def text() -> None:
        verb = "would be" if dry_run else "is"
        if fields == ["image"]:
            obj.say(f"{name} {verb} rolled back from {now} to {back}.")
        else:
            changed = listed([f"spec.{each}" for each in fields])
            obj.say(
                f"{name} {verb} rolled back to its last available release ({back}), which changes {changed}."
            )
        for each in holds:
            obj.say(each)
        if not dry_run:
            obj.say("Change its manifest or Helm values too; otherwise the next apply reverts the rollback.")

    obj.show(document, text)


some_names = click.argument(
    "names", metavar="NAME...", type=ShopName(), nargs=-1, required=True, shell_complete=names
)


@click.command(cls=Command)
@some_names
@click.pass_obj
def suspend(obj: Settings, names: tuple[str, ...]) -> None:
    """Suspend the reconciliation of a ShopService: the operator does not change its resources."""
    _suspend(obj, names, wanted=True)


@click.command(cls=Command)
@some_names
@click.pass_obj
def resume(obj: Settings, names: tuple[str, ...]) -> None:
    """Resume the reconciliation of a suspended ShopService."""
    _suspend(obj, names, wanted=False)


def _suspend(obj: Settings, names: Sequence[str], *, wanted: bool) -> None:
    refused = dict[str, CliError]()
    for each in names:
        try:
            obj.cluster.patch(obj.namespace, each, {"spec": {"suspend": True if wanted else None}})
        except CliError as error:
            refused[each] = error
    if refused and len(names) == 1:
        raise refused[names[0]]
    done = [each for each in names if each not in refused]
    documents = [{"name": each, "suspended": wanted} for each in done]

    def text() -> None:
        for each in done:
            obj.say(
                f"Reconciliation of {each} is suspended."
                if wanted
                else f"Reconciliation of {each} is resumed."
            )

    obj.show(documents[0] if len(names) == 1 else documents, text)
    if refused:
        verb = "suspended" if wanted else "resumed"
        told = "; ".join(f"{each} is not {verb}: {error}" for each, error in refused.items())
        raise type(next(iter(refused.values())))(told)
