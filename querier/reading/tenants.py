"""How is one query asked of several tenants? Sources side by side, each stream named by tenant.

Every stream gets the label `__tenant_id__` (a label of that name is kept as
`original___tenant_id__`), so matchers and groupings on it work as on any other
(reference/logql.md §15).
"""

from collections.abc import Sequence
from dataclasses import replace

from narfi.core.columns import I64
from narfi.core.tenant import TenantId
from storage.batch import LogBatch, StreamTable
from storage.scan import Columns, LogSource, ReadStats, ScanRequest, Segment

TENANT_LABEL = "__tenant_id__"


class TenantSource:
    """A `LogSource` whose streams carry their tenant."""

    def __init__(self, source: LogSource, tenant: TenantId) -> None:
        self.stored, self.tenant = source, tenant
        self._table = source.table.with_label(TENANT_LABEL, tenant)

    @property
    def source_id(self) -> str:
        """As the source's."""
        return self.stored.source_id

    @property
    def cut_id(self) -> str:
        """As the source's."""
        return self.stored.cut_id

    @property
    def table(self) -> StreamTable:
        """The streams with their tenant."""
        return self._table

    @property
    def min_ts(self) -> int:
        """As the source's."""
        return self.stored.min_ts

    @property
    def max_ts(self) -> int:
        """As the source's."""
        return self.stored.max_ts

    def times(self) -> I64:
        """As the source's."""
        return self.stored.times()

    def segments(self, request: ScanRequest) -> Sequence[Segment]:
        """As the source's."""
        return self.stored.segments(request)

    def ranges(self, request: ScanRequest) -> tuple[I64, I64]:
        """As the source's."""
        return self.stored.ranges(request)

    def read(self, segment: Segment, request: ScanRequest) -> LogBatch:
        """As the source's, under the table with tenants."""
        return replace(self.stored.read(segment, request), table=self._table)

    def fetch(self, rows: I64, columns: Columns, stats: ReadStats | None = None) -> LogBatch:
        """As the source's, under the table with tenants."""
        return replace(self.stored.fetch(rows, columns, stats), table=self._table)

    def metadata_names(self) -> frozenset[str]:
        """As the source's."""
        return self.stored.metadata_names()


def tenant_of(source: LogSource) -> TenantId | None:
    """The tenant that the streams of the source carry, where several are asked."""
    return source.tenant if isinstance(source, TenantSource) else None
