"""How do server and agent log? A line a record on the standard error, each pair a field of its own.

On a pipe it is logfmt, or JSON where that is asked for; on a terminal a form to read. Everything
goes through one handler of the root logger: our modules, structlog's loggers, libraries, warnings,
exceptions that nobody caught. A message names its pairs at the end: `"reading path=%s size=%d"`.
Texts from outside stand there as `log_text.py` lets them.
"""

import json
import logging
import os
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType
from typing import Any, TextIO

from narfi.core.log_text import MOST, MOST_OF_TRACE, bounded, printable

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_NAMES = {number: name for name, number in LEVELS.items()} | {logging.CRITICAL: "error"}
_CHATTY = ("httpx", "httpcore", "watchfiles", "uvicorn", "alembic", "asyncio", "grpc")
"""Libraries that tell of every request or change: only their warnings are shown."""
_PAIRS = re.compile(r"(?: [A-Za-z_]\w*=%[-+#0]*\d*(?:\.\d+)?[a-zA-Z])+$")
_PAIR = re.compile(r" (\w+)=(%\S+)")
_TRACE = "trace"
"""The pair that may be as long as a traceback."""
_RESERVED = frozenset(("ts", "level", "logger", "msg", "traceback"))
_COLOURS = {"debug": "\x1b[2m", "info": "\x1b[32m", "warn": "\x1b[33m", "error": "\x1b[31m"}
_PLAIN_COLOUR = "\x1b[0m"

Pairs = dict[str, object]

REQUEST_ID: ContextVar[str] = ContextVar("REQUEST_ID", default="")
"""Of the request that is worked on: each record that is made meanwhile has it."""


class LineFormatter(logging.Formatter):
    """One line a record in `logfmt` or `json`; in `text`, for a terminal, also of a traceback."""

    def __init__(self, form: str, *, colour: bool = False) -> None:
        super().__init__()
        self._form, self._colour = form, colour

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message, pairs, and what was raised."""
        message, pairs = _message(record)
        moment = datetime.fromtimestamp(record.created, UTC)
        level = _NAMES.get(record.levelno, record.levelname.lower())
        name = record.name.removeprefix("promtail_agent.")
        raised = record.exc_info if record.exc_info and record.exc_info[0] is not None else None
        if raised is not None:
            pairs.setdefault("error", f"{type(raised[1]).__name__}: {raised[1]}")
        trace = "" if raised is None else bounded(self.formatException(raised), MOST_OF_TRACE)
        if request_id := REQUEST_ID.get():
            pairs.setdefault("request_id", request_id)
        if self._form == "text":
            return self._readable(moment, level, name, bounded(message), pairs, trace)
        fields: Pairs = {
            "ts": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}Z",
            "level": level,
            "logger": name,
            "msg": bounded(message),
        }
        fields |= {f"{k}_" if k in _RESERVED else k: _bounded(k, v) for k, v in pairs.items()}
        if trace:
            fields["traceback"] = trace
        if self._form == "json":
            return printable(json.dumps(fields, ensure_ascii=False))
        return " ".join(f"{key}={_logfmt(value)}" for key, value in fields.items())

    def _readable(
        self,
        moment: datetime,
        level: str,
        name: str,
        message: str,
        pairs: Mapping[str, object],
        trace: str,
    ) -> str:
        stamp = moment.astimezone().isoformat(" ", "milliseconds")
        shown = f"{level.upper():5}"
        if self._colour:
            shown = f"{_COLOURS.get(level, '')}{shown}{_PLAIN_COLOUR}"
        shown_pairs = "".join(f" {k}={_logfmt(_bounded(k, v))}" for k, v in pairs.items())
        text = f"{stamp}  {shown}  {printable(message)}{shown_pairs}  ({name})"
        return "\n    ".join((text, *(printable(line) for line in trace.splitlines())))


def _message(record: logging.LogRecord) -> tuple[str, Pairs]:
    """What a record says, and its pairs: structlog's, or those at the end of its template."""
    given = getattr(record, "pairs", None)
    if given is not None:
        return record.getMessage(), dict(given)
    arguments = record.args
    if not isinstance(record.msg, str) or not isinstance(arguments, tuple) or not arguments:
        return record.getMessage(), {}
    head, names = _template(record.msg)
    if not names or len(names) > len(arguments):
        return record.getMessage(), {}
    of_head, of_pairs = arguments[: -len(names)], arguments[-len(names) :]
    pairs: Pairs = {}
    for (name, form), value in zip(names, of_pairs, strict=True):
        plain = form in ("%s", "%d") and isinstance(value, int | float | str)
        pairs[name] = value if plain else form % (value,)
    return head % of_head if of_head else head.replace("%%", "%"), pairs


