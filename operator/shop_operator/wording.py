"""Formatting of messages in the status. Pure, and independent of the kinds of objects."""

import re
from collections.abc import Sequence
from typing import Any, Final

LONGEST: Final = 300
"""Maximum length of a quoted message of Kubernetes, in characters."""
LOG_LINE: Final = "; last log line: "
"""Separator between a finding and the last line of the container's log."""

# Parts of a message that change although the cause is the same: times, durations, addresses, numbers of nodes, random suffixes of
# names, and IDs. Ports, exit codes and limits are not among them.
_VOLATILE: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*"
    r"|(?<![:\w.-])(?:\d{1,3}\.){3}\d{1,3}\b(?::\d+)?"
    r"|\b\d+/\d+(?= nodes)"
    r"|\b\d+ (?=node|Insufficient|Preemption|Too many|No preemption)"
    r"|(?<![:\w.-])\d+(?:\.\d+)?(?:ns|µs|us|ms|s|m|h)\b"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|\b(?:containerd|cri-o)://\S+"
    # Random suffixes of generated names use only these letters and digits.
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
    """The text with exactly one full stop, question mark or exclamation mark at its end."""
    stripped = text.strip().rstrip(_ENDS)
    return stripped if not stripped or stripped[-1] in "?!" else f"{stripped}."


def clause(text: str) -> str:
    """The text without a full stop, to be continued."""
    return sentence(text).removesuffix(".")


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text on one line, truncated if it is too long."""
    flat = " ".join(text.split())
    return flat if len(flat) <= longest else f"{flat[: longest - 1]}…"


def number(count: int, noun: str) -> str:
    """Such as 1 pod, 2 pods."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(names: Sequence[str]) -> str:
    """Such as `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def steady(before: Any, now: str) -> str:
    """The earlier text if the later one differs only in volatile parts, so that a new measurement alone does not cause a write.

    The last line of a log is volatile: a pod logs a line for every probe.
    """
    if before == now or not isinstance(before, str):
        return now
    return before if _shape(before) == _shape(now) else now


def _shape(text: str) -> str:
    return _VOLATILE.sub("#", text.partition(LOG_LINE)[0].rstrip(_ENDS))
