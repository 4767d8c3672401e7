"""`make docs`: build the site, with errors for broken links, and print where it is."""

import argparse
import logging
import sys
from pathlib import Path

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort, MkDocsException

from shopdev.checkout import ROOT
from shopdev.cluster.progress import ClusterError
from shopdev.documentation.version import version


def main(argv: list[str] | None = None) -> int:
    """Build the site and return the exit code."""
    parser = argparse.ArgumentParser(prog="dev/docs", description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / f"docs-{version()}")
    output: Path = parser.parse_args(argv).output
    logging.basicConfig(level=logging.WARNING, format="docs: %(message)s")
    try:
        build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(output), strict=True))
    except (Abort, MkDocsException, ClusterError) as error:
        sys.stderr.write(f"docs: {error}\n")
        return 1
    print(f"docs: open {output / 'index.html'}, also without a server")
    return 0
