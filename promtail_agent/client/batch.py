"""What goes into one push? Entries by tenant and stream, up to a size or an age.

Invariant: marks travel with the batch that holds the last entry before them, in order, so that a
position is acknowledged only with, or after, every entry it covers.
"""

from dataclasses import dataclass, field

from narfi.core.wire.push_encode import PushEntry
from promtail_agent.config import ClientConfig, LimitsConfig
from promtail_agent.entry import AgentEntry, LabelSet
from promtail_agent.metrics import AgentMetrics
from promtail_agent.positions import Mark

_MAX_MERGED = 4096  # label sets with external labels that are remembered


@dataclass(slots=True)
class TenantStreams:
    """The streams of one tenant: selector text to entries in order."""

    streams: dict[str, list[PushEntry]] = field(default_factory=dict)
    entries: int = 0
    line_bytes: int = 0


@dataclass(slots=True)
class Batch:
    """What is sent together, and the positions that hold once it is delivered."""

    opened_at_s: float
    tenants: dict[str, TenantStreams] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)
    line_bytes: int = 0


class Batcher:
    """Fills batches for one client; used by one thread."""

    def __init__(self, client: ClientConfig, limits: LimitsConfig, metrics: AgentMetrics) -> None:
        self._client = client
        self._limits = limits
        self._metrics = metrics
        self._open: Batch | None = None
        self._merged: dict[LabelSet, LabelSet] = {}

    def add(self, entry: AgentEntry, now_s: float) -> Batch | None:
        """Put an entry in; returns the batch before it, when the entry would overfill that."""
        line = self._fitting(entry.line)
        if line is None:
            return None
        size = len(line) + sum(len(n) + len(v) for n, v in entry.metadata)
        batch = self._open
        full = None
        if batch is not None and batch.line_bytes and self._overfills(batch, size):
            full, batch = batch, None
        if batch is None:
            batch = self._open = Batch(now_s)
        labels = self._with_external(entry.labels)
        tenant_id = labels.tenant or self._client.tenant_id
        tenant = batch.tenants.get(tenant_id)
        if tenant is None:
            tenant = batch.tenants[tenant_id] = TenantStreams()
        tenant.streams.setdefault(labels.text, []).append((entry.ts_ns, line, entry.metadata))
        tenant.entries += 1
        tenant.line_bytes += size
        batch.line_bytes += size
        return full

    def mark(self, mark: Mark, now_s: float) -> None:
        """All entries before this position were added (or dropped on the way)."""
        if self._open is None:
            self._open = Batch(now_s)
        self._open.marks[mark.position.path] = mark

    def take(self, now_s: float, *, even_young: bool = False) -> Batch | None:
        """The open batch, if it is old enough."""
        batch = self._open
        if batch is None:
            return None
        if not even_young and now_s - batch.opened_at_s < self._client.batchwait:
            return None
        self._open = None
        return batch

    def _overfills(self, batch: Batch, size: int) -> bool:
        return batch.line_bytes + size > self._client.batchsize

    def _fitting(self, line: bytes) -> bytes | None:
        limit = self._limits.max_line_size
        if not limit or len(line) <= limit:
            return line
        if self._limits.max_line_size_truncate:
            self._metrics.mutated_entries["line_too_long"] += 1
            return line[:limit]
        self._metrics.dropped_entries["line_too_long"] += 1
        self._metrics.dropped_bytes["line_too_long"] += len(line)
        return None

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
