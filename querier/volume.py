"""How many bytes are there, by label? Line bytes of streams, in one or many buckets (§4.5).

A stream that lies partly in a bucket counts there in proportion to its entries, so no line is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfi.core.labels import Labels
from narfi.core.matchers import Matcher
from querier.result import LabelPairs
from storage.scan import Columns, LogSource, ScanRequest

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class VolumeOptions:
    """What is counted together.

    `names`: labels that make a group; None means all labels of a stream. With `by_name` each name
    is a group of its own.
    """

    names: tuple[str, ...] | None
    by_name: bool


@dataclass(frozen=True, slots=True)
class Volume:
    """Bytes of one group in each bucket."""

    labels: LabelPairs
    bytes: F64


def volume_groups(
    matchers: Sequence[Matcher], targets: Sequence[str], by_name: bool
) -> VolumeOptions:
    """The labels of the matchers, or the target labels; a selector without matchers takes all."""
    if targets:
        return VolumeOptions(tuple(targets), by_name)
    if by_name or not matchers:
        return VolumeOptions(None, by_name)
    return VolumeOptions(tuple(dict.fromkeys(m.name for m in matchers)), by_name)


def volumes(
    sources: Sequence[LogSource],
    matchers: Sequence[Matcher],
    edges: NDArray[np.int64],
    options: VolumeOptions,
) -> list[Volume]:
    """Bytes by group in the buckets `edges[k] <= ts < edges[k + 1]`, largest first."""
    totals: dict[LabelPairs, F64] = {}
    for source in sources:
        table = source.table
        chosen = table.select(matchers)
        chosen &= (table.last_ts >= edges[0]) & (table.first_ts < edges[-1])
        if not chosen.any():
            continue
        sizes = _bytes_by_stream(source, chosen, edges)
        for ordinal in np.flatnonzero(chosen).tolist():
            for key in _keys(table.labels[ordinal], options):
                known = totals.get(key)
                totals[key] = sizes[ordinal] if known is None else known + sizes[ordinal]
    found = [Volume(labels, size) for labels, size in totals.items() if size.sum() > 0]
    return sorted(found, key=lambda v: (-float(v.bytes.sum()), v.labels))


def _keys(labels: Labels, options: VolumeOptions) -> list[LabelPairs]:
    pairs = labels.as_dict()
    if options.by_name:
        return [((name, ""),) for name in pairs if options.names is None or name in options.names]
    if options.names is None:
        return [labels.pairs]
    return [tuple(sorted((name, pairs[name]) for name in options.names if pairs.get(name)))]


def _bytes_by_stream(source: LogSource, chosen: NDArray[np.bool_], edges: NDArray[np.int64]) -> F64:
    """[stream, bucket] bytes."""
    table = source.table
    buckets = len(edges) - 1
    sizes = np.zeros((len(table), buckets))
    first = np.searchsorted(edges, table.first_ts, side="right") - 1
    last = np.searchsorted(edges, table.last_ts, side="right") - 1
    whole = chosen & (first == last) & (first >= 0) & (first < buckets)
    sizes[whole, first[whole]] = table.line_bytes[whole]
    split = chosen & ~whole
    if split.any():
        nothing = Columns(lines=False, metadata=False)
        request = ScanRequest(split, int(edges[0]), int(edges[-1]), nothing)
        per_row = table.line_bytes / np.maximum(table.rows, 1)
        for segment in source.segments(request):
            batch = source.read(segment, request)
            bucket = np.searchsorted(edges, batch.ts, side="right") - 1
            np.add.at(sizes, (batch.stream, bucket), per_row[batch.stream])
    return sizes
