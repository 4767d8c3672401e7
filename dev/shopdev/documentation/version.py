"""The version of the documentation: that of the charts."""

import yaml

from shopdev.checkout import ROOT


def version() -> str:
    """The version of the chart of the operator; a test holds all charts to the same version."""
    chart = yaml.safe_load((ROOT / "charts/shop-operator/Chart.yaml").read_text(encoding="utf-8"))
    found: str = chart["version"]
    return found
