"""Server-sent events as bytes, without I/O (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from typing import Final

# A comment, which browsers ignore.
HEARTBEAT: Final = b":\n\n"


def event(data: str, *, name: str = "", version: str = "") -> bytes:
    """An event.

    Args:
        data: content, with any number of lines.
        name: type, for which the page has a listener; empty for a message.
        version: version of the content, which the browser sends when it connects again; empty to keep the last one.
    """
    fields = [("id", version)] if version else []
    if name:
        fields.append(("event", name))
    fields += [("data", line) for line in data.split("\n")]
    return "".join(f"{field}: {value}\n" for field, value in fields).encode() + b"\n"


def retry(seconds: float) -> bytes:
    """The time after which the browser connects again."""
    return f"retry: {round(seconds * 1000)}\n\n".encode()
