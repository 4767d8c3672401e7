"""OBSERVE=1: Jaeger and Prometheus beside the shop, the settings of the shop for them, and what they show about an order."""

import urllib.parse

from shopdev.checkout import SHOPSERVICES
from shopdev.console import CommandError, say
from shopdev.demo import traces
from shopdev.demo.addons import OBSERVABILITY, jaeger, prometheus
from shopdev.demo.target import LocalNode, Target

OPERATOR_VALUES = ("--set", f"prometheus.address={prometheus.ADDRESS}")
"""The new versions of canary releases are measured, if Argo Rollouts is installed as well."""
SHOP_VALUES = (
    "--set",
    f"global.tracing.endpoint={jaeger.RECEIVER}",
    "--set",
    "global.tracing.sampleRatio=1",
    "--set-string",
    "global.env.OTEL_BSP_SCHEDULE_DELAY=500",
    "--set",
    "monitoring.rules.enabled=true",
    *(arg for each in SHOPSERVICES for arg in ("--set", f"{each}.monitoring.namespace={OBSERVABILITY}")),
)
"""Every trace is recorded and sent within half a second, because the node is for demonstrations and tests."""


class Backends:
    """Jaeger and Prometheus on the local node. `install` sets their URLs on this machine."""

    jaeger: str
    prometheus: str

    def check(self, target: Target) -> None:
        """Refuse other clusters before anything is installed.

        Raises:
            CommandError: when the target is not the local node.
        """
        if not isinstance(target, LocalNode):
            raise CommandError(
                "OBSERVE=1 requires the local node; on your own cluster, set global.tracing.endpoint of charts/shop to your "
                "collector (docs/how-to/follow-an-order.md)"
            )

    def install(self, target: Target) -> None:
        """Install both."""
        self.jaeger = jaeger.install(target)
        self.prometheus = prometheus.install(target)

    def load_rules(self, target: Target) -> None:
        """Load the alerts of the installed shop into Prometheus."""
        groups = prometheus.load_rules(target, self.prometheus)
        say(f"      {len(groups)} groups of rules loaded into Prometheus")

    def show(self, order_id: str) -> None:
        """Print the trace of an order, and where to look for more.

        Raises:
            CommandError: when Jaeger has no trace of the order.
        """
        trace_id, spans = traces.of_order(self.jaeger, order_id)
        say(f"Trace {trace_id} of order {order_id}: {len(spans)} spans, without AWS calls:\n")
        for line in traces.tree(spans):
            say(line)
        asked = urllib.parse.urlencode(traces.query(order_id))
        say(
            f"""
Its trace:      curl -s '{self.jaeger}/api/traces/{trace_id}'
By order:       curl -s '{self.jaeger}/api/traces?{asked}'
Metrics:        curl -s '{self.prometheus}/api/v1/query?query=up'
Alerts:         curl -s '{self.prometheus}/api/v1/alerts'
"""
        )
