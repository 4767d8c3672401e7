"""A log of several processes: lines start with the name of their process in its color, and JSON lines become readable."""

import json
import os
import sys
import threading
from collections.abc import Mapping
from typing import IO, Any

COLORS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
BY_LEVEL = {"warning": 33, "error": 31, "critical": 31}
NAME_WIDTH = 17
# Fields that are constant for a service, or not useful on a screen.
LEFT_OUT = frozenset({"event", "level", "timestamp", "service", "logger"})


class Log:
    """A log that writes every line immediately and completely.

    Args:
        stream: the output.
        color: whether to use colors; by default, on a terminal unless NO_COLOR is set.
    """

    def __init__(self, stream: IO[str] = sys.stdout, *, color: bool | None = None) -> None:
        self._stream = stream
        shows = stream.isatty() and not os.environ.get("NO_COLOR")
        self._color = shows if color is None else color
        self._colors: dict[str, int] = {}
        self._lock = threading.Lock()

    def line(self, name: str, text: str) -> None:
        """Write a line of a process."""
        with self._lock:
            color = self._colors.setdefault(name, COLORS[len(self._colors) % len(COLORS)])
            self._stream.write(f"{self._painted(f'{name:<{NAME_WIDTH}}', color)} {self._readable(text)}\n")
            self._stream.flush()

    def say(self, text: str = "") -> None:
        """Write a line of this program."""
        with self._lock:
            self._stream.write(self._painted(text, 1) + "\n")
            self._stream.flush()

    def _readable(self, text: str) -> str:
        try:
            record = json.loads(text)
        except ValueError:
            return text
        return self._sentence(record) if isinstance(record, dict) and "event" in record else text

    def _sentence(self, record: Mapping[str, Any]) -> str:
        level = str(record.get("level", "info")).lower()
        message = self._painted(str(record["event"]), BY_LEVEL.get(level, 0))
        details = [f"{key}={value}" for key, value in record.items() if key not in LEFT_OUT]
        return " ".join([message, *details])

    def _painted(self, text: str, color: int) -> str:
        return f"\033[{color}m{text}\033[0m" if self._color and color else text
