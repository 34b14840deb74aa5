"""Which fields do the rows of a log answer have? Names, distinct values, parsers, paths of JSON.

A line is read as JSON or, failing that, as logfmt: by the kernels of the parsers, all rows of a
batch at once; a Python text is made of each distinct value. What leaf tasks found is merged in any
order: each field knows which row had it first and which had it last (http-api.md §4.9).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from narfi.core.columns import I32, I64, Mask, Spans
from narfi.core.label_column import LabelColumn, SpansColumn
from narfi.core.text.label_names import EXTRACTED_SUFFIX, join_path, sanitise
from querier.budget import Account
from querier.executors.leaf import Leaf
from querier.explore.detected import kind_of
from querier.operators.fields import TEXT_BYTES
from querier.operators.frame import ERROR, ERROR_DETAILS, PRESERVE_ERROR, Frame
from querier.operators.json_parser import scan_members
from querier.operators.logfmt import scan
from querier.plan.spec import Rows
from querier.result import QueryStats
from storage.scan import Columns
from storage.stream_labels import U64

ERROR_LABELS = (ERROR, ERROR_DETAILS, PRESERVE_ERROR)
PAIR_BYTES = 64
"""Of a name and its value in a line, while they are sorted."""

Place = tuple[int, int, int, int]
"""Where a row stands in the answer, newest first: smaller comes before."""
METADATA, LINE, PARSED = range(3)
"""Where a value comes from; of a row that has several, the last of these tells the kind."""
_NAMED_FIRST = {METADATA: 0, PARSED: 1, LINE: 2}
"""In which order the names of a row are found."""


@dataclass(slots=True, kw_only=True)
class DetectedField:
    """A name in metadata or lines; `parsers` are those that read lines of rows that have it.

    They are empty for metadata.
    """

    label: str
    first: tuple[Place, int, int]
    last: tuple[Place, int]
    last_text: str
    values: set[str] = field(default_factory=set)
    parsed_at: dict[str, Place] = field(default_factory=dict)
    json_path: list[str] = field(default_factory=list)
    path_at: Place | None = None

    @property
    def kind(self) -> str:
        """`int`, `float`, `boolean`, `duration`, `bytes` or `string`: of the oldest value."""
        return kind_of(self.last_text)

    @property
    def parsers(self) -> list[str]:
        """`json`, `logfmt`, in the order of the answer."""
        return sorted(self.parsed_at, key=lambda parser: self.parsed_at[parser])

    def merge(self, other: "DetectedField") -> None:
        """Take what was found of the same name elsewhere."""
        self.first = min(self.first, other.first)
        if other.last > self.last:
            self.last, self.last_text = other.last, other.last_text
        self.values |= other.values
        for parser, place in other.parsed_at.items():
            self.parsed_at[parser] = min(place, self.parsed_at.get(parser, place))
        if other.path_at is not None and (self.path_at is None or other.path_at > self.path_at):
            self.path_at, self.json_path = other.path_at, other.json_path


@dataclass(frozen=True, slots=True)
class FieldsPartial:
    """What a leaf task found; it stays charged until the answer is sent."""

    fields: Sequence[DetectedField]
    stats: QueryStats


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectFields:
    """The fields of some rows of an answer, behind all stages."""

    rows: Rows

    def run(self, leaf: Leaf) -> FieldsPartial:
        """The fields by name, in no order."""
        found = _Found(leaf.budget.account())
        for frame in leaf.fetched(self.rows.numbers, Columns()):
            if len(frame):
                _add(found, frame, _Order(frame, leaf.fingerprints(frame.stream), leaf.view.order))
        return FieldsPartial(tuple(found.fields.values()), leaf.stats)


def merged_fields(
    partials: Iterable[FieldsPartial], limit: int | None = None
) -> list[DetectedField]:
    """All fields, those first that the newest rows have; at most `limit` of them, if given."""
    fields: dict[str, DetectedField] = {}
    for partial in partials:
        for one in partial.fields:
            known = fields.get(one.label)
            if known is None:
                fields[one.label] = one
            else:
                known.merge(one)
    return sorted(fields.values(), key=lambda one: one.first)[:limit]


class _Order:
    """Where the rows of a frame stand in the answer."""

    def __init__(self, frame: Frame, fingerprints: U64, order: int) -> None:
        self._ts, self._rows, self._stream, self._order = frame.ts, frame.rows, fingerprints, order
        oldest_first = np.lexsort((frame.rows, fingerprints, frame.ts))
        self.rank = np.empty(len(frame), np.int64)
        self.rank[oldest_first[::-1]] = np.arange(len(frame))

    def place(self, row: int) -> Place:
        """Of a row of the frame."""
        ts, stream, number = self._ts[row], self._stream[row], self._rows[row]
        return (-int(ts), -int(stream), -self._order, -int(number))


class _Found:
    """The fields of a leaf task."""

    def __init__(self, account: Account) -> None:
        self.fields: dict[str, DetectedField] = {}
        self._account = account

    def add(self, one: DetectedField) -> None:
        """What was found of a name in a frame."""
        known = self.fields.get(one.label)
        before = set() if known is None else known.values
        self._account.charge(sum(TEXT_BYTES + len(text) for text in one.values - before))
        if known is None:
            self.fields[one.label] = one
        else:
            known.merge(one)


def _add(found: _Found, frame: Frame, order: _Order) -> None:
    """The fields of a frame."""
    for number, (name, column) in enumerate(sorted(frame.metadata.items())):
        _add_column(found, name, column, order, (METADATA, number))
    lines = frame.lines.spans()
    members = scan_members(lines)
    is_json = (members.error == 0) & (lines.length > 0)
    parsers = {"json": is_json, "logfmt": ~is_json}
    for number, (name, column) in enumerate(sorted(frame.parsed.items())):
        if name not in ERROR_LABELS:
            _add_column(found, name, column, order, (PARSED, number), parsers)
    paths = members.key_paths()
    rows = members.pair_row.astype(np.int64)
    pairs = _Pairs(rows, members.pair_key, members.values).take(is_json[rows])
    names = [join_path(path) for path in paths]
    _add_pairs(found, frame, pairs, names, order, "json", paths)
    others = np.flatnonzero(~is_json)
    if len(others):
        read = scan(lines.take(others), strict=False, keep_empty=False)
        pairs = _Pairs(others[read.pair_row], read.pair_key, read.values)
        _add_pairs(found, frame, pairs, list(map(sanitise, read.keys)), order, "logfmt")


def _add_column(
    found: _Found,
    name: str,
    column: LabelColumn,
    order: _Order,
    source: tuple[int, int],
    parsers: Mapping[str, Mask] | None = None,
) -> None:
    """A label of the rows; `source` is where it comes from, and its number there."""
    rows = np.flatnonzero(column.present())
    if not len(rows):
        return
    small = column.take(rows).compact()
    one = _field(name, rows, small.codes, small.texts, order, source)
    for parser, is_read in (parsers or {}).items():
        mine = rows[is_read[rows]]
        if len(mine):
            one.parsed_at[parser] = order.place(_newest(mine, order))
    found.add(one)


def _field(
    name: str,
    rows: I64,
    codes: I32,
    texts: Sequence[str],
    order: _Order,
    source: tuple[int, int],
) -> DetectedField:
    """A name with the values of all rows that have it; codes are places in `texts`."""
    kind, number = source
    oldest = int(np.argmax(order.rank[rows]))
    return DetectedField(
        label=name,
        first=(order.place(_newest(rows, order)), _NAMED_FIRST[kind], number),
        last=(order.place(int(rows[oldest])), kind),
        last_text=texts[codes[oldest]],
        values={texts[code] for code in np.unique(codes).tolist()},
    )


def _newest(rows: I64, order: _Order) -> int:
    return int(rows[np.argmin(order.rank[rows])])


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Keys and values of lines, in the order of each line."""

    row: I64
    key: I32
    values: Spans

    def take(self, chosen: Mask | I64) -> "_Pairs":
        return _Pairs(self.row[chosen], self.key[chosen], self.values.take(chosen))


