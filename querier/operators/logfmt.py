"""`| logfmt`: pairs of a line as labels (reference/logql.md §6.3, §6.4)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from logql.ast import LogfmtParser
from narfi.core.columns import I32, I64, Mask, Spans
from narfi.core.kernels.logfmt_scan import ERRORS, scan_pairs
from narfi.core.label_column import CodedColumn, LabelColumn
from narfi.core.text.label_names import EXTRACTED_SUFFIX, sanitise
from narfi.core.text.logfmt_key import check_logfmt_key
from querier.operators.base import Demand, Operator
from querier.operators.fields import (
    PLACE_BYTES,
    add_fields,
    add_pairs,
    scatter,
    set_errors,
    taken_rows,
    with_side,
)
from querier.operators.frame import Frame
from querier.operators.json_parser import FIRST_TABLE, wanted_keys
from querier.operators.shape_fields import logfmt_is_certain, sample_of, shape_of
from querier.operators.shared_fields import Fields, Source, fields_of_lines, remembered
from storage.lines.template import LineKind, Template

ERROR = "LogfmtParserErr"
MIN_NAME = 2
"""Shorter names are in nearly every line."""


def build_logfmt(stage: LogfmtParser, demand: Demand) -> Operator:
    """The operator for a stage; only demanded labels are extracted."""
    if stage.extractions:
        return LogfmtExpressions(stage)
    wanted = None if demand.labels is None else frozenset(wanted_keys(demand.labels))
    return Logfmt(stage.strict, stage.keep_empty, wanted)


@dataclass(frozen=True, slots=True)
class Logfmt:
    """Every pair, or only the wanted names."""

    strict: bool
    keep_empty: bool
    wanted: frozenset[str] | None

    def apply(self, frame: Frame) -> Frame:
        """The frame with the pairs as labels."""
        if not len(frame):
            return frame
        columns = self._from_shape(frame)
        if columns is None:
            columns = fields_of_lines(frame.lines, self)
        if columns is not None:
            return add_fields(frame, columns)
        rows = self._worth_reading(frame)
        if rows is not None and not len(rows):
            return frame
        lines = frame.lines if rows is None else frame.lines.take(rows)
        names = None if self.wanted is None else sorted(self.wanted)
        found = scan(lines.spans(), strict=self.strict, keep_empty=self.keep_empty, names=names)
        pair_name, pair_row = found.pair_key, found.pair_row
        if names is None:
            known: dict[str, int] = {}
            numbers = [
                known.setdefault(name, len(known)) if name else -1
                for name in map(sanitise, found.keys)
            ]
            pair_name, names = np.array([*numbers, -1], np.int32)[found.pair_key], list(known)
        if rows is not None:
            pair_row = rows[pair_row].astype(np.int32)
        frame = add_pairs(frame, pair_row, pair_name, names, found.values)
        return found.with_errors(frame)

    def _worth_reading(self, frame: Frame) -> I64 | None:
        """Rows that hold a text of a wanted name; None: all, or it is not cheap to find out."""
        shape = frame.lines.shape()
        if self.strict or self.wanted is None or shape is None:
            return None
        parts = [max(name.split("_"), key=len).encode() for name in self.wanted]
        if min(map(len, parts), default=0) < MIN_NAME:
            return None
        found = np.zeros(len(frame), np.bool_)
        for part in parts:
            found |= frame.lines.contains(part)
        return None if found.all() else np.flatnonzero(found)

    def fields_of(self, template: Template) -> Fields | None:
        """The pairs of every line of a template; None where lines must be read."""
        key = ("logfmt", self.strict, self.keep_empty, self.wanted)
        return remembered(template, key, lambda: self._fields(template))

    def _fields(self, template: Template) -> Fields | None:
        if template.kind is not LineKind.LOGFMT or not logfmt_is_certain(template):
            return None
        sample = sample_of(template)
        found = scan(Spans.of([sample.line]), strict=self.strict, keep_empty=self.keep_empty)
        if found.error[0]:
            return None
        fields: dict[str, Source] = {}
        places = zip(found.values.start.tolist(), found.values.length.tolist(), strict=True)
        for key, (first, length) in zip(found.pair_key.tolist(), places, strict=True):
            name = sanitise(found.keys[key])
            if not self._is_wanted(name) or name in fields:
                continue
            pieces = sample.between(first, first + length)
            if pieces is None or first + length > len(sample.line):
                return None
            fields[name] = Source(pieces)
        return fields

    def _from_shape(self, frame: Frame) -> dict[str, LabelColumn] | None:
        """The pairs from typed columns, of equal names the first; None: the lines must be read."""
        shape = shape_of(frame.lines, LineKind.LOGFMT)
        fields = None if shape is None else self.fields_of(shape.template)
        if shape is None or fields is None:
            return None
        return {name: shape.text_between(source.pieces) for name, source in fields.items()}

    def _is_wanted(self, name: str) -> bool:
        return bool(name) and (self.wanted is None or name in self.wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """The pairs of a batch of lines; `keys` are those of the lines, or the names asked for."""

    pair_row: np.ndarray
    pair_key: np.ndarray
    values: Spans
    keys: list[str]
    error: np.ndarray
    place: np.ndarray

    def with_key(self, keys: list[str], wanted: str) -> Mask:
        """Which pairs have a key; `keys` are the sanitised ones by number."""
        equal = np.array([*(key == wanted for key in keys), False])
        found: Mask = equal[self.pair_key]
        return found

    def with_errors(self, frame: Frame) -> Frame:
        """The frame with the errors of a strict scan; each place has its own details."""
        failed = np.flatnonzero(self.error)
        if not len(failed):
            return frame
        faults = self.place[failed].astype(np.int64) * len(ERRORS) + self.error[failed]
        distinct, which = np.unique(faults, return_inverse=True)
        codes = np.zeros(len(self.error), np.int32)
        codes[failed] = which + 1
        told = (divmod(fault, len(ERRORS)) for fault in distinct.tolist())
        texts = (f"logfmt syntax error at pos {place} : {ERRORS[error]}" for place, error in told)
        return set_errors(frame, ERROR, codes, ("", *texts))


def scan(
    lines: Spans,
    *,
    strict: bool,
    keep_empty: bool,
    blank_bad: bool = False,
    names: Sequence[str] | None = None,
) -> Scanned:
    """All pairs of the lines, or those of which the sanitised key is one of the names."""
    if names is not None:
        wanted = [name.encode("utf-8", "surrogateescape") for name in names]
        found = _scan(lines, 0, strict, keep_empty, blank_bad, wanted)
        assert found is not None
        return replace(found, keys=list(names))
    places = FIRST_TABLE
    while (found := _scan(lines, places, strict, keep_empty, blank_bad)) is None:
        places *= 8
    return found


def _scan(
    lines: Spans,
    places: int,
    strict: bool,
    keep_empty: bool,
    blank_bad: bool,
    wanted: Sequence[bytes] | None = None,
) -> Scanned | None:
    """All pairs, or None when the key table is too small; with `wanted` there is no table."""
    size, names = lines.nbytes(), Spans.of(wanted or ())
    room = size // 2 + len(lines) + 1
    pair_row, pair_key = np.empty(room, np.int32), np.empty(room, np.int32)
    pair_start, pair_length = np.empty(room, np.int64), np.empty(room, np.int32)
    key_start, key_hash = np.empty(places, np.int64), np.empty(places, np.int64)
    key_length = np.empty(places, np.int32)
    error, place = np.empty(len(lines), np.uint8), np.empty(len(lines), np.int32)
    side, sizes = np.empty(size, np.uint8), np.zeros(3, np.int64)
    pairs = scan_pairs(
        lines.data,
        lines.start,
        lines.length,
        strict,
        keep_empty,
        blank_bad,
        wanted is not None,
        names.data,
        names.start,
        names.length,
        np.full(places, -1, np.int64),
        pair_row,
        pair_start,
        pair_length,
        pair_key,
        key_start,
        key_length,
        key_hash,
        sizes,
        error,
        place,
        side,
    )
    if pairs < 0:
        return None
    _, keys, used = sizes.tolist()
    texts = Spans(lines.data, key_start[:keys], key_length[:keys]).to_list()
    return Scanned(
        pair_row=pair_row[:pairs],
        pair_key=pair_key[:pairs],
        values=Spans(with_side(lines, side, used), pair_start[:pairs], pair_length[:pairs]),
        keys=[(text or b"").decode("utf-8", "replace") for text in texts],
        error=error,
        place=place,
    )


class LogfmtExpressions:
    """`| logfmt a="key", b`: only the named keys; a missing one gives an empty label.

    Each expression takes the values of its own key, whatever the others are called or ask for. Only
    in a line without that key, a key that has the expression's name fills it, unless another
    expression asks for that one (as recorded).
    """

    def __init__(self, stage: LogfmtParser) -> None:
        self._strict = stage.strict
        self._keys = {e.name: check_logfmt_key(e.expression) for e in stage.extractions}

    def apply(self, frame: Frame) -> Frame:
        """The frame with a label per expression; the last value of a key counts."""
        if not len(frame):
            return frame
        found = scan(
            frame.lines.spans(),
            strict=self._strict,
            keep_empty=True,
            blank_bad=True,
            names=sorted({*self._keys, *self._keys.values()}),
        )
        frame = self._with_blanks(frame)
        numbers = {name: number for number, name in enumerate(self._keys)}
        mine, name = self._asked_for(found)
        return found.with_errors(self._placed(frame, found, mine, name, numbers))

    def _asked_for(self, found: Scanned) -> tuple[I64, I32]:
        """(pair, number of an expression that asks for its key), in the order of the pairs."""
        keys = found.keys
        asked = frozenset(self._keys.values())
        pairs, names = [], []
        for number, (name, wanted) in enumerate(self._keys.items()):
            mine = found.with_key(keys, wanted)
            if name not in asked:
                without = np.ones(len(found.error), np.bool_)
                without[found.pair_row[mine]] = False
                mine |= found.with_key(keys, name) & without[found.pair_row]
            places = np.flatnonzero(mine)
            pairs.append(places)
            names.append(np.full(len(places), number, np.int32))
        pair = np.concatenate(pairs)
        order = np.argsort(pair, kind="stable")
        return pair[order], np.concatenate(names)[order]

    def _with_blanks(self, frame: Frame) -> Frame:
        """Every wanted label that is not taken is there, empty at first."""
        for name in self._keys:
            blank = CodedColumn.constant(b"", len(frame))
            taken = taken_rows(frame, name)
            frame = frame.with_parsed({name: blank if taken is None else blank.without(taken)})
        return frame

    def _placed(
        self, frame: Frame, found: Scanned, mine: I64, name: I32, numbers: dict[str, int]
    ) -> Frame:
        """Set labels in the order of the pairs; of a renamed label the first value counts."""
        rows = found.pair_row[mine]
        final, known = name.copy(), np.zeros(len(mine), np.bool_)
        for wanted in self._keys:
            taken = taken_rows(frame, wanted)
            if taken is None:
                continue
            moved = numbers.setdefault(wanted + EXTRACTED_SUFFIX, len(numbers))
            renamed = (name == numbers[wanted]) & taken[rows]
            final[renamed] = moved
            before = frame.parsed.get(wanted + EXTRACTED_SUFFIX)
            known |= renamed & (False if before is None else before.present()[rows])
        known |= (final != name) & ~_first_of(rows, final, len(numbers))
        kept = np.flatnonzero(~known)
        backward = kept[::-1]  # `scatter` keeps the first
        frame.account.charge(len(numbers) * len(frame) * PLACE_BYTES)
        columns = scatter(
            len(frame),
            rows[backward],
            final[backward],
            len(numbers),
            found.values.take(mine[backward]),
        )
        found_ones = ((name, columns[number]) for name, number in numbers.items())
        return frame.with_parsed({name: one for name, one in found_ones if one is not None})


def _first_of(rows: I32, names: I32, count: int) -> Mask:
    """Which pairs are the first of their row and name."""
    first = np.zeros(len(rows), np.bool_)
    first[np.unique(rows.astype(np.int64) * count + names, return_index=True)[1]] = True
    return first
