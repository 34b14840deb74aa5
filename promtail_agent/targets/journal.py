"""`journal`: systemd's journal, read by journalctl (reference/agent.md §10).

Each entry's cursor is kept once the server has acknowledged it; after a restart reading goes on
behind it, unless it is older than `max_age`.
"""

import logging
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

import orjson
from pydantic import Field, field_validator

from narfi.core.relabel import RelabelRule
from promtail_agent.config_base import Labels, Section
from promtail_agent.durations import Duration
from promtail_agent.entry import AgentEntry
from promtail_agent.metrics import AgentMetrics
from promtail_agent.targets.journal_export import Fields, read_entries
from promtail_agent.targets.received import Queued, entry_of, public_labels

_log = logging.getLogger(__name__)

AGAIN_AFTER_S = 1.0
_PRIORITIES = ("emerg", "alert", "crit", "error", "warning", "notice", "info", "debug")
_CURSOR_TIME = re.compile(r"(?:^|;)t=([0-9a-f]{1,16})(?:;|$)")
_MATCH = re.compile(r"[A-Z0-9_]+=.*")


class JournalConfig(Section):
    """The `journal` section of a job."""

    json_lines: bool = Field(default=False, alias="json")
    """The line is all fields as JSON instead of the message."""
    max_age: Duration = 7 * 3600.0
    labels: Labels = Field(default_factory=dict)
    matches: str = ""
    path: str = ""

    @field_validator("matches")
    @classmethod
    def _pairs(cls, value: str) -> str:
        for match in value.split():
            if _MATCH.fullmatch(match) is None:
                raise ValueError(f'error parsing journal reader\'s match "{match}"')
        return value


class JournalSource(Queued):
    """A journalctl process and a thread that reads from it."""

    def __init__(
        self,
        *,
        config: JournalConfig,
        job: str,
        rules: Sequence[RelabelRule],
        metrics: AgentMetrics,
        cursor: str,
    ) -> None:
        super().__init__()
        self._config, self._rules, self._metrics = config, tuple(rules), metrics
        self._path, self._cursor = f"cursor-{job}", cursor
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        """Begin to read; raises `OSError` where it cannot be."""
        if shutil.which("journalctl") is None:
            raise FileNotFoundError(2, "journalctl is not installed")
        if self._config.path and not Path(self._config.path).is_dir():
            raise FileNotFoundError(2, f"folder {self._config.path} does not exist")
        self._thread.start()

    def close(self) -> None:
        """End the process that was started."""
        self._closing.set()
        self._queue.close()
        with self._lock:
            if self._process is not None:
                self._process.kill()
        if self._thread.is_alive():
            self._thread.join(5)

    def command(self, now_s: float) -> list[str]:
        """How journalctl is called: behind the cursor, or from `max_age` ago on."""
        found = ["journalctl", "--output=export", "--follow", "--no-pager", "--quiet"]
        if self._config.path:
            found.append(f"--directory={self._config.path}")
        oldest_s = now_s - self._config.max_age
        if self._cursor and cursor_time_s(self._cursor) >= oldest_s:
            found += ["--no-tail", f"--after-cursor={self._cursor}"]
        else:
            found += ["--no-tail", f"--since=@{int(oldest_s)}"]
        return found + self._config.matches.split()

    def _run(self) -> None:
        while not self._closing.is_set():
            with self._lock:
                if self._closing.is_set():
                    return
                self._process = process = subprocess.Popen(
                    self.command(time.time()), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )
            assert process.stdout is not None
            try:
                for fields in read_entries(cast(BinaryIO, process.stdout)):
                    if not self._take(fields):
                        break
            except ValueError as error:
                self._metrics.journal_parsing_errors["format"] += 1
                _log.warning("journal cannot be read, will start again error=%s", error)
            process.kill()
            process.wait()
            process.stdout.close()
            self._closing.wait(AGAIN_AFTER_S)

    def _take(self, fields: Fields) -> bool:
        """Queue an entry; False when reading shall end."""
        cursor = fields.get("__CURSOR", b"").decode("ascii", "replace")
        entry = self._entry(fields)
        if entry is not None:
            self._metrics.journal_lines += 1
            if not self._queue.put(entry, self._path, cursor):
                return False
        self._cursor = cursor or self._cursor
        return True

    def _entry(self, fields: Fields) -> AgentEntry | None:
        message = fields.get("MESSAGE")
        if message is None and not self._config.json_lines:
            self._metrics.journal_parsing_errors["no_message"] += 1
            return None
        texts = {
            name: value.decode("utf-8", "replace")
            for name, value in fields.items()
            if not name.startswith("__")
        }
        labels = public_labels({**journal_labels(texts), **self._config.labels}, self._rules)
        if labels is None or not labels.values:
            self._metrics.journal_parsing_errors["empty_labels"] += 1
            return None
        line = message
        if line is None or self._config.json_lines:
            line = orjson.dumps(texts, option=orjson.OPT_SORT_KEYS)
        stamp = fields.get("__REALTIME_TIMESTAMP", b"")
        ts_ns = int(stamp) * 1000 if stamp.isdigit() else time.time_ns()
        return entry_of(labels, ts_ns, line)


def journal_labels(fields: dict[str, str]) -> dict[str, str]:
    """Internal labels of an entry's fields."""
    found = {f"__journal_{name.lower()}": value for name, value in fields.items()}
    priority = fields.get("PRIORITY", "")
    if priority.isdecimal() and int(priority) < len(_PRIORITIES):
        found["__journal_priority_keyword"] = _PRIORITIES[int(priority)]
    return found


def cursor_time_s(cursor: str) -> float:
    """When the entry of a cursor was written; 0 where it does not say."""
    found = _CURSOR_TIME.search(cursor)
    return int(found[1], 16) / 1e6 if found is not None else 0.0
