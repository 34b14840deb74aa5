"""Which fields do the rows of a query have? Every row counts; lines of shapes are not read.

A field is a label of the stream, structured metadata, a label that the query's stages set, or a
field inside the line that `| json` or `| logfmt` behind the query would set (`source` column).
What leaf tasks found is added name by name.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from logql import ast
from narfi.core.label_column import LabelColumn
from narfi.core.text.label_names import EXTRACTED_SUFFIX
from querier.budget import Account
from querier.executors.leaf import Leaf
from querier.explore.kinds import TEXT, common_type, type_of_text, unit_of
from querier.explore.line_fields import JSON, LOGFMT, Elsewhere, LineField, line_fields
from querier.explore.question import Question
from querier.explore.value_counts import (
    Counted,
    ValueCounts,
    counted,
    counted_of_streams,
    rows_by_stream,
)
from querier.operators.base import Demand
from querier.operators.fields import taken_rows
from querier.operators.frame import ERROR, ERROR_DETAILS, PRESERVE_ERROR, Frame
from querier.operators.pipeline import stored_names
from querier.operators.reads import PARSERS

MOST_FIELDS = 1000
"""Of an answer, those that most rows have; and of a leaf task ten times as many."""
FIELD_BYTES = 500
"""Of a field of a leaf task, beside its values."""
MOST_VALUES = 1000
"""Distinct values of a field that are counted; of more it is not known how many there are."""
TYPED_VALUES = 20
"""Values of a label that are looked at for its type."""
_HIDDEN = (ERROR_DETAILS, PRESERVE_ERROR)
MAKES_LABELS = PARSERS | ast.LabelFormat
"""Stages that set labels."""


class Source(StrEnum):
    """Where a field comes from."""

    LABEL = "label"
    METADATA = "metadata"
    PARSED = "parsed"
    COLUMN = "column"
    """Of the line: a parser in front of what asks for it gives it."""


Key = tuple[str, Source, str | None]
"""Name, source, and the parser that gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of the rows of a query."""

    name: str
    source: Source
    type: str
    rows: int
    distinct: int | None
    exact: bool
    unit: str | None
    parser: str | None  # `json` or `logfmt`, of a field inside of lines


@dataclass(slots=True, kw_only=True)
class Seen:
    """What is known of a field in some rows."""

    rows: float = 0
    exact: bool = True
    types: set[str] = field(default_factory=set)
    values: Counted | None = None  # None: too many, or they would have to be read


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldsPartial:
    """What a leaf task found."""

    found: dict[Key, Seen]
    rows: int
    elsewhere: tuple[bool, bool]  # lines may have more fields of JSON, of logfmt
    charged: int  # to the budget of the leaf; whoever takes the partial releases it


@dataclass(frozen=True, slots=True, kw_only=True)
class CountFields:
    """The fields of the rows of a leaf; `parsers`: those of which fields in lines are told.

    `names`: only fields inside of lines, and only these.
    """

    parsers: frozenset[str] = frozenset((JSON, LOGFMT))
    names: frozenset[str] | None = None

    def run(self, leaf: Leaf) -> FieldsPartial:
        """Counts by name; no Python value per line."""
        found, rows = _Found(leaf.budget.account(), self.names), 0
        for frame in leaf.frames():
            leaf.budget.check()
            rows += len(frame)
            if len(frame):
                if self.names is None:
                    found.add_labels(frame)
                if self.parsers:
                    found.add_lines(frame, self.parsers)
        leaf.stats.lines_after_filter += rows
        return found.partial(rows)


def _has_few_values(column: LabelColumn) -> bool:
    """Whether it seems worth it to number all values, by the first ones."""
    some = column.take(slice(0, 2 * MOST_VALUES))
    return len(some.values) <= MOST_VALUES


def _named(frame: Frame, one: LineField) -> Iterator[tuple[str, int]]:
    """Under which names a parser would set the field, and in how many rows.

    A name that the stream or the metadata has is another one, and a label that was parsed before
    stays.
    """
    taken, rows = taken_rows(frame, one.name), len(frame.ts[one.rows])
    if taken is None and one.name not in frame.parsed:
        yield one.name, rows
        return
    mine = np.zeros(rows, np.bool_) if taken is None else taken[one.rows]
    for name, chosen in ((one.name, ~mine), (one.name + EXTRACTED_SUFFIX, mine)):
        before = frame.parsed.get(name)
        if before is not None:
            chosen = chosen & ~before.present()[one.rows]
        yield name, int(np.count_nonzero(chosen))


class _Found:
    """The fields of a leaf task."""

    def __init__(self, account: Account, names: frozenset[str] | None) -> None:
        self._account, self._names = account, names
        self._seen: dict[Key, Seen] = {}
        self._values: dict[Key, ValueCounts | None] = {}
        self._elsewhere = Elsewhere()

    def add_labels(self, frame: Frame) -> None:
        """Labels of a frame, by where they come from."""
        by_stream = rows_by_stream(frame)
        for name in {*frame.table.names, *frame.stream_changes}:
            key = name, Source.LABEL, None
            changed = frame.stream_changes.get(name)
            if changed is not None:
                self._add_column(key, changed)
            else:
                self._add_values(key, counted_of_streams(frame.table, name, by_stream))
        for name, column in frame.metadata.items():
            self._add_column((name, Source.METADATA, None), column)
        parsed = dict(frame.parsed)
        if frame.error is not None:
            parsed[ERROR] = frame.shown(ERROR)
        for name, column in parsed.items():
            if name not in _HIDDEN:
                self._add_column((name, Source.PARSED, None), column)

    def _add_column(self, key: Key, column: LabelColumn) -> None:
        if not column.is_encoded and not _has_few_values(column):
            spans = column.spans
            there = np.flatnonzero(spans.length > 0)
            if len(there):
                some = spans.take(there[:TYPED_VALUES]).to_list()
                self._add(key, len(there), True, {_type(value) for value in some})
                self._values[key] = None
            return
        self._add_values(key, counted(column))

    def _add_values(self, key: Key, values: Counted) -> None:
        rows = int(values.counts.sum())
        if not rows:
            return
        some = values.values.take(slice(0, TYPED_VALUES)).to_list()
        self._add(key, rows, True, {_type(value) for value in some})
        known = self._values.setdefault(key, ValueCounts(self._account))
        if known is not None:
            known.add(values)
            if known.more_than(MOST_VALUES):
                self._values[key] = None

    def add_lines(self, frame: Frame, parsers: frozenset[str]) -> None:
        """Fields inside of the lines of a frame, under the names that a parser would give them."""
        for one in line_fields(frame.lines, self._elsewhere):
            if one.parser not in parsers or not self._is_wanted(one.name):
                continue
            for name, rows in _named(frame, one):
                if rows:
                    key = name, Source.COLUMN, one.parser
                    self._add(key, rows * one.weight, one.exact, {one.type})

    def _is_wanted(self, name: str) -> bool:
        """Whether the field may become one of the names."""
        wanted = self._names
        return wanted is None or name in wanted or name + EXTRACTED_SUFFIX in wanted

    def _add(self, key: Key, rows: float, exact: bool, types: set[str]) -> None:
        known = self._seen.get(key)
        if known is None:
            if len(self._seen) >= 10 * MOST_FIELDS:
                return
            self._account.charge(FIELD_BYTES)
            known = self._seen[key] = Seen()
        known.rows += rows
        known.exact &= exact
        known.types |= types

    def partial(self, rows: int) -> FieldsPartial:
        """What was found."""
        for key, values in self._values.items():
            if values is not None and key in self._seen:
                self._seen[key].values = values.whole()
        return FieldsPartial(
            found=self._seen,
            rows=rows,
            elsewhere=(self._elsewhere.json, self._elsewhere.logfmt),
            charged=self._account.used,
        )


def fields_of(question: Question) -> tuple[list[Field], int]:
    """(the fields that most rows have first, how many rows there are)."""
    parsers = parsers_of(question.query)
    demand = Demand(None, errors=True, lines=bool(parsers))
    return _fields(question, demand, CountFields(parsers=parsers))


def _fields(question: Question, demand: Demand, counting: CountFields) -> tuple[list[Field], int]:
    with question.budget.account() as account:
        merged = _Merged(account)
        for partial in question.partials(question.query, demand, counting):
            merged.add(partial)
            question.budget.release(partial.charged)
        return merged.fields()[:MOST_FIELDS], merged.rows


def parsers_of(query: ast.LogQuery) -> frozenset[str]:
    """Parsers that would find something which the stages of the query have not found."""
    used = {type(stage) for stage in query.stages if not getattr(stage, "extractions", ())}
    found = {JSON: ast.JsonParser, LOGFMT: ast.LogfmtParser}
    return frozenset(name for name, stage in found.items() if stage not in used)


class _Merged:
    """The fields of all leaf tasks."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._seen: dict[Key, Seen] = {}
        self._values: dict[Key, ValueCounts | None] = {}
        self._elsewhere = Elsewhere()
        self.rows = 0

    def add(self, partial: FieldsPartial) -> None:
        """What a leaf task found."""
        self.rows += partial.rows
        self._elsewhere.add(*partial.elsewhere)
        for key, seen in partial.found.items():
            known = self._seen.setdefault(key, Seen())
            known.rows += seen.rows
            known.exact &= seen.exact
            known.types |= seen.types
            self._add_values(key, seen.values)

    def _add_values(self, key: Key, values: Counted | None) -> None:
        known = self._values.setdefault(key, ValueCounts(self._account))
        if values is None or known is None:
            self._values[key] = None
            return
        known.add(values)
        if known.more_than(MOST_VALUES):
            self._values[key] = None

    def fields(self) -> list[Field]:
        """In the order of the answer."""
        found = [self._field(key, seen) for key, seen in self._seen.items()]
        return sorted(found, key=lambda one: (-one.rows, one.name, one.source, one.parser or ""))

    def _field(self, key: Key, seen: Seen) -> Field:
        name, source, parser = key
        values, kind = self._values[key], common_type(seen.types) if seen.types else TEXT
        return Field(
            name=name,
            source=source,
            type=kind,
            rows=round(seen.rows),
            distinct=None if values is None else len(values.whole()),
            exact=seen.exact and not (parser is not None and self._elsewhere.of(parser)),
            unit=unit_of(name, kind),
            parser=parser,
        )


