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
from storage.scan import Columns, LogSource, ReadStats, RowGroup, ScanRequest

TENANT_LABEL = "__tenant_id__"


class TenantSource:
    """A `LogSource` whose streams carry their tenant."""

    def __init__(self, source: LogSource, tenant: TenantId) -> None:
        self.stored, self.tenant = source, tenant
        self._table = source.table.with_label(TENANT_LABEL, tenant)

    @property
    def source_id(self) -> str:
        """The id of the stored source: the tenant is known from the table."""
        return self.stored.source_id

    @property
    def cut_id(self) -> str:
        """The part of a head that the stored source came from."""
        return self.stored.cut_id

    @property
    def table(self) -> StreamTable:
        """The streams with their tenant."""
        return self._table

    @property
    def min_ts(self) -> int:
        """The oldest time in it, in ns."""
        return self.stored.min_ts

    @property
    def max_ts(self) -> int:
        """The newest time in it, in ns."""
        return self.stored.max_ts

    def times(self) -> I64:
        """The time of every row, in ns."""
        return self.stored.times()

    def line_sums(self, *, load: bool) -> I64 | None:
        """The bytes of all lines in front of each row."""
        return self.stored.line_sums(load=load)

    def row_groups(self, request: ScanRequest) -> Sequence[RowGroup]:
        """What of the stored source may hold rows that are asked for."""
        return self.stored.row_groups(request)

    def ranges(self, request: ScanRequest) -> tuple[I64, I64]:
        """The runs of rows that are asked for."""
        return self.stored.ranges(request)

    def read(self, row_group: RowGroup, request: ScanRequest) -> LogBatch:
        """The rows of a row group; their streams carry the tenant."""
        return replace(self.stored.read(row_group, request), table=self._table)

    def fetch(self, rows: I64, columns: Columns, stats: ReadStats | None = None) -> LogBatch:
        """The given rows; their streams carry the tenant."""
        return replace(self.stored.fetch(rows, columns, stats), table=self._table)

    def metadata_names(self) -> frozenset[str]:
        """Names of the structured metadata of its rows."""
        return self.stored.metadata_names()


def tenant_of(source: LogSource) -> TenantId | None:
    """The tenant that the streams of the source carry, where several are asked."""
    return source.tenant if isinstance(source, TenantSource) else None
