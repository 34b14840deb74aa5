"""Which files are read now? The targets of one job, after relabelling, and their readers.

A path that matches is read from its saved position, else from its beginning; its entries get the
label `filename`. Targets may come and go: a file whose target is gone is read to its end before it
is closed. What a pattern matches under several names is read once (`family.py`).
Source: reference/agent.md §7.
"""

import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from narfi.core.relabel import RelabelRule, relabel
from promtail_agent.discovery.base import Discovery, Target
from promtail_agent.entry import LabelSet
from promtail_agent.metrics import AgentMetrics
from promtail_agent.positions import Position, PositionLedger
from promtail_agent.targets.compressed import CompressedReader, DecompressionConfig
from promtail_agent.targets.family import Family
from promtail_agent.targets.globbing import find_files, find_rotated, matches_pattern
from promtail_agent.targets.reader import FileReader
from promtail_agent.targets.rotation import family_of

_log = logging.getLogger(__name__)

VANISHED_AFTER_S = 10.0
"""A reader whose path names no file for so long, and that is at its end, is closed."""
LEFT_AFTER_S = 10.0
"""A reader whose target is gone is closed after nothing new came for so long."""
SHOWN_DROPPED = 100
_FOUND_LATE_NS = 60 * 10**9
"""A target that comes while the agent runs is found so long after its files at most."""

Reader = FileReader | CompressedReader


@dataclass(frozen=True, slots=True)
class FileTarget:
    """Files of one pattern and the labels of their lines."""

    pattern: str
    exclude: str
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileJob:
    """How files of a job are read."""

    name: str
    rules: Sequence[RelabelRule]
    discoveries: Sequence[Discovery]
    codec: str = ""
    decompression: DecompressionConfig = DecompressionConfig()


@dataclass(frozen=True, slots=True)
class DroppedTarget:
    """A target that is not read, and why."""

    labels: Mapping[str, str]
    reason: str


