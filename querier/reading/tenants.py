"""How is one query asked of several tenants? Sources side by side, each stream named by tenant.

Every stream gets the label `__tenant_id__` (a label of that name is kept as
`original___tenant_id__`), so matchers and groupings on it work as on any other
(reference/logql.md §15).
"""

from collections.abc import Callable
from dataclasses import replace

from narfi.core.columns import I64
from narfi.core.tenant import TenantId
from storage.batch import LogBatch
from storage.scan import Columns, LogSource, ReadStats, RowGroup, ScanRequest

TENANT_LABEL = "__tenant_id__"


class TenantSource:
    """A `LogSource` whose streams carry their tenant; all else is the stored source's own."""

    def __init__(self, source: LogSource, tenant: TenantId) -> None:
        self.stored, self.tenant = source, tenant
        self.table = source.table.with_label(TENANT_LABEL, tenant)
        self.source_id, self.cut_id = source.source_id, source.cut_id
        self.min_ts, self.max_ts = source.min_ts, source.max_ts
        self.times, self.line_sums = source.times, source.line_sums
        self.row_groups, self.ranges = source.row_groups, source.ranges
        self.metadata_names = source.metadata_names

    def read(self, row_group: RowGroup, request: ScanRequest) -> LogBatch:
        """The rows of a row group; their streams carry the tenant."""
        return replace(self.stored.read(row_group, request), table=self.table)

    def fetch(
        self,
        rows: I64,
        columns: Columns,
        stats: ReadStats | None = None,
        charge: Callable[[int], None] | None = None,
    ) -> LogBatch:
        """The given rows; their streams carry the tenant."""
        return replace(self.stored.fetch(rows, columns, stats, charge), table=self.table)


def tenant_of(source: LogSource) -> TenantId | None:
    """The tenant that the streams of the source carry, where several are asked."""
    return source.tenant if isinstance(source, TenantSource) else None
