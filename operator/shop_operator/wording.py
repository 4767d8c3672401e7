"""How what Kubernetes and the operator say becomes one sentence of a status. Pure; knows no object."""

import re
from collections.abc import Sequence
from typing import Any, Final

LONGEST: Final = 300
"""Characters that are quoted of one text of Kubernetes."""
LOG_LINE: Final = "; last log line: "
"""Between what was found and the last line of a container's log."""

# What differs from one look to the next although nothing has happened: times, durations, addresses, shares of nodes, the
# random ends of names, and ids. Ports, exit codes and limits are not among it.
_VOLATILE: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*"
    r"|(?<![:\w.-])(?:\d{1,3}\.){3}\d{1,3}\b(?::\d+)?"
    r"|\b\d+/\d+(?= nodes)"
    r"|\b\d+ (?=node|Insufficient|Preemption|Too many|No preemption)"
    r"|(?<![:\w.-])\d+(?:\.\d+)?(?:ns|µs|us|ms|s|m|h)\b"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|\b(?:containerd|cri-o)://\S+"
    # The letters and digits of generated names.
    r"|-[bcdfghjklmnpqrstvwxz2456789]{5,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b"
)
_ENDS: Final = " \t\r\n.…,;:"


UNPRINTABLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)
"""Control characters beside line feed and tab, and characters that reorder or hide the text around them."""


def printable(text: str) -> str:
    r"""The text with every control character as an escape such as \x1b, so that no terminal acts on it."""
    return text if text.isprintable() else UNPRINTABLE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def sentence(text: str) -> str:
    """The text with exactly one end: a full stop, or the question or exclamation mark that it has."""
    stripped = text.strip().rstrip(_ENDS)
    return stripped if not stripped or stripped[-1] in "?!" else f"{stripped}."


def clause(text: str) -> str:
    """The text without an end, so that more can follow."""
    return sentence(text).removesuffix(".")


def shortened(text: str, longest: int = LONGEST) -> str:
    """On one line, cut at its end when it is too long."""
    flat = " ".join(text.split())
    return flat if len(flat) <= longest else f"{flat[: longest - 1]}…"


def number(count: int, noun: str) -> str:
    """Such as 1 pod, 2 pods."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(names: Sequence[str]) -> str:
    """Such as `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def steady(before: Any, now: str) -> str:
    """The earlier text as long as the later one brings no news, so that a status is not written for a measurement.

    The last line of a log is no news by itself: a pod that is probed writes one every few seconds.
    """
    if before == now or not isinstance(before, str):
        return now
    return before if _shape(before) == _shape(now) else now


def _shape(text: str) -> str:
    return _VOLATILE.sub("#", text.partition(LOG_LINE)[0].rstrip(_ENDS))