class FileSource:
    """The readers of one job; used by one thread, shown to others."""

    def __init__(
        self,
        job: FileJob,
        ledger: PositionLedger,
        metrics: AgentMetrics,
        since_ns: int | None = None,
    ) -> None:
        """`since_ns`: what was rotated before that is history, where a path is not known."""
        self._job = job
        self._since_ns = since_ns if since_ns is not None else time.time_ns()
        self._since: dict[FileTarget, int] = {}
        self._families: dict[tuple[FileTarget, str], Family] = {}
        self._ledger = ledger
        self._metrics = metrics
        self._readers: dict[tuple[FileTarget, str], Reader] = {}
        self._seen: list[Sequence[Target]] | None = None
        self._resumed: set[FileTarget] = set()
        self._left: dict[tuple[FileTarget, str], float] = {}
        self.targets: list[FileTarget] = []
        self.dropped: list[DroppedTarget] = []

    def readers(self) -> list[Reader]:
        """All readers, in the order in which their files were found."""
        return list(self._readers.values())

    def start(self) -> None:
        """Let discoveries begin."""
        for discovery in self._job.discoveries:
            discovery.start()

    def rescan(self, now_s: float) -> Iterator[Reader]:
        """Start readers of new files; yields readers whose files are gone, already closed."""
        self._look_for_targets(now_s)
        for target in self.targets:
            found = find_files(target.pattern, target.exclude)
            if target not in self._resumed:
                found |= self._moved_aside(target)
                found |= find_rotated(target.pattern, target.exclude, self._since[target])
                self._resumed.add(target)
            new = [path for path in found if (target, path) not in self._readers]
            if new:
                self._start_all(target, new)
        for key, reader in list(self._readers.items()):
            missing_s, left_s = reader.missing_since_s, self._left.get(key)
            quiet_s = now_s - max(missing_s, reader.last_read_s) if missing_s is not None else 0.0
            vanished = quiet_s > VANISHED_AFTER_S
            idle_s = now_s - max(left_s, reader.last_read_s) if left_s is not None else 0.0
            if vanished or idle_s > LEFT_AFTER_S:
                reader.close()
                del self._readers[key]
                self._left.pop(key, None)
                self._metrics.rotations["vanished" if vanished else "left"] += 1
                self._metrics.forget(reader.path)
                _log.info("file is not read any more path=%s", reader.path)
                yield reader

    def _look_for_targets(self, now_s: float) -> None:
        seen = [discovery.targets() for discovery in self._job.discoveries]
        if self._seen is not None and all(a is b for a, b in zip(seen, self._seen, strict=True)):
            return
        self._seen = seen
        targets: list[FileTarget] = []
        dropped: list[DroppedTarget] = []
        for labels in (labels for group in seen for labels in group):
            target, reason = file_target(labels, self._job.rules)
            if target is not None and target not in targets:
                targets.append(target)
                continue
            reason = reason or "exists"
            self._metrics.targets_failed[reason] += 1
            if len(dropped) < SHOWN_DROPPED:
                dropped.append(DroppedTarget(labels, reason))
        _log.info(
            "targets job=%s active=%d left_out=%d", self._job.name, len(targets), len(dropped)
        )
        late_ns = time.time_ns() - _FOUND_LATE_NS if self._resumed else 0
        since_ns = max(self._since_ns, late_ns)
        self._since = {target: self._since.get(target, since_ns) for target in targets}
        self.targets, self.dropped = targets, dropped
        self._resumed &= set(targets)
        self._follow_targets(now_s)

    def _follow_targets(self, now_s: float) -> None:
        """Give files of a target whose labels changed to the one of now; note what is left."""
        current = {(t.pattern, t.exclude): t for t in self.targets}
        active = set(self.targets)
        for key, reader in list(self._readers.items()):
            target, path = key
            if target in active:
                self._left.pop(key, None)
                continue
            heir = current.get((target.pattern, target.exclude))
            if heir is None or (heir, path) in self._readers:
                self._left.setdefault(key, now_s)
                continue
            reader.labels = _labels(heir, path)
            self._readers[heir, path] = self._readers.pop(key)
            self._left.pop(key, None)

    def _moved_aside(self, target: FileTarget) -> set[str]:
        """Paths known from before that name no file now: the rest of a rotated file may remain."""
        return {
            path
            for path in self._ledger.paths()
            if matches_pattern(path, target.pattern, target.exclude)
        }

    def _start_all(self, target: FileTarget, paths: Sequence[str]) -> None:
        """Start readers; a path before its rotated names, since it may claim what these name."""
        self._families = {key: f for key, f in self._families.items() if f.members}
        families = {path: family_of(path) for path in paths}
        saved: dict[str, list[Position]] = {}
        for path in self._ledger.paths():
            start = self._ledger.begin_at(path)
            if start is not None and not start.cursor:
                saved.setdefault(family_of(path), []).append(start)
        for path, name in families.items():
            family = self._families.get((target, name))
            if family is None:
                family = self._families[target, name] = Family(saved.get(name, ()))
            family.add_name(path)
        for path in sorted(paths, key=lambda path: (path != families[path], path)):
            self._start(target, path, self._families[target, families[path]])

    def _start(self, target: FileTarget, path: str, family: Family) -> None:
        labels, start = _labels(target, path), self._ledger.begin_at(path)
        since_ns = self._since[target]
        reader: Reader
        if self._job.decompression.enabled:
            settings, codec = self._job.decompression, self._job.codec
            reader = CompressedReader(
                path=path,
                labels=labels,
                start=start,
                metrics=self._metrics,
                config=settings,
                codec=codec,
                family=family,
            )
        else:
            codec, metrics = self._job.codec, self._metrics
            reader = FileReader(
                path=path,
                labels=labels,
                start=start,
                metrics=metrics,
                codec=codec,
                family=family,
                since_ns=since_ns,
            )
        position = reader.start_position()
        if position is not None and (start is not None or not position.offset):
            self._ledger.begin(position)
        self._readers[target, path] = reader
        _log.info("reading file path=%s offset=%d", path, position.offset if position else 0)

    def close(self) -> None:
        """Let go of all files and end discoveries."""
        for discovery in self._job.discoveries:
            discovery.close()
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()


def file_target(labels: Target, rules: Sequence[RelabelRule]) -> tuple[FileTarget | None, str]:
    """What a discovered target reads, or None and the reason why it does not."""
    found = relabel(labels, rules)
    if found is None:
        return None, "dropped"
    pattern = found.get("__path__")
    if not pattern:
        return None, "no_path"
    host = found.get("__host__", "")
    if host and host != hostname():
        return None, "wrong_host"
    public = tuple(sorted(p for p in found.items() if not p[0].startswith("__")))
    return FileTarget(pattern, found.get("__path_exclude__", ""), public), ""


def hostname() -> str:
    """This node's name: in a pod the environment tells it."""
    return os.environ.get("HOSTNAME") or socket.gethostname()


def _labels(target: FileTarget, path: str) -> LabelSet:
    return LabelSet({**dict(target.labels), "filename": path})
