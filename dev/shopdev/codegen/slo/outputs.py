"""The files that follow from manifests/slo.yaml, and their generators."""

from collections.abc import Callable, Mapping
from pathlib import Path

from shopdev.codegen.slo import cloudwatch, grafana, values


def outputs() -> Mapping[Path, Callable[[], str]]:
    """Every generated file -> its generator."""
    return {
        values.VALUES: values.generated,
        cloudwatch.STACK: cloudwatch.generated,
        grafana.DASHBOARD: grafana.generated,
    }
