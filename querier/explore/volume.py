"""How many bytes are there, by label? Line bytes of streams, in one or many buckets (§4.5).

A stream that lies partly in a bucket counts there in proportion to its entries, so no line is read.
A target label that streams lack is looked up in the structured metadata, entry by entry. What is
there twice counts once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I64, Mask
from narfi.core.label_column import CodedColumn
from narfi.core.matchers import Matcher
from querier.budget import Account, Budget
from querier.explore.kept_sizes import ExcludedSizes, kept_sizes
from querier.reading.view import SourceView, View
from querier.result import LabelPairs
from storage.batch import LogBatch
from storage.metadata import Metadata
from storage.scan import Columns, ScanRequest

F64 = NDArray[np.float64]

GROUP_BYTES = 500
"""Of a group beside its buckets, about: labels and objects."""


class Totals:
    """Bytes in each bucket, by group; a new group is charged."""

    def __init__(self, budget: Budget, known: ExcludedSizes) -> None:
        self.budget, self.known = budget, known
        self.found: dict[LabelPairs, F64] = {}

    def add(self, key: LabelPairs, size: F64) -> None:
        """More bytes of a group."""
        known = self.found.get(key)
        if known is None:
            self.budget.charge(size.nbytes + GROUP_BYTES)
            self.found[key] = size.copy()
        else:
            known += size


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
        wanted, named = frozenset(targets), {matcher.name for matcher in matchers}
        required = frozenset() if by_name else wanted - named
        return VolumeOptions(tuple(targets), by_name, wanted, required)
    if by_name or not matchers:
        return VolumeOptions(None, by_name)
    return VolumeOptions(tuple(dict.fromkeys(m.name for m in matchers)), by_name)


def volumes(
    view: View,
    edges: I64,
    options: VolumeOptions,
    budget: Budget,
    known: ExcludedSizes | None = None,
) -> list[Volume]:
    """Bytes by group in the buckets `edges[k] <= ts < edges[k + 1]`, largest first."""
    totals = Totals(budget, known or ExcludedSizes(0))
    for source in view.sources:
        budget.check()
        names = source.source.metadata_names() & options.targets
        by_entry = _lacking(source, names)
        _add_streams(source, source.streams & ~by_entry, edges, options, totals)
        _add_entries(source, by_entry, names, edges, options, totals, budget)
    found = [Volume(labels, size) for labels, size in totals.found.items() if size.sum() > 0]
    return sorted(found, key=lambda v: (-float(v.bytes.sum()), v.labels))


def _lacking(view: SourceView, names: frozenset[str]) -> Mask:
    """Selected streams that have not all the labels, so that metadata may say them."""
    lacking = np.zeros(len(view.streams), np.bool_)
    for name in names:
        lacking |= view.source.table.column(name).codes < 0
    return lacking & view.streams


def _count(totals: Totals, labels: Mapping[str, str], options: VolumeOptions, size: F64) -> None:
    for key in _keys(labels, options):
        totals.add(key, size)


def _keys(labels: Mapping[str, str], options: VolumeOptions) -> list[LabelPairs]:
    if not all(labels.get(name) for name in options.required):
        return []
    if options.by_name:
        return [((name, ""),) for name in labels if options.names is None or name in options.names]
    if options.names is None:
        return [tuple(sorted(labels.items()))]
    return [tuple(sorted((name, labels[name]) for name in options.names if labels.get(name)))]


def _add_streams(
    view: SourceView, chosen: Mask, edges: I64, options: VolumeOptions, totals: Totals
) -> None:
    """Count streams whose own labels name their groups."""
    if not chosen.any():
        return
    examples, group = _grouped(view, chosen, options)
    labels = view.source.table.labels
    with totals.budget.account() as account:
        account.charge(len(examples) * (len(edges) - 1) * 8)
        kept = kept_sizes(view, chosen, account, totals.known)
        sizes = _bytes_by_group(view, chosen, group, len(examples), edges, account, kept)
        for ordinal, size in zip(examples.tolist(), sizes, strict=True):
            _count(totals, labels[ordinal].as_dict(), options, size)


def _grouped(view: SourceView, chosen: Mask, options: VolumeOptions) -> tuple[I64, I64]:
    """(a stream of each group, the group of each stream): streams that count alike.

    Those with equal labels of the wanted names; where all labels are wanted, each for itself.
    """
    ordinals = np.flatnonzero(chosen)
    group = np.zeros(len(chosen), np.int64)
    if not options.names:
        group[ordinals] = np.arange(len(ordinals))
        return ordinals, group
    names = sorted({*options.names, *options.required})
    codes = [view.source.table.column(name).codes[ordinals] for name in names]
    if options.by_name:  # only whether there is a value
        codes = [np.minimum(column, 0) for column in codes]
    _, firsts, where = np.unique(
        np.stack(codes, axis=1), axis=0, return_index=True, return_inverse=True
    )
    group[ordinals] = where.ravel()
    return ordinals[firsts], group


def _bytes_by_group(
    view: SourceView,
    chosen: Mask,
    group: I64,
    groups: int,
    edges: I64,
    account: Account,
    kept: tuple[I64, I64],
) -> F64:
    """[group, bucket] bytes of the chosen streams, of which so many rows and bytes are kept."""
    table, source = view.source.table, view.source
    buckets = len(edges) - 1
    sizes = np.zeros((groups, buckets))
    first = np.searchsorted(edges, table.first_ts, side="right") - 1
    last = np.searchsorted(edges, table.last_ts, side="right") - 1
    whole = chosen & (first == last) & (first >= 0) & (first < buckets)
    rows, line_bytes = kept
    np.add.at(sizes, (group[whole], first[whole]), line_bytes[whole])
    split = chosen & ~whole
    if split.any():
        nothing = Columns(lines=False, metadata=False)
        request = ScanRequest(
            streams=split, start_ns=int(edges[0]), end_ns=int(edges[-1]), columns=nothing
        )
        per_row = line_bytes / np.maximum(rows, 1)
        for row_group in source.row_groups(request):
            account.check()
            batch = view.kept(source.read(row_group, request))
            place = (group[batch.stream], _bucket(batch, edges))
            np.add.at(sizes, place, per_row[batch.stream])
    return sizes


def _bucket(batch: LogBatch, edges: I64) -> I64:
    return np.searchsorted(edges, batch.ts, side="right") - 1


def _add_entries(
    view: SourceView,
    chosen: Mask,
    names: frozenset[str],
    edges: I64,
    options: VolumeOptions,
    totals: Totals,
    budget: Budget,
) -> None:
    """Count entries by their stream and their structured metadata of some names."""
    if not chosen.any():
        return
    columns = Columns(metadata=names)
    request = ScanRequest(
        streams=chosen, start_ns=int(edges[0]), end_ns=int(edges[-1]), columns=columns
    )
    for row_group in view.source.row_groups(request):
        budget.check()
        batch = view.kept(view.source.read(row_group, request))
        if len(batch):
            _add_batch(batch, sorted(names), edges, options, totals)


def _add_batch(
    batch: LogBatch, names: Sequence[str], edges: I64, options: VolumeOptions, totals: Totals
) -> None:
    assert batch.lines is not None
    known = batch.metadata or Metadata()
    columns = [known.get(name) or CodedColumn.absent(len(batch)) for name in names]
    codes = np.stack([batch.stream, *(column.codes for column in columns)], axis=1)
    kinds, which = np.unique(codes, axis=0, return_inverse=True)
    with totals.budget.account() as account:
        account.charge(len(kinds) * (len(edges) - 1) * 8)
        sizes = np.zeros((len(kinds), len(edges) - 1))
        np.add.at(sizes, (which.ravel(), _bucket(batch, edges)), batch.lines.lengths())
        for (ordinal, *found), size in zip(kinds.tolist(), sizes, strict=True):
            said = {
                name: column.texts[code]
                for name, column, code in zip(names, columns, found, strict=True)
                if code >= 0
            }
            labels = {**said, **batch.table.labels[ordinal].as_dict()}
            _count(totals, labels, options, size)
