"""Prometheus scraping, and service level objectives."""

from typing import Annotated, Final

from pydantic import StringConstraints

from shop_operator.api.v1alpha1.scalars import ABSOLUTE, Labels, Namespace
from shop_operator.api.v1alpha1.schema import Format, Model
from shop_operator.api.v1alpha1.slos import Slos

_INTERVAL: Final = Format(
    r"[1-9][0-9]{0,4}(s|m)", "must be a duration in seconds or minutes, such as 30s or 1m"
)


class Monitoring(Model):
    """Prometheus scraping, by a ServiceMonitor and by a PodMonitor for workers with a port, and alerts for service level objectives, in a PrometheusRule. Requires the CRDs of the Prometheus operator."""

    enabled: bool = True
    """Whether to create the monitors."""
    path: Annotated[
        str,
        StringConstraints(max_length=1024),
        ABSOLUTE,
        Format(r"[!-~]*", "path must not contain spaces"),
    ] = "/metrics"
    """Path of the metrics."""
    interval: Annotated[str, StringConstraints(max_length=8), _INTERVAL] = "30s"
    """Scrape interval."""
    namespace: Namespace = "monitoring"
    """Namespace of Prometheus, which the NetworkPolicy allows connections from."""
    labels: Labels | None = None
    """Labels of the monitors and of the PrometheusRule, for the selectors of a Prometheus."""
    slos: Slos | None = None
    """Service level objectives. The operator renders recording rules and burn-rate alerts for each of them."""
