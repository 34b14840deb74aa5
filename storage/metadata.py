"""How does structured metadata lie in memory? A column per common name, triples for all others.

A column takes 4 bytes for every row of the batch, whether the row has the name or not; so beyond a
few names only those that many rows have get one. The others stay (row, name, value) triples until
somebody asks for them by name. So memory is linear in the values, however many names there are.

Invariants: a name is a column or among the triples, never both; triples are sorted by (row, name
number), no (row, name) is there twice, and every name of `Triples.names` occurs.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from narfi.core.columns import I32, I64, U8, Mask, Spans, concat_spans
from narfi.core.label_column import CodedColumn, LabelColumn, SpansColumn, concat_columns
from storage.lines.texts import Rows

FEW_NAMES = 16
"""So many names are columns in any case: 64 bytes a row at most."""
DENSE_SHARE = 16
"""Beyond them, a name is a column when one of so many rows has it: 64 bytes a value at most."""
MAX_CELLS = 1 << 24
"""Rows times names that may become columns at once; a cell takes 4 bytes."""
MIN_ROWS_AT_ONCE = 256
PAIR_BYTES = 20
"""A triple takes these and the bytes of its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Triples:
    """Values of names that few rows have: value k belongs to `row[k]` under `names[name[k]]`."""

    rows: int  # of the batch
    names: tuple[str, ...]
    row: I32
    name: I32
    value: Spans

    def __len__(self) -> int:
        return len(self.row)

    @staticmethod
    def of(
        rows: int, names: tuple[str, ...], row: I32, name: I32, value: Spans
    ) -> "Triples | None":
        """Values in any order; of those of one name in one row the last counts. None without."""
        order = np.lexsort((name, row))  # stable
        row, name = row[order], name[order]
        again = np.zeros(len(order), np.bool_)
        again[:-1] = (row[1:] == row[:-1]) & (name[1:] == name[:-1])
        kept = np.flatnonzero(~again)
        return _compact(
            Triples(
                rows=rows,
                names=names,
                row=row[kept],
                name=name[kept],
                value=value.take(order[kept]),
            )
        )

    def column(self, name: str) -> LabelColumn | None:
        """One name over all rows; None when no row has it."""
        if name not in self.names:
            return None
        mine = np.flatnonzero(self.name == self.names.index(name))
        return column_of(self.row[mine], SpansColumn(self.value.take(mine)), self.rows)

    def columns(self) -> dict[str, LabelColumn]:
        """Every name over all rows: 4 bytes for each row and name."""
        order = np.argsort(self.name, kind="stable")
        ends = np.cumsum(np.bincount(self.name, minlength=len(self.names)))
        parts = zip(self.names, np.split(order, ends[:-1]), strict=True)
        return {
            name: column_of(self.row[at], SpansColumn(self.value.take(at)), self.rows)
            for name, at in parts
        }

    def take(self, rows: Rows | slice) -> "Triples | None":
        """Those of the given rows, in the order given; None when they have none."""
        chosen = np.arange(self.rows)[rows]
        low = np.searchsorted(self.row, chosen, side="left")
        counts = np.searchsorted(self.row, chosen, side="right") - low
        total = int(counts.sum())
        before = np.cumsum(counts) - counts
        picked = np.arange(total) + np.repeat(low - before, counts)
        row = np.repeat(np.arange(len(chosen), dtype=np.int32), counts)
        return _compact(
            Triples(
                rows=len(chosen),
                names=self.names,
                row=row,
                name=self.name[picked],
                value=self.value.take(picked),
            )
        )

    def codes(self) -> I64:
        """A number for each row: equal numbers, equal names and values."""
        words = np.empty((len(self), 2), np.int32)
        words[:, 0] = self.name
        words[:, 1] = SpansColumn(self.value).codes
        data: U8 = np.ascontiguousarray(words).view(np.uint8).ravel()
        counts = np.bincount(self.row, minlength=self.rows)
        start = (np.cumsum(counts) - counts) * 8
        keys = Spans(data, start.astype(np.int64), (counts * 8).astype(np.int32))
        return SpansColumn(keys).codes.astype(np.int64)

    def nbytes(self) -> int:
        """Bytes held, about."""
        return PAIR_BYTES * len(self) + self.value.nbytes() + sum(map(len, self.names))


