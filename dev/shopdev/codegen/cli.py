"""`make generate`: writes every generated file of the charts and manifests again, and names those that changed."""

import argparse
import sys

from shopdev.checkout import ROOT
from shopdev.cluster.progress import ClusterError
from shopdev.codegen.apigateway import template
from shopdev.codegen.chartdocs.outputs import outputs
from shopdev.codegen.chartdocs.values import BadComment
from shopdev.codegen.kubeschema import table


def main() -> int:
    """Answer the exit code."""
    argparse.ArgumentParser(prog="dev/generate", description=__doc__).parse_args()
    try:
        # The table first: the CRD is made of it too.
        made = {table.TABLE: table.generated, **outputs(), template.TEMPLATE: template.generated}
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
