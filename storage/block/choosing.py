"""Which row groups of a block have to be read? Those of selected rows that may hold all needles."""

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np

from narfi.core.columns import I64, Mask
from storage.block.files import FileIndex, FileReader
from storage.block.format3.known_needles import Question
from storage.block.format3.opening import OpenFamily
from storage.block.format3.reading import FamilyReader
from storage.block.opening import BlockIndex
from storage.block.order import BlockOrder
from storage.block.prune import may_hold, shapes_that_may_hold
from storage.block.selection import Selection
from storage.memory_source import selected_ranges
from storage.scan import Pieces, RowGroup, ScanRequest

ReaderOf = Callable[[FileIndex | OpenFamily], FileReader | FamilyReader]
"""Reads a file of the block."""


def chosen_groups(index: BlockIndex, chosen: Selection, order: BlockOrder) -> list[RowGroup]:
    """The chosen units as they are read."""
    units, pieces = chosen.units, chosen.pieces
    oldest, newest = chosen.ends(order)
    first_row = index.units.bounds[units]
    numbers, groups = index.units.file[units].tolist(), index.units.group[units].tolist()
    bounds = chosen.bounds
    columns = (units, first_row, chosen.rows(), oldest, newest, bounds[:-1], bounds[1:])
    plain = zip(*(column.tolist() for column in columns), numbers, groups, strict=True)
    found = []
    for unit, first, count, min_ts, max_ts, low, high, number, group in plain:
        file, mine = index.files[number], slice(low, high)
        found.append(
            RowGroup(
                index=unit,
                first_row=first,
                rows=count,
                min_ts=min_ts,
                max_ts=max_ts,
                line_bytes=int(count * file.line_bytes),
                pieces=Pieces(pieces.ordinal[mine], pieces.low[mine], pieces.high[mine]),
                shaped=file.is_shaped(group),
            )
        )
    return found


def groups_without_lines(
    index: BlockIndex, ts: I64, mean: float, request: ScanRequest
) -> list[RowGroup]:
    """Those of rows.parquet, numbered behind the units; places are rows there.

    `ts`: the times of all rows; `mean`: bytes of a line.
    """
    assert index.families is not None, "other formats have the times beside the lines"
    cuts = index.families.rows.bounds
    found, first_index = list[RowGroup](), len(index.units.file)
    selected = Pieces(*selected_ranges(index.table, ts, request)).filled()
    for number, (first, end) in enumerate(itertools.pairwise(cuts.tolist())):
        pieces = selected.within(first, end)
        if not len(pieces.low):
            request.stats.row_groups_pruned += 1
            continue
        rows = int((pieces.high - pieces.low).sum())
        found.append(
            RowGroup(
                index=first_index + number,
                first_row=first,
                rows=rows,
                min_ts=int(ts[pieces.low].min()),
                max_ts=int(ts[pieces.high - 1].max()),
                line_bytes=int(rows * mean),
                pieces=pieces,
                shaped=True,
            )
        )
    return found


def pieces_that_may_hold(
    index: BlockIndex, selected: Selection, request: ScanRequest, reader_of: ReaderOf
) -> Mask:
    """Which pieces may hold all needles; filters are read where a whole id is looked for."""
    units, bounds, pieces = selected.units, selected.bounds, selected.pieces
    kept = np.ones(len(pieces.low), np.bool_)
    possible: dict[int, bool] = {}
    for k, unit in enumerate(units.tolist()):
        number, group = int(index.units.file[unit]), int(index.units.group[unit])
        file, mine = index.files[number], slice(*bounds[k : k + 2].tolist())
        if isinstance(file, OpenFamily):
            there = pieces.low[mine] - index.units.firsts[number]
            shape = np.searchsorted(file.firsts, there, side="right") - 1
            kept[mine] = _held(file, group, request, reader_of)[shape]
            continue
        reader = reader_of(file)
        grams = reader.grams(group)
        plain = grams is None or all(map(grams.may_hold, request.needles))
        if file.template is None:
            kept[mine] = plain
        else:
            if number not in possible:
                possible[number] = may_hold(file.template, request.needles, None)
            bloom = partial(reader.bloom, group)
            kept[mine] = possible[number] and may_hold(file.template, request.needles, bloom)
    return kept


def _held(file: OpenFamily, group: int, request: ScanRequest, reader_of: ReaderOf) -> Mask:
    """Which shapes, and whether plain lines behind them, may hold all needles."""
    reader = reader_of(file)
    assert isinstance(reader, FamilyReader)
    filters, grams = reader.filters(group), reader.grams(group)
    known_columns = frozenset(filters.filters)
    question = Question(group, request.needles, known_columns, grams is not None)
    known = file.known_needles.get(question)
    if known is not None:
        return known
    plain = grams is None or all(map(grams.may_hold, request.needles))
    bloom_of = partial(reader.bloom, group)
    held = shapes_that_may_hold(file.shapes, request.needles, bloom_of, filters.may_hold)
    found = np.append(held, plain)
    file.known_needles.put(question, found)
    return found