@dataclass(frozen=True)
class Metadata:
    """Structured metadata of n entries; a column is absent in rows that lack its name."""

    columns: Mapping[str, LabelColumn] = field(default_factory=dict)
    rare: Triples | None = None  # other names

    def names(self) -> frozenset[str]:
        """All names that occur (a column may be absent in every row)."""
        return frozenset((*self.columns, *(self.rare.names if self.rare else ())))

    def get(self, name: str) -> LabelColumn | None:
        """One name over all rows; None when no row has it."""
        found = self.columns.get(name)
        if found is None and self.rare is not None:
            found = self.rare.column(name)
        return found

    def rows_at_once(self) -> int:
        """So many rows may be asked for `every_column` without taking much more than 64 MB."""
        if self.rare is None:
            return MAX_CELLS
        return max(MAX_CELLS // len(self.rare.names), MIN_ROWS_AT_ONCE)

    def every_column(self) -> dict[str, LabelColumn]:
        """All names as columns: for rows that are shown, not for all that are held."""
        return {**self.columns, **(self.rare.columns() if self.rare else {})}

    def take(self, rows: Rows | slice) -> "Metadata":
        """The given rows."""
        columns = {name: column.take(rows) for name, column in self.columns.items()}
        return Metadata(columns, None if self.rare is None else self.rare.take(rows))

    def select(self, names: Iterable[str]) -> "Metadata":
        """Only the named ones."""
        wanted, rare = set(names), self.rare
        if rare is not None:
            numbers = [number for number, name in enumerate(rare.names) if name in wanted]
            rare = _only(rare, np.isin(rare.name, numbers)) if numbers else None
        return Metadata({n: c for n, c in self.columns.items() if n in wanted}, rare)

    def with_column(self, name: str, column: LabelColumn) -> "Metadata":
        """The same with one name's values replaced."""
        rare = self.rare
        if rare is not None and name in rare.names:
            rare = _only(rare, rare.name != rare.names.index(name))
        return Metadata({**self.columns, name: column}, rare)

    def without_absent(self) -> "Metadata":
        """Without columns that no row has."""
        return Metadata({n: c for n, c in self.columns.items() if c.present().any()}, self.rare)

    def counts(self) -> dict[str, int]:
        """How many rows have each name."""
        found = {name: int(column.present().sum()) for name, column in self.columns.items()}
        if self.rare is not None:
            rare = np.bincount(self.rare.name, minlength=len(self.rare.names)).tolist()
            found.update(zip(self.rare.names, rare, strict=True))
        return found

    def items(self) -> Iterator[tuple[int, str, str]]:
        """(row, name, value), in no order; a Python object each: for few of them."""
        for name, column in self.columns.items():
            texts, codes = column.texts, column.codes
            for row in np.flatnonzero(codes >= 0).tolist():
                yield row, name, texts[codes[row]]
        if self.rare is not None:
            rare = self.rare
            for row, number, value in zip(
                rare.row.tolist(), rare.name.tolist(), rare.value.to_list(), strict=True
            ):
                yield row, rare.names[number], (value or b"").decode("utf-8", "surrogateescape")

    def row_codes(self) -> list[I64]:
        """Columns of codes: two rows have equal metadata when they are equal in each of them."""
        codes = [
            SpansColumn(column.spans).codes.astype(np.int64) for column in self.columns.values()
        ]
        return codes if self.rare is None else [*codes, self.rare.codes()]

    def nbytes(self) -> int:
        """Bytes held, about."""
        columns = sum(
            4 * len(column) + column.values.nbytes() + 12 * len(column.values)
            for column in self.columns.values()
        )
        return columns + (0 if self.rare is None else self.rare.nbytes())


def concat_metadata(parts: Sequence[tuple[Metadata, int]]) -> Metadata:
    """Rows of all parts (metadata, number of rows), one behind the other."""
    if len(parts) == 1:
        return parts[0][0]
    names = list(dict.fromkeys(name for metadata, _ in parts for name in metadata.columns))
    if len(names) <= FEW_NAMES and not any(metadata.rare for metadata, _ in parts):
        return Metadata({name: _joined(parts, name) for name in names})
    counts: Counter[str] = Counter()
    for metadata, _ in parts:
        counts.update(metadata.counts())
    rows = sum(size for _, size in parts)
    dense = are_common(np.array(list(counts.values()), np.int64), rows)
    common = [name for name, is_dense in zip(counts, dense.tolist(), strict=True) if is_dense]
    columns = {name: _joined(parts, name) for name in common}
    return Metadata(columns, _others(parts, frozenset(common), rows))


def are_common(counts: I64, rows: int) -> Mask:
    """Which names are columns: `counts` says how many of the rows have each."""
    if len(counts) <= FEW_NAMES:
        return np.ones(len(counts), np.bool_)
    common: Mask = counts * DENSE_SHARE >= rows
    return common


def column_of(row: I32, values: LabelColumn, rows: int) -> LabelColumn:
    """A column with these values in some rows; of values for one row the last counts."""
    codes = np.full(rows, -1, np.int32)
    codes[row] = values.codes
    return CodedColumn(codes=codes, values=values.values)


def _joined(parts: Sequence[tuple[Metadata, int]], name: str) -> LabelColumn:
    return concat_columns([m.get(name) or CodedColumn.absent(n) for m, n in parts])


def _others(
    parts: Sequence[tuple[Metadata, int]], common: frozenset[str], rows: int
) -> Triples | None:
    """The triples of all names that are not common."""
    numbers: dict[str, int] = {}
    row, name, value = [], [], []
    first = 0
    for metadata, size in parts:
        for text, column in metadata.columns.items():
            if text not in common:
                there = np.flatnonzero(column.present()).astype(np.int32)
                row.append(there + np.int32(first))
                number = numbers.setdefault(text, len(numbers))
                name.append(np.full(len(there), number, np.int32))
                value.append(column.take(there).spans)
        rare = metadata.rare
        if rare is not None:
            mapping = np.array(
                [-1 if t in common else numbers.setdefault(t, len(numbers)) for t in rare.names],
                np.int32,
            )
            kept = np.flatnonzero(mapping[rare.name] >= 0)
            row.append(rare.row[kept] + np.int32(first))
            name.append(mapping[rare.name[kept]])
            value.append(rare.value.take(kept))
        first += size
    if not row:
        return None
    texts = tuple(numbers)
    return Triples.of(rows, texts, np.concatenate(row), np.concatenate(name), concat_spans(value))


def _only(triples: Triples, which: Mask) -> Triples | None:
    kept = np.flatnonzero(which)
    row, name, value = triples.row[kept], triples.name[kept], triples.value.take(kept)
    return _compact(replace(triples, row=row, name=name, value=value))


def _compact(triples: Triples) -> Triples | None:
    """Without names that do not occur; None when nothing is left."""
    if not len(triples):
        return None
    used = np.bincount(triples.name, minlength=len(triples.names)) > 0
    if used.all():
        return triples
    number = (np.cumsum(used) - 1).astype(np.int32)
    names = tuple(triples.names[k] for k in np.flatnonzero(used).tolist())
    return replace(triples, names=names, name=number[triples.name])
