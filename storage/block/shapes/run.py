"""What is encoded at a time? The lines of a block to be."""

from collections.abc import Sequence
from dataclasses import dataclass

from narfi.core.columns import I32, Spans
from narfi.core.labels import Labels
from narfi.core.tenant import TenantId


@dataclass(frozen=True, slots=True)
class Run:
    """The lines of a block to be: of each the ordinal of its stream; rows are sorted by stream."""

    tenant: TenantId
    labels: Sequence[Labels]
    stream: I32
    lines: Spans
