"""Which files are read now? The static targets of one job, after relabelling, and their readers.

A path that matches is read from its saved position, else from its beginning; its entries get the
label `filename`. Source: reference/agent.md §7.
"""

import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from promtail_agent.config import ScrapeConfig
from promtail_agent.entry import LabelSet
from promtail_agent.metrics import AgentMetrics
from promtail_agent.positions import PositionLedger
from promtail_agent.relabel import relabel
from promtail_agent.targets.globbing import find_files, matches_pattern
from promtail_agent.targets.reader import FileReader

_log = logging.getLogger(__name__)

VANISHED_AFTER_S = 10.0
"""A reader whose path names no file for so long, and that is at its end, is closed."""


@dataclass(frozen=True, slots=True)
class FileTarget:
    """Files of one pattern and the labels of their lines."""

    pattern: str
    exclude: str
    labels: dict[str, str]


def file_targets(job: ScrapeConfig, metrics: AgentMetrics) -> list[FileTarget]:
    """The targets of a job's static configs; those without a path or of another host are left."""
    out: list[FileTarget] = []
    for group in job.static_configs:
        for address in group.targets or ("localhost",):
            labels = relabel({"__address__": address, **group.labels}, job.relabel_configs)
            reason = _refused(labels)
            if labels is None or reason is not None:
                metrics.targets_failed[reason or "dropped"] += 1
                _log.info("target left out job=%s reason=%s", job.job_name, reason)
                continue
            public = {n: v for n, v in labels.items() if not n.startswith("__")}
            pattern, exclude = labels["__path__"], labels.get("__path_exclude__", "")
            target = FileTarget(pattern, exclude, public)
            if target not in out:
                out.append(target)
    return out


def _refused(labels: dict[str, str] | None) -> str | None:
    """Why a target is not read; None where it is."""
    if labels is None:
        return "dropped"
    if not labels.get("__path__"):
        return "no_path"
    host = labels.get("__host__", "")
    hostname = os.environ.get("HOSTNAME") or socket.gethostname()
    return "wrong_host" if host and host != hostname else None


class FileSource:
    """The readers of one job; used by one thread."""

    def __init__(self, job: ScrapeConfig, ledger: PositionLedger, metrics: AgentMetrics) -> None:
        self._targets = file_targets(job, metrics)
        self._ledger = ledger
        self._metrics = metrics
        self._readers: dict[tuple[int, str], FileReader] = {}
        self._resumed = False

    def readers(self) -> list[FileReader]:
        """All readers, in the order in which their files were found."""
        return list(self._readers.values())

    def rescan(self, now_s: float) -> Iterator[FileReader]:
        """Start readers of new files; yields readers whose files are gone, already closed."""
        for i, target in enumerate(self._targets):
            found = find_files(target.pattern, target.exclude)
            if not self._resumed:
                found |= self._moved_aside(target)
            for path in sorted(found):
                if (i, path) not in self._readers:
                    self._start(i, path, target)
        self._resumed = True
        for key, reader in list(self._readers.items()):
            since_s = reader.missing_since_s
            if since_s is not None and now_s - since_s > VANISHED_AFTER_S:
                reader.close()
                del self._readers[key]
                self._metrics.rotations["vanished"] += 1
                _log.info("file is gone path=%s", reader.path)
                yield reader

    def _moved_aside(self, target: FileTarget) -> set[str]:
        """Paths known from before that name no file now: the rest of a rotated file may remain."""
        return {
            path
            for path in self._ledger.paths()
            if matches_pattern(path, target.pattern, target.exclude)
        }

    def _start(self, index: int, path: str, target: FileTarget) -> None:
        labels = LabelSet({**target.labels, "filename": path})
        reader = FileReader(path, labels, self._ledger.begin_at(path), self._metrics)
        position = reader.start_position()
        if position is not None:
            self._ledger.begin(position)
        self._readers[index, path] = reader
        _log.info("reading file path=%s offset=%d", path, position.offset if position else 0)

    def close(self) -> None:
        """Let go of all files."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()
