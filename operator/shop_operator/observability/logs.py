"""The log: one JSON object per line on standard error."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

from shop_operator.wording import printable

_STANDARD_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def log_as_json(level: str) -> None:
    """Log everything from this level on as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # kopf logs every failed request at length, and retries it.
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLogger().level))


class JsonLines(logging.Formatter):
    """One JSON object per record: ts, level, logger, msg, and the fields that the caller passes as extra."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
            **{k: v for k, v in vars(record).items() if k not in _STANDARD_RECORD},
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(_printable(line), default=str, ensure_ascii=False)


def _printable(value: Any) -> Any:
    """A value without the characters that control a terminal."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(str(key)): _printable(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_printable(each) for each in value]
    return value if isinstance(value, int | float | bool | None) else printable(str(value))
