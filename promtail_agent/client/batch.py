"""What goes into one push? Entries by tenant and stream, up to a size or an age.

Invariant: marks travel with the batch that holds the last entry before them, in order, so that a
position is acknowledged only with, or after, every entry it covers.
"""

import logging
from dataclasses import dataclass, field

from narfi.core.log import Seldom
from narfi.core.wire.push_encode import PushEntry
from promtail_agent.client.config import ClientConfig
from promtail_agent.entry import AgentEntry, LabelSet
from promtail_agent.limits import LimitsConfig
from promtail_agent.metrics import AgentMetrics
from promtail_agent.positions import Mark

_log = logging.getLogger(__name__)

_MAX_MERGED = 4096  # label sets with external labels that are remembered


@dataclass(slots=True)
class TenantStreams:
    """The streams of one tenant: selector text to entries in order."""

    streams: dict[str, list[PushEntry]] = field(default_factory=dict)
    entries: int = 0
    line_bytes: int = 0

    def count(self) -> None:
        """Set the sums: once a batch, for adding to them costs at each line."""
        self.entries = sum(len(entries) for entries in self.streams.values())
        self.line_bytes = sum(
            len(line) + (sum(len(n) + len(v) for n, v in metadata) if metadata else 0)
            for entries in self.streams.values()
            for _, line, metadata in entries
        )


@dataclass(slots=True, kw_only=True)
class Batch:
    """What is sent together, and the positions that hold once it is delivered."""

    opened_at_s: float
    tenants: dict[str, TenantStreams] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)
    line_bytes: int = 0
    streams: int = 0


class Batcher:
    """Fills batches for one client; used by one thread. `host` names it in the metrics."""

    def __init__(
        self, client: ClientConfig, limits: LimitsConfig, metrics: AgentMetrics, host: str = ""
    ) -> None:
        self._client = client
        self._limits = limits
        self._host = host
        self._metrics = metrics
        self._batchsize, self._longest = client.batchsize, limits.max_line_size
        self._open: Batch | None = None
        self._merged: dict[LabelSet, LabelSet] = {}
        self._too_many = Seldom(_log)
        self._places: dict[LabelSet, list[PushEntry]] = {}  # streams of the open batch, by labels

    def add(self, entry: AgentEntry, now_s: float) -> Batch | None:
        """Put an entry in; returns the batch before it, when the entry would overfill that."""
        line, metadata = entry.line, entry.metadata
        if self._longest and len(line) > self._longest:
            cut = self._cut(entry)
            if cut is None:
                return None
            line = cut
        size = len(line)
        if metadata:
            size += sum(len(n) + len(v) for n, v in metadata)
        batch, full = self._open, None
        if batch is None or (batch.line_bytes and batch.line_bytes + size > self._batchsize):
            full = self._close()
            batch = self._open = Batch(opened_at_s=now_s)
        stream = self._places.get(entry.labels)
        if stream is None:
            stream = self._place(batch, entry.labels, size)
            if stream is None:
                return full
        stream.append((entry.ts_ns, line, metadata))
        batch.line_bytes += size
        return full

    def _place(self, batch: Batch, given: LabelSet, size: int) -> list[PushEntry] | None:
        """Where entries of these labels go; None where there are too many streams."""
        labels = self._with_external(given)
        tenant_id = self._tenant(labels)
        tenant = batch.tenants.get(tenant_id)
        stream = tenant.streams.get(labels.text) if tenant is not None else None
        if stream is None:
            most = self._limits.max_streams
            if most and batch.streams >= most:
                self._refuse_stream(batch, tenant_id, labels, size)
                return None
            if tenant is None:
                tenant = batch.tenants[tenant_id] = TenantStreams()
            batch.streams += 1
            stream = tenant.streams[labels.text] = []
        self._places[given] = stream
        return stream

    def _close(self) -> Batch | None:
        """The open batch, counted, if there is any."""
        batch, self._open = self._open, None
        self._places.clear()
        if batch is not None:
            for tenant in batch.tenants.values():
                tenant.count()
        return batch

    def mark(self, mark: Mark, now_s: float) -> None:
        """All entries before this position were added (or dropped on the way)."""
        if self._open is None:
            self._open = Batch(opened_at_s=now_s)
        self._open.marks[mark.position.path] = mark

    def take(self, now_s: float, *, even_young: bool = False) -> Batch | None:
        """The open batch, if it is old enough."""
        batch = self._open
        if batch is None:
            return None
        if not even_young and now_s - batch.opened_at_s < self._client.batchwait:
            return None
        return self._close()

    def _tenant(self, labels: LabelSet) -> str:
        return labels.tenant or self._client.tenant_id

    def _cut(self, entry: AgentEntry) -> bytes | None:
        """A line that is too long: cut, or None where it is dropped."""
        line, limit = entry.line, self._longest
        tenant = self._tenant(entry.labels)
        if self._limits.max_line_size_truncate:
            self._metrics.mutate(self._host, tenant, "line_too_long", len(line) - limit)
            return line[:limit]
        self._metrics.drop(self._host, tenant, "line_too_long", 1, len(line))
        return None

    def _refuse_stream(self, batch: Batch, tenant: str, labels: LabelSet, size: int) -> None:
        self._metrics.drop(self._host, tenant, "stream_limited", 1, size)
        self._too_many.warning(
            "streams limit exceeded, streams: %d exceeds limit: %d, stream: '%s'",
            batch.streams + 1,
            self._limits.max_streams,
            labels.text,
        )

    def _with_external(self, labels: LabelSet) -> LabelSet:
        external = self._client.external_labels
        if not external:
            return labels
        merged = self._merged.get(labels)
        if merged is None:
            if len(self._merged) >= _MAX_MERGED:
                self._merged.clear()
            merged = self._merged[labels] = LabelSet({**external, **labels.values})
        return merged
