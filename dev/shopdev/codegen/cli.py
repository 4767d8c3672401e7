"""`make generate`: write the generated files of charts, manifests and documentation, and print those that changed."""

import argparse
import sys

from shopdev.checkout import ROOT
from shopdev.cluster.progress import ClusterError
from shopdev.codegen import alerts, diagrams, httpapi, messages, saga
from shopdev.codegen.apigateway import template
from shopdev.codegen.chartdocs.outputs import outputs
from shopdev.codegen.chartdocs.values import BadComment
from shopdev.codegen.kubeschema import table
from shopdev.codegen.slo import outputs as slo
from shopdev.codegen.telemetry import outputs as telemetry


def main() -> int:
    """Write the files and return the exit code."""
    argparse.ArgumentParser(prog="dev/generate", description=__doc__).parse_args()
    try:
        # The table is first, because the CRD depends on it; the READMEs of the charts depend on their values.
        made = {
            table.TABLE: table.generated,
            **slo.outputs(),
            **outputs(),
            template.TEMPLATE: template.generated,
            **telemetry.outputs(),
            saga.FILE: saga.generated,
            diagrams.FILE: diagrams.generated,
            messages.FILE: messages.generated,
            alerts.FILE: alerts.generated,
            **httpapi.outputs(),
        }
        for path, make in made.items():
            text = make()
            if not path.exists() or path.read_text() != text:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
                print(f"wrote {path.relative_to(ROOT)}")
    except (BadComment, ClusterError, table.Unreviewed) as error:
        sys.stderr.write(f"generate: {error}\n")
        return 1
    return 0
