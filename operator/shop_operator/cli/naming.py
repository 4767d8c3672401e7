"""Validation of names, which become part of URLs, from the command line, files and the kubeconfig. Pure."""

import re
from typing import Any, Final

RULE: Final = "use at most 63 characters of a-z, 0-9 and '-'"
_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def is_name(value: Any) -> bool:
    """Whether a value is a valid name of a ShopService or of a namespace."""
    return isinstance(value, str) and _DNS_LABEL.fullmatch(value) is not None


def shown(value: Any) -> str:
    """An invalid name for an error message, as the user wrote it."""
    return "null" if value is None else repr(value)