@lru_cache(maxsize=1024)
def _template(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    found = _PAIRS.search(text)
    if found is None:
        return text, ()
    pairs = tuple((name, form) for name, form in _PAIR.findall(found[0]))
    return text[: found.start()], pairs


def _bounded(name: str, value: object) -> object:
    """A number or a word as it is; all else as a text that is not too long and tells no secret."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return bounded(str(value), MOST_OF_TRACE if name == _TRACE else MOST)


def _logfmt(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    text = str(value)
    plain = text.isprintable() and text and not set(text) & set(' ="\\')
    return text if plain else printable(json.dumps(text, ensure_ascii=False))


# Setting up


def set_up_log(level: str, form: str = "", out: TextIO | None = None) -> None:
    """Let everything log so, from a level on; what was set up before is replaced.

    An empty form is `text` on a terminal, else `logfmt`.
    """
    stream = sys.stderr if out is None else out
    terminal = stream.isatty()
    handler = logging.StreamHandler(stream)
    chosen = form or ("text" if terminal else "logfmt")
    handler.setFormatter(LineFormatter(chosen, colour=terminal))
    root = logging.getLogger()
    for before in [h for h in root.handlers if isinstance(h.formatter, LineFormatter)]:
        root.removeHandler(before)
    root.addHandler(handler)
    set_level(level)
    logging.raiseExceptions = False  # a closed pipe is no reason to write to it
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own lines have another form
    warnings.showwarning = _show_warning
    sys.excepthook = _show_uncaught
    threading.excepthook = _show_thread_uncaught


def set_level(name: str) -> None:
    """Show records from this level on."""
    number = LEVELS[name]
    logging.getLogger().setLevel(number)
    for library in _CHATTY:
        logging.getLogger(library).setLevel(max(number, logging.WARNING))


def level_name() -> str:
    """From which level on records are shown."""
    number = logging.getLogger().getEffectiveLevel()
    return _NAMES.get(number, logging.getLevelName(number).lower())


def route_structlog() -> None:
    """Let structlog's loggers, which the server's parts use, go the same way."""
    import structlog

    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, _to_record],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _to_record(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> tuple[tuple[object], dict[str, Any]]:
    raised, message = event.pop("exc_info", None), event.pop("event", "")
    return (message,), {"exc_info": raised, "extra": {"pairs": dict(event)}}


_log = logging.getLogger(__name__)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    place = f"{filename}:{lineno}"
    _log.warning("%s kind=%s place=%s", message, category.__name__, place)


def _show_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    _log.error("ended by an error", exc_info=(kind, error, trace))


def _show_thread_uncaught(given: threading.ExceptHookArgs) -> None:
    if given.exc_value is not None:
        name = given.thread.name if given.thread is not None else ""
        raised = (given.exc_type, given.exc_value, given.exc_traceback)
        _log.error("a thread was ended by an error thread=%s", name, exc_info=raised)


class Turns:
    """When is something told that happens again and again? At once, then at most once a period.

    What is another thing than the last one is told at once. Safe to use from several threads.
    """

    def __init__(self, period_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._period_s, self._clock = period_s, clock
        self._lock = threading.Lock()
        self._next_s = float("-inf")
        self._what = ""
        self._untold = 0

    def take(self, what: str = "") -> int | None:
        """How often it happened without being told, if it is to be told now; else None."""
        with self._lock:
            now_s = self._clock()
            if now_s < self._next_s and what == self._what:
                self._untold += 1
                return None
            untold, self._untold = self._untold, 0
            self._next_s, self._what = now_s + self._period_s, what
            return untold


class Seldom:
    """Warns of something that may happen again and again: `Turns` says when.

    Each line says how often it happened without being told.
    """

    def __init__(
        self,
        logger: logging.Logger,
        period_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger, self._turns = logger, Turns(period_s, clock)

    def warning(self, template: str, *arguments: object) -> None:
        """A warning, unless there was one a moment ago."""
        untold = self._turns.take()
        if untold is not None:
            self._logger.warning(f"{template} untold_before=%d", *arguments, untold)
