"""`kubectl shop recommend`: prints recommended requests, their basis, and the command that sets them."""

import re
from collections.abc import Sequence
from typing import Any, Final

import click

from shop_operator.cli import workloads
from shop_operator.cli.errors import NotThere, NotValid
from shop_operator.cli.recommend import history, sizing
from shop_operator.cli.recommend.sizing import Advice, History, Policy
from shop_operator.cli.settings import Command, Settings, a_name
from shop_operator.cli.top import prometheus as server
from shop_operator.cli.top.prometheus import option as prometheus_option
from shop_operator.cli.top.sources import prometheus_of

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Duration(click.ParamType[float]):
    """A duration such as 90s, 15m, 6h or 7d."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds of the duration."""
        found = re.fullmatch(r"([1-9][0-9]{0,4})([smhd])", str(value))
        if found is None:
            self.fail(f"{value!r} is not a duration such as 90s, 15m, 6h or 7d", param, ctx)
        return float(int(found[1]) * _UNITS[found[2]])


@click.command(cls=Command)
@a_name
@prometheus_option
@click.option(
    "--window",
    type=Duration(),
    default="1d",
    show_default=True,
    help="History of Prometheus to consider. It should include the busiest time.",
)
@click.option("--sample", type=Duration(), help="Measure now for this time with the metrics API instead.")
@click.option(
    "--percentile",
    type=click.FloatRange(50, 100),
    default=95,
    show_default=True,
    help="Percentile of the CPU that the request covers.",
)
@click.option(
    "--headroom",
    type=click.IntRange(0, 200),
    default=15,
    show_default=True,
    metavar="PERCENT",
    help="Percentage to add to the measured use.",
)
@click.pass_obj
def recommend(
    obj: Settings,
    name: str,
    prometheus: str | None,
    window: float,
    sample: float | None,
    percentile: float,
    headroom: int,
) -> None:
    """Recommend CPU and memory requests for the web workload and the workers, and print the command that sets them.

    The CPU request covers a percentile of the measured use, the memory request the highest use. Requires a Prometheus with the
    container metrics of the kubelet, or --sample and metrics-server. Nothing is changed. Targets of autoscaling by CPU or
    memory are percentages of the requests: check them after a change.
    """
    shop = obj.cluster.shop(obj.namespace, name)
    found = _histories(obj, shop, prometheus, window, sample)
    refused = {worker: why for worker, each in found.items() if (why := sizing.too_few(each))}
    policy = Policy(percentile, headroom / 100)
    advice = [
        Advice(worker, _current(shop, worker), each, policy)
        for worker, each in found.items()
        if worker not in refused
    ]
    said = [f"no recommendation for {workloads.title(worker)}: {why}" for worker, why in refused.items()]
    if not advice:
        hint = "measure a longer --window or --sample, under the usual load"
        raise NotValid(f"{'; '.join(said)}; {hint}")

    def text() -> None:
        for each in advice:
            for line in each.lines():
                obj.say(line)
        # Not wrapped, so that it can be copied.
        click.echo(f"Apply: {sizing.command(shop, advice)}")
        obj.say("Change its manifest or Helm values too; otherwise the next apply reverts the change.")

    documents = {"workloads": [each.to_dict() for each in advice], "patch": sizing.patch(shop, advice)}
    obj.show(documents, text)
    for line in said:
        click.echo(f"kubectl shop: {line}.", err=True)


def _histories(
    obj: Settings, shop: dict[str, Any], prometheus: str | None, window: float, sample: float | None
) -> dict[str | None, History]:
    workers: Sequence[str | None] = [each["name"] for each in (shop.get("spec") or {}).get("workers") or ()]
    wanted = (None, *workers)
    if sample is not None:
        return history.from_metrics_api(obj.cluster, shop, wanted, sample)
    ask = prometheus_of(obj.cluster, obj.namespace, prometheus)
    if ask is None:
        raise NotThere(
            f"you may list no Service with the label {server.LABEL}; name one with --prometheus, or install metrics-server and"
            " measure with --sample"
        )
    name = shop["metadata"]["name"]
    return {
        worker: history.from_prometheus(
            ask,
            obj.namespace,
            name if worker is None else f"{name}-{worker}",
            workloads.container(worker),
            window,
        )
        for worker in wanted
    }


def _current(shop: dict[str, Any], worker: str | None) -> dict[str, Any]:
    """The resources in the spec; a worker without any has those of the ShopService."""
    spec = shop.get("spec") or {}
    own = next((each for each in spec.get("workers") or () if each["name"] == worker), spec)
    return dict(own.get("resources") or spec.get("resources") or {})
