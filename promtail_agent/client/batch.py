"""What goes into one push? Entries by tenant and stream, up to a size or an age.

Invariant: marks travel with the batch that holds the last entry before them, in order, so that a
position is acknowledged only with, or after, every entry it covers.
"""

import logging
from dataclasses import dataclass, field

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


@dataclass(slots=True)
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
        self._open: Batch | None = None
        self._merged: dict[LabelSet, LabelSet] = {}

    def add(self, entry: AgentEntry, now_s: float) -> Batch | None:
        """Put an entry in; returns the batch before it, when the entry would overfill that."""
        labels = self._with_external(entry.labels)
        tenant_id = labels.tenant or self._client.tenant_id
        line = entry.line
        if self._limits.max_line_size and len(line) > self._limits.max_line_size:
            cut = self._cut(line, tenant_id)
            if cut is None:
                return None
            line = cut
        size = len(line) + sum(len(n) + len(v) for n, v in entry.metadata)
        batch = self._open
        full = None
        if batch is not None and batch.line_bytes and self._overfills(batch, size):
            full, batch = batch, None
        if batch is None:
            batch = self._open = Batch(now_s)
        tenant = batch.tenants.get(tenant_id)
        if tenant is None:
            tenant = batch.tenants[tenant_id] = TenantStreams()
        stream = tenant.streams.get(labels.text)
        if stream is None:
            most = self._limits.max_streams
            if most and batch.streams >= most:
                self._refuse_stream(batch, tenant_id, labels, size)
                return full
            batch.streams += 1
            stream = tenant.streams[labels.text] = []
        stream.append((entry.ts_ns, line, entry.metadata))
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

    def _cut(self, line: bytes, tenant: str) -> bytes | None:
        """A line that is too long: cut, or None where it is dropped."""
        limit = self._limits.max_line_size
        if self._limits.max_line_size_truncate:
            self._metrics.mutate(self._host, tenant, "line_too_long", len(line) - limit)
            return line[:limit]
        self._metrics.drop(self._host, tenant, "line_too_long", 1, len(line))
        return None

    def _refuse_stream(self, batch: Batch, tenant: str, labels: LabelSet, size: int) -> None:
        self._metrics.drop(self._host, tenant, "stream_limited", 1, size)
        _log.warning(
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