def with_parser(query: ast.LogQuery, parser: str | None) -> ast.LogQuery:
    """The query with a parser behind its stages."""
    if parser is None:
        return query
    stage = ast.JsonParser() if parser == JSON else ast.LogfmtParser()
    return replace(query, stages=(*query.stages, stage))


def names_without_parser(question: Question, names: Iterable[str]) -> frozenset[str]:
    """Those of the names that rows may have as the stages leave them: too many, never too few."""
    wanted = frozenset(names)
    if any(isinstance(stage, MAKES_LABELS) for stage in question.query.stages):
        return wanted
    found = {ERROR} & wanted
    for one in question.view(question.query).sources:
        stored = one.source.metadata_names()
        found |= {name for name in wanted if one.source.table.has(name)}
        found |= {name for name in wanted if stored & stored_names(frozenset((name,)))}
    return frozenset(found)


def parsers_for(question: Question, names: Iterable[str]) -> dict[str, str | None]:
    """Which parser gives most rows a field of the name; None: none does."""
    wanted, parsers = frozenset(names), parsers_of(question.query)
    found: dict[str, str | None] = dict.fromkeys(wanted)
    demand = Demand(wanted, errors=False, lines=True)
    counting = CountFields(parsers=parsers, names=wanted)
    for one in _fields(question, demand, counting)[0]:  # those that most rows have first
        if one.name in found:
            found[one.name] = found[one.name] or one.parser
    return found


def _type(value: bytes | None) -> str:
    return type_of_text((value or b"").decode("utf-8", "replace"))
