"""What does a leaf task of volumes find? Bytes by group and bucket, of one source.

`SumStreams` counts streams whose own labels name their groups: a stream that lies partly in a
bucket counts there in proportion to its entries, so no line is read. `SumEntries` counts the
entries of those that lack a target label, which is looked up in their structured metadata.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import compress, decompress

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I64, Mask
from narfi.core.combined_codes import combine
from narfi.core.label_column import CodedColumn
from querier.budget import Account
from querier.executors.leaf import Leaf
from querier.reading.kept_sizes import kept_sizes
from querier.reading.view import SourceView
from querier.result import LabelPairs
from storage.batch import LogBatch
from storage.metadata import Metadata
from storage.scan import Columns, LogSource, ScanRequest

F64 = NDArray[np.float64]

GROUP_BYTES = 500
"""Of a group beside its buckets, about: labels and objects."""
FEW_NAMES = 64
"""Of a table: whether a stream has a label of so many names is looked up name by name."""
NOTHING = Columns(lines=False, metadata=False)


class Edges:
    """Ascending times in ns between which buckets lie; pickled as gaps, which are mostly equal."""

    __slots__ = ("times",)

    def __init__(self, times: I64) -> None:
        self.times = times

    def __len__(self) -> int:
        return len(self.times)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Edges) and np.array_equal(self.times, other.times)

    def __hash__(self) -> int:
        return hash(self.times.tobytes())

    def __reduce__(self) -> tuple[object, ...]:
        return edges_of, (compress(np.diff(self.times, prepend=0).tobytes()),)

    @property
    def buckets(self) -> int:
        """How many lie between them."""
        return len(self.times) - 1

    def bucket_of(self, times: I64) -> I64:
        """The bucket of each time; -1 in front of all, `buckets` behind."""
        return np.searchsorted(self.times, times, side="right") - 1


def edges_of(gaps: bytes) -> Edges:
    """What was pickled; sums wrap as the differences did."""
    return Edges(np.cumsum(np.frombuffer(decompress(gaps), np.int64)))


@dataclass(frozen=True, slots=True)
class VolumeOptions:
    """What is counted together.

    `names`: labels that make a group; None means all labels of a stream. With `by_name` each name
    is a group of its own. Entries without one of the `required` labels do not count; `targets` may
    be structured metadata.
    """

    names: tuple[str, ...] | None
    by_name: bool
    targets: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()

    def groups_of(self, labels: Mapping[str, str]) -> list[LabelPairs]:
        """The groups in which an entry with these labels counts."""
        if not all(labels.get(name) for name in self.required):
            return []
        if self.by_name:
            return [((name, ""),) for name in labels if self.names is None or name in self.names]
        if self.names is None:
            return [tuple(sorted(labels.items()))]
        return [tuple(sorted((name, labels[name]) for name in self.names if labels.get(name)))]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumesPartial:
    """Bytes of each group by bucket, [group, bucket]."""

    groups: tuple[LabelPairs, ...]
    sizes: F64
    charged: int  # to the budget of the leaf; whoever takes the partial releases it


class VolumeTotals:
    """Bytes in each bucket, by group; a new group is charged. Partials come in any order."""

    def __init__(self, account: Account, buckets: int) -> None:
        self._account, self._buckets = account, buckets
        self._found: dict[LabelPairs, F64] = {}

    def add(self, group: LabelPairs, size: F64) -> None:
        """More bytes of a group."""
        known = self._found.get(group)
        if known is None:
            self._account.charge(size.nbytes + GROUP_BYTES)
            self._found[group] = size.copy()
        else:
            known += size

    def merge(self, found: VolumesPartial) -> None:
        """What a leaf found."""
        for group, size in zip(found.groups, found.sizes, strict=True):
            self.add(group, size)

    def groups(self) -> Mapping[LabelPairs, F64]:
        """The bytes so far."""
        return self._found

    def partial(self) -> VolumesPartial:
        """All of it as plain arrays."""
        self._account.charge(len(self._found) * self._buckets * 8)
        sizes = np.zeros((len(self._found), self._buckets))
        for row, size in enumerate(self._found.values()):
            sizes[row] = size
        self._account.release(sizes.nbytes)  # what is added up goes
        return VolumesPartial(groups=tuple(self._found), sizes=sizes, charged=self._account.used)


@dataclass(frozen=True, slots=True)
class SumStreams:
    """The streams of a source whose own labels name their groups; a task for the whole source."""

    edges: Edges
    options: VolumeOptions

    def run(self, leaf: Leaf) -> VolumesPartial:
        """From the table, and from timestamps where an edge cuts a stream."""
        view = leaf.view
        totals = VolumeTotals(leaf.budget.account(), self.edges.buckets)
        lacking = lacking_streams(view.source, self.options)
        chosen = view.streams if lacking is None else view.streams & ~lacking
        if chosen.any():
            with leaf.budget.account() as account:
                self._add(leaf, chosen, totals, account)
        return totals.partial()

    def _add(self, leaf: Leaf, chosen: Mask, totals: VolumeTotals, account: Account) -> None:
        table, ordinals = leaf.view.source.table, np.flatnonzero(chosen)
        first, group = self._grouped(leaf.view, ordinals)
        account.charge(len(first) * self.edges.buckets * 8)
        kept = kept_sizes(leaf.view, chosen, account, leaf.sizes)
        number = np.zeros(len(chosen), np.int64)
        number[ordinals] = group
        sizes = self._sizes(leaf.view, chosen, number, account, kept, len(first))
        for pairs, size in zip(table.pairs_of(ordinals[first]), sizes, strict=True):
            for found in self.options.groups_of(dict(pairs)):
                totals.add(found, size)

    def _grouped(self, view: SourceView, ordinals: I64) -> tuple[I64, I64]:
        """(a place of each group, the group of each stream): streams that count alike."""
        table, options = view.source.table, self.options
        wanted = {*(options.names or table.names), *options.required}
        names = tuple(sorted(name for name in wanted if table.has(name)))
        if options.by_name and len(names) <= FEW_NAMES:  # only whether there is a value
            codes = (table.column(name).codes[ordinals] for name in names)
            found = combine([(np.minimum(column, 0), 1) for column in codes], len(ordinals))
        else:
            found = table.group(ordinals, names)
        return found.first, found.numbers.astype(np.int64)

    def _sizes(
        self,
        view: SourceView,
        chosen: Mask,
        group: I64,
        account: Account,
        kept: tuple[I64, I64],
        groups: int,
    ) -> F64:
        """[group, bucket] bytes of the chosen streams, of which so many rows and bytes are kept."""
        table, source, edges = view.source.table, view.source, self.edges
        sizes = np.zeros((groups, edges.buckets))
        first, last = edges.bucket_of(table.first_ts), edges.bucket_of(table.last_ts)
        whole = chosen & (first == last) & (first >= 0) & (first < edges.buckets)
        rows, line_bytes = kept
        _add_at(sizes, group[whole], first[whole], line_bytes[whole])
        split = chosen & ~whole
        if split.any():
            start_ns, end_ns = int(edges.times[0]), int(edges.times[-1])
            request = ScanRequest(streams=split, start_ns=start_ns, end_ns=end_ns, columns=NOTHING)
            per_row = line_bytes / np.maximum(rows, 1)
            for row_group in source.row_groups(request):
                account.check()
                batch = view.kept(source.read(row_group, request))
                bucket = edges.bucket_of(batch.ts)
                _add_at(sizes, group[batch.stream], bucket, per_row[batch.stream])
        return sizes


@dataclass(frozen=True, slots=True)
class SumEntries:
    """The entries of streams that lack a target label, which their metadata may say."""

    edges: Edges
    options: VolumeOptions

    def run(self, leaf: Leaf) -> VolumesPartial:
        """By their lines and metadata; entries of other streams are no affair of this task."""
        totals = VolumeTotals(leaf.budget.account(), self.edges.buckets)
        source = leaf.view.source
        names = sorted(source.metadata_names() & self.options.targets)
        lacking = lacking_streams(source, self.options)
        assert lacking is not None
        for whole in leaf.batches():
            leaf.budget.check()
            batch = whole.take(lacking[whole.stream])
            if len(batch):
                with leaf.budget.account() as account:
                    self._add(batch, names, totals, account)
        return totals.partial()

    def _add(
        self, batch: LogBatch, names: Sequence[str], totals: VolumeTotals, account: Account
    ) -> None:
        assert batch.lines is not None
        known = batch.metadata or Metadata()
        columns = [known.get(name) or CodedColumn.absent(len(batch)) for name in names]
        codes = np.stack([batch.stream, *(column.codes for column in columns)], axis=1)
        kinds, which = np.unique(codes, axis=0, return_inverse=True)
        account.charge(len(kinds) * self.edges.buckets * 8)
        sizes = np.zeros((len(kinds), self.edges.buckets))
        _add_at(sizes, which.ravel(), self.edges.bucket_of(batch.ts), batch.lines.lengths())
        labels = batch.table.pairs_of(kinds[:, 0])
        for (_, *found), own, size in zip(kinds.tolist(), labels, sizes, strict=True):
            said = {
                name: column.texts[code]
                for name, column, code in zip(names, columns, found, strict=True)
                if code >= 0
            }
            for group in self.options.groups_of({**said, **dict(own)}):
                totals.add(group, size)


def _add_at(sizes: F64, row: I64, column: I64, more: NDArray[Any]) -> None:
    """Add at places that may repeat; along one dimension NumPy is several times as fast."""
    np.add.at(sizes.reshape(-1), row * sizes.shape[1] + column, more)


def lacking_streams(source: LogSource, options: VolumeOptions) -> Mask | None:
    """Streams without a label that their metadata may say; None: there is no such label."""
    names = source.metadata_names() & options.targets
    if not names:
        return None
    lacking = np.zeros(len(source.table), np.bool_)
    for name in names:
        lacking |= source.table.column(name).codes < 0
    return lacking
