"""The events of MkDocs that this project handles.

The site contains pages from outside docs/ too, such as the READMEs. Every page is named by its path in the repository, so that the links
which readers of the repository follow also work in the site. A link to a file that is not in the site becomes plain text.
"""

import re
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from shopdev.checkout import ROOT
from shopdev.cluster import npm
from shopdev.documentation.version import version

_DOCS: Final = "docs/"
_OTHERS: Final = ("*.md", "services/README.md", "services/*/README.md", "charts/*/README.md")
"""Pages outside docs/."""
_DECISIONS: Final = "docs/adr"
_TOOL: Final = "site-scripts"
_SCRIPTS: Final = {
    "assets/javascripts/mermaid.js": "@mermaid-js/tiny/dist/mermaid.tiny.js",
    "assets/javascripts/iframe-worker.js": "iframe-worker/shim/index.js",
}
"""Path in the site -> file in node_modules. The theme would load both from another host."""
_CODE_OR_LINK: Final = re.compile(
    r"^```.*?^```$|`[^`\n]*`|(?<!!)\[(?P<text>(?:`[^`\n]*`|[^\]`])*)\]\((?P<target>[^()\s]+)\)",
    re.MULTILINE | re.DOTALL,
)
_ELSEWHERE: Final = re.compile(r"[a-z]+:|#")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the version to the title of the site, and the decision records to the navigation."""
    config.site_name = f"{config.site_name} {version()}"
    records = [str(each.relative_to(ROOT)) for each in sorted((ROOT / _DECISIONS).glob("*.md"))]
    config.nav = [*(config.nav or ()), {"Decisions": records}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Name every page by its path in the repository, and add the pages from outside docs/ and the scripts."""
    theme = [each for each in files if each.src_dir != config.docs_dir]
    pages = [_renamed(each, config) for each in files if each.src_dir == config.docs_dir]
    others = [
        _file(str(path.relative_to(ROOT)), ROOT, config)
        for pattern in _OTHERS
        for path in sorted(ROOT.glob(pattern))
    ]
    modules = npm.ensure(_TOOL) / "node_modules"
    scripts = [_file(source, modules, config, site) for site, source in _SCRIPTS.items()]
    return Files([*theme, *pages, *others, *scripts])


def on_page_markdown(markdown: str, page: Page, files: Files, **_: object) -> str:
    """Replace the links to files that are not in the site by their text, and those to folders by their README."""
    return _CODE_OR_LINK.sub(lambda found: _link(found, page.file.src_uri, files), markdown)


def _renamed(file: File, config: MkDocsConfig) -> File:
    return _file(f"{_DOCS}{file.src_uri}", ROOT, config, file.dest_uri)


def _file(path: str, folder: Path, config: MkDocsConfig, site: str | None = None) -> File:
    return File(path, str(folder), config.site_dir, config.use_directory_urls, dest_uri=site)


def _link(found: "re.Match[str]", source: str, files: Files) -> str:
    target = found["target"]
    if target is None or _ELSEWHERE.match(target):
        return found[0]
    path, _, fragment = target.partition("#")
    there = normpath(join(dirname(source), path))
    if files.get_file_from_path(there):
        return found[0]
    if files.get_file_from_path(join(there, "README.md")):
        return f"[{found['text']}]({join(path, 'README.md')}{f'#{fragment}' if fragment else ''})"
    return found["text"] if (ROOT / there).exists() else found[0]