def _add_pairs(
    found: _Found,
    frame: Frame,
    pairs: _Pairs,
    names: Sequence[str],
    order: _Order,
    parser: str,
    paths: Sequence[list[str]] | None = None,
) -> None:
    """What a parser read in lines; `names` are those of its keys, `""` for none."""
    with frame.account.held(len(pairs.row) * PAIR_BYTES):
        numbers: dict[str, int] = {}
        known = [numbers.setdefault(name, len(numbers)) if name else -1 for name in names]
        name = np.array([*known, -1], np.int64)[pairs.key]
        name = _placed(frame, pairs.row, name, numbers)
        chosen = _first_of_each(pairs.row, name, len(numbers))
        pairs, name = pairs.take(chosen), name[chosen]
        column = SpansColumn(pairs.values)
        codes, texts = column.codes, column.texts
        by_name = np.argsort(name, kind="stable")
        ends = np.searchsorted(name[by_name], np.arange(len(numbers) + 1))
        for text, low, high in zip(numbers, ends[:-1].tolist(), ends[1:].tolist(), strict=True):
            mine = by_name[low:high]
            if not len(mine):
                continue
            rows = pairs.row[mine]
            newest, oldest = np.argmin(order.rank[rows]), np.argmax(order.rank[rows])
            source = (LINE, int(chosen[mine[newest]]))
            one = _field(text, rows, codes[mine], texts, order, source)
            one.parsed_at[parser] = order.place(int(rows[newest]))
            if paths is not None:
                one.json_path = paths[int(pairs.key[mine[oldest]])]
                one.path_at = order.place(int(rows[oldest]))
            found.add(one)


def _placed(frame: Frame, row: I64, name: I64, numbers: dict[str, int]) -> I64:
    """The names under which pairs become labels; `numbers` of names are added to."""
    placed = name.copy()
    for text in sorted(numbers.keys() & {*frame.table.names, *frame.stream_changes}):
        stream = frame.stream_label(text)
        if stream is None:
            continue
        taken = (name == numbers[text]) & stream.present()[row]
        if taken.any():
            placed[taken] = numbers.setdefault(text + EXTRACTED_SUFFIX, len(numbers))
    return placed


def _first_of_each(row: I64, name: I64, names: int) -> I64:
    """Of pairs of a row that have one name the first; none without a name. Ascending."""
    named = np.flatnonzero(name >= 0)
    _, first = np.unique(row[named] * (names + 1) + name[named], return_index=True)
    return np.sort(named[first])
