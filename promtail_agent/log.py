"""How does the agent's log look? Lines on the standard error, logfmt or JSON, from a level on."""

import json
import logging
import sys
from datetime import UTC, datetime

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_NAMES = {number: name for name, number in LEVELS.items()}
_CHATTY = ("httpx", "httpcore", "watchfiles")
"""Libraries that tell of every request or change: only their warnings are shown."""


class LineFormatter(logging.Formatter):
    """One line a record; an exception's traceback becomes a field of it."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message."""
        moment = datetime.fromtimestamp(record.created, UTC)
        fields = {
            "ts": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}Z",
            "level": _NAMES.get(record.levelno, record.levelname.lower()),
            "logger": record.name.removeprefix("promtail_agent."),
            "msg": record.getMessage(),
        }
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        if self._form == "json":
            return json.dumps(fields, ensure_ascii=False)
        return " ".join(f"{name}={_logfmt(value)}" for name, value in fields.items())


def _logfmt(value: str) -> str:
    plain = value.isprintable() and value and not set(value) & set(' ="')
    return value if plain else json.dumps(value, ensure_ascii=False)


def set_up_log(level: str, form: str) -> None:
    """Let all loggers write so; a handler of before is replaced."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h.formatter, LineFormatter)]:
        root.removeHandler(handler)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(form))
    root.addHandler(handler)
    root.setLevel(LEVELS[level])
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(LEVELS[level], logging.WARNING))
