"""How is one query asked of several tenants? Sources side by side, each stream named by tenant.

Every stream gets the label `__tenant_id__` (a label of that name is kept as
`original___tenant_id__`), so matchers and groupings on it work as on any other
(reference/logql.md §15).
"""

from collections.abc import Sequence
from dataclasses import replace

from narfi.core.columns import I64
from narfi.core.labels import Labels
from narfi.core.tenant import TenantId
from storage.batch import LogBatch, StreamTable
from storage.scan import Columns, LogSource, ReadStats, ScanRequest, Segment, SourceProvider

TENANT_LABEL = "__tenant_id__"


class TenantSource:
    """A `LogSource` whose streams carry their tenant."""

    def __init__(self, source: LogSource, tenant: TenantId) -> None:
        self._source, self._tenant = source, tenant
        self._table = _with_tenant(source.table, tenant)

    @property
    def source_id(self) -> str:
        """As the source's."""
        return self._source.source_id

    @property
    def cut_id(self) -> str:
        """As the source's."""
        return self._source.cut_id

    @property
    def table(self) -> StreamTable:
        """The streams with their tenant."""
        return self._table

    @property
    def min_ts(self) -> int:
        """As the source's."""
        return self._source.min_ts

    @property
    def max_ts(self) -> int:
        """As the source's."""
        return self._source.max_ts

    def times(self) -> I64:
        """As the source's."""
        return self._source.times()

    def segments(self, request: ScanRequest) -> Sequence[Segment]:
        """As the source's."""
        return self._source.segments(request)

    def ranges(self, request: ScanRequest) -> tuple[I64, I64]:
        """As the source's."""
        return self._source.ranges(request)

    def read(self, segment: Segment, request: ScanRequest) -> LogBatch:
        """As the source's, under the table with tenants."""
        return replace(self._source.read(segment, request), table=self._table)

    def fetch(self, rows: I64, columns: Columns, stats: ReadStats | None = None) -> LogBatch:
        """As the source's, under the table with tenants."""
        return replace(self._source.fetch(rows, columns, stats), table=self._table)

    def metadata_names(self) -> frozenset[str]:
        """As the source's."""
        return self._source.metadata_names()


class FederatedProvider:
    """A `SourceProvider` over several tenants; the tenant it is asked for does not matter."""

    def __init__(self, provider: SourceProvider, tenants: Sequence[TenantId]) -> None:
        self._provider, self._tenants = provider, tuple(tenants)

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """The sources of every tenant."""
        return [
            TenantSource(source, owner)
            for owner in self._tenants
            for source in self._provider.sources(owner, start_ns, end_ns)
        ]


def provider_for(provider: SourceProvider, tenants: Sequence[TenantId]) -> SourceProvider:
    """The provider itself for one tenant, a federated one for several."""
    return provider if len(tenants) == 1 else FederatedProvider(provider, tenants)


def _with_tenant(table: StreamTable, tenant: TenantId) -> StreamTable:
    labels = []
    for found in table.labels:
        pairs = found.as_dict()
        if TENANT_LABEL in pairs:
            pairs[f"original_{TENANT_LABEL}"] = pairs[TENANT_LABEL]
        labels.append(Labels.of({**pairs, TENANT_LABEL: tenant}))
    return replace(table, labels=tuple(labels))
