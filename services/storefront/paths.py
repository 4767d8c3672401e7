"""The pages to which a sign-in may return."""

import re

HOME = "/"
LONGEST = 300
# A path on this host: what browsers take for another host (`//host`, `/\\host`), and control characters, are excluded.
_LOCAL = re.compile(r"/(?:[A-Za-z0-9._~-][A-Za-z0-9._~/?=&%-]*)?")


def local(path: str | None) -> str:
    """The path, if it leads to a page of the storefront; otherwise that of the first page."""
    return path if path and len(path) <= LONGEST and _LOCAL.fullmatch(path) else HOME
