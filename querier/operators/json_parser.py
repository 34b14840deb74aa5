"""`| json`: members of a JSON line as labels (reference/logql.md §6.1, §6.2)."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from logql.ast import JsonParser
from narfi.core.columns import Spans
from narfi.core.kernels.json_path import NO_JSON, walk_paths
from narfi.core.kernels.json_scan import ERRORS, scan_all
from narfi.core.kernels.json_text import OBJECT
from narfi.core.kernels.json_wanted import scan_wanted
from narfi.core.label_column import CodedColumn, LabelColumn, SpansColumn
from narfi.core.text.json_path import parse_json_path
from narfi.core.text.label_names import EXTRACTED_SUFFIX, join_path
from querier.operators.base import Demand, Operator
from querier.operators.fields import PLACE_BYTES, add_fields, add_pairs, set_errors, with_side
from querier.operators.frame import Frame
from querier.operators.shape_fields import (
    Pieces,
    Sample,
    is_never_json,
    json_source,
    json_value,
    sample_of,
    shape_of,
)
from querier.operators.shared_fields import Fields, Source, fields_of_lines, remembered
from storage.lines.base import LineShape
from storage.lines.template import LineKind, Role, Template

ERROR = "JSONParserErr"
_DETAILS = (*ERRORS, "")
FIRST_TABLE = 1024
"""Places for distinct keys of a batch at first; doubled eightfold while they do not suffice."""


def build_json(stage: JsonParser, demand: Demand) -> Operator:
    """The operator for a stage; only demanded labels are extracted."""
    if stage.extractions:
        return JsonExpressions(stage)
    if demand.labels is None:
        return JsonAll()
    if any(f"{name}{EXTRACTED_SUFFIX}" in demand.labels for name in demand.labels):
        return JsonAll()  # which of two keys counts depends on their order in the line
    return JsonWanted(wanted_keys(demand.labels), demand.errors)


def wanted_keys(labels: frozenset[str]) -> tuple[str, ...]:
    """Names of members that may become the labels: also without the collision suffix."""
    plain = {name.removesuffix(EXTRACTED_SUFFIX) for name in labels}
    return tuple(sorted((labels | plain) - {""}))


@dataclass(frozen=True, slots=True)
class JsonWanted:
    """Extracts the named labels and leaves each line as soon as all are found."""

    names: tuple[str, ...]
    errors: bool

    def apply(self, frame: Frame) -> Frame:
        """The frame with the wanted members as labels."""
        if not len(frame):
            return frame
        if is_never_json(frame.lines):
            return _all_failed(frame)
        columns = self._from_shape(frame)
        if columns is None:
            columns = fields_of_lines(frame.lines, self)
        if columns is not None:
            return add_fields(frame, columns)  # lines of a JSON shape have no errors
        lines = frame.lines.spans()
        frame.account.charge(len(self.names) * len(frame) * PLACE_BYTES)
        found = self._scan(lines, stop_early=not self.errors)
        columns = {
            name: SpansColumn(Spans(found.data, found.start[k], found.length[k]))
            for k, name in enumerate(self.names)
        }
        present = {name: c for name, c in columns.items() if c.present().any()}
        return set_errors(add_fields(frame, present), ERROR, found.error, ERRORS)

    def fields_of(self, template: Template) -> Fields | None:
        """The members of every line of a template; None where lines must be read."""
        return remembered(template, self.names, lambda: self._fields(template))

    def _fields(self, template: Template) -> Fields | None:
        if template.kind is not LineKind.JSON:
            return None
        sample = sample_of(template)
        found = self._scan(Spans.of([sample.line]), stop_early=False)
        if found.error[0]:
            return None  # a wrong escape in a key
        fields: dict[str, Source] = {}
        for k, name in enumerate(self.names):
            first, length = int(found.start[k, 0]), int(found.length[k, 0])
            if length < 0:
                continue
            pieces = sample.between(first, first + length)
            beyond = pieces is None or first >= len(sample.line)
            source = None if beyond else json_source(template, pieces or ())
            if source is None:
                return None
            fields[name] = source
        has_nulls = any(source.read is not None for source in fields.values())
        if has_nulls and not _names_twice(template).isdisjoint(fields):
            return None  # of a null, a line goes on to the next member of the name
        return fields

    def _from_shape(self, frame: Frame) -> dict[str, LabelColumn] | None:
        """The members from typed columns; None where the lines must be read."""
        shape = shape_of(frame.lines, LineKind.JSON)
        if shape is None:
            return None
        template = shape.template
        places = remembered(template, ("places", self.names), lambda: self._places(template))
        if places is None:
            return None
        columns: dict[str, LabelColumn] = {}
        for name, pieces in places.items():
            value = json_value(shape, pieces)
            if value is None:
                return None
            columns[name] = value
        nulls = [name for name, value in columns.items() if not value.present().all()]
        if nulls:  # a line goes on to the next member of the name
            twice = remembered(template, "twice", lambda: _names_twice(template))
            if not twice.isdisjoint(nulls):
                return None
        return columns

    def _places(self, template: Template) -> dict[str, Pieces] | None:
        """What each member that is there consists of; None where the lines must be read."""
        sample = sample_of(template)
        found = self._scan(Spans.of([sample.line]), stop_early=False)
        if found.error[0]:
            return None  # a wrong escape in a key
        places: dict[str, Pieces] = {}
        for k, name in enumerate(self.names):
            length = int(found.length[k, 0])
            if length < 0:
                continue
            pieces = _pieces_at(sample, int(found.start[k, 0]), length)
            if pieces is None:
                return None
            places[name] = pieces
        return places

    def _scan(self, lines: Spans, *, stop_early: bool) -> "_Wanted":
        names = Spans.of(name.encode() for name in self.names)
        count, rows = len(self.names), len(lines)
        start = np.empty((count, rows), np.int64)
        length = np.empty((count, rows), np.int32)
        error, side = np.empty(rows, np.uint8), np.empty(lines.nbytes(), np.uint8)
        used = scan_wanted(
            lines.data,
            lines.start,
            lines.length,
            names.data,
            names.start,
            names.length,
            stop_early,
            start,
            length,
            error,
            side,
        )
        return _Wanted(with_side(lines, side, used), start, length, error)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Values by wanted name and row."""

    data: np.ndarray
    start: np.ndarray
    length: np.ndarray
    error: np.ndarray


@dataclass(frozen=True, slots=True)
class JsonAll:
    """Extracts every member."""

    def apply(self, frame: Frame) -> Frame:
        """The frame with all members as labels."""
        if not len(frame):
            return frame
        if is_never_json(frame.lines):
            return _all_failed(frame)
        columns = _all_from_shape(frame)
        if columns is not None:
            return add_fields(frame, columns)
        found = scan_members(frame.lines.spans())
        names: dict[str, int] = {}
        numbers = np.array(
            [names.setdefault(n, len(names)) if n else -1 for n in found.key_names()] or [-1],
            np.int32,
        )
        pair_name = numbers[found.pair_key]
        frame = add_pairs(frame, found.pair_row, pair_name, list(names), found.values)
        return set_errors(frame, ERROR, found.error, ERRORS)


def _all_failed(frame: Frame) -> Frame:
    """Each line fails as one that does not begin with a brace."""
    return set_errors(frame, ERROR, np.full(len(frame), OBJECT, np.uint8), ERRORS)


def _all_from_shape(frame: Frame) -> dict[str, LabelColumn] | None:
    """Every member from typed columns, of equal names the first; None: the lines must be read."""
    shape = shape_of(frame.lines, LineKind.JSON)
    if shape is None:
        return None
    sample = sample_of(shape.template)
    found = scan_members(Spans.of([sample.line]))
    if found.error[0]:
        return None  # a wrong escape in a key
    names = found.key_names()
    columns: dict[str, LabelColumn] = {}
    places = zip(found.values.start.tolist(), found.values.length.tolist(), strict=True)
    for key, (first, length) in zip(found.pair_key.tolist(), places, strict=True):
        if not names[key]:
            continue
        if names[key] in columns:
            if not columns[names[key]].present().all():
                return None  # a null: a line goes on to this member
            continue
        value = _value_at(shape, sample, first, length)
        if value is None:
            return None
        columns[names[key]] = value
    return columns


def _value_at(shape: LineShape, sample: Sample, first: int, length: int) -> LabelColumn | None:
    """The value that stands at a place of the sample; None where the lines must be read.

    Behind the sample stands what is read otherwise than written: escapes, whole or cut by a hole.
    """
    pieces = _pieces_at(sample, first, length)
    return None if pieces is None else json_value(shape, pieces)


def _pieces_at(sample: Sample, first: int, length: int) -> Pieces | None:
    """What stands at a place of the sample; None where that is no whole pieces of it."""
    return None if first >= len(sample.line) else sample.between(first, first + length)


def _names_twice(template: Template) -> frozenset[str]:
    """Names that several members of each line of a template have."""
    pairs = scan_members(Spans.of([sample_of(template).line]))
    names = pairs.key_names()
    found = Counter(names[key] for key in pairs.pair_key.tolist())
    return frozenset(name for name, times in found.items() if times > 1)


def scan_members(lines: Spans) -> "Members":
    """Every scalar member of the lines, as far as each can be read."""
    places = FIRST_TABLE
    found = _scan(lines, places)
    while found is None:
        places *= 8
        found = _scan(lines, places)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """The pairs of a batch of lines."""

    pair_row: np.ndarray
    pair_key: np.ndarray
    values: Spans
    key_parent: np.ndarray
    keys: Spans
    error: np.ndarray

    def key_names(self) -> list[str]:
        """The label name of every key number ("" when nothing of it is left)."""
        return [join_path(path) for path in self.key_paths()]

    def key_paths(self) -> list[list[str]]:
        """The keys that lead to a member, by key number."""
        texts = [(k or b"").decode("utf-8", "surrogateescape") for k in self.keys.to_list()]
        paths: list[list[str]] = []
        for text, parent in zip(texts, self.key_parent.tolist(), strict=True):
            paths.append([*paths[parent], text] if parent >= 0 else [text])
        return paths


def _scan(lines: Spans, places: int) -> Members | None:
    """All pairs, or None when the key table is too small."""
    size = lines.nbytes()
    room = size // 3 + 1
    pair_row, pair_key = np.empty(room, np.int32), np.empty(room, np.int32)
    pair_start, pair_length = np.empty(room, np.int64), np.empty(room, np.int32)
    key_parent, key_length = np.empty(places, np.int32), np.empty(places, np.int32)
    key_start, key_hash = np.empty(places, np.int64), np.empty(places, np.int64)
    error, side = np.empty(len(lines), np.uint8), np.empty(size, np.uint8)
    sizes = np.zeros(3, np.int64)
    pairs = scan_all(
        lines.data,
        lines.start,
        lines.length,
        np.full(places, -1, np.int64),
        pair_row,
        pair_start,
        pair_length,
        sizes,
        pair_key,
        key_parent,
        key_start,
        key_length,
        key_hash,
        error,
        side,
    )
    if pairs < 0:
        return None
    _, keys, used = sizes.tolist()
    data = with_side(lines, side, used)
    return Members(
        pair_row=pair_row[:pairs],
        pair_key=pair_key[:pairs],
        values=Spans(data, pair_start[:pairs], pair_length[:pairs]),
        key_parent=key_parent[:keys],
        keys=Spans(data, key_start[:keys], key_length[:keys]),
        error=error,
    )


class JsonExpressions:
    """`| json a="path", b`: only the named paths; a missing one gives an empty label."""

    def __init__(self, stage: JsonParser) -> None:
        self._names = [e.name for e in stage.extractions]
        paths = [parse_json_path(e.expression) for e in stage.extractions]
        parts = [part for path in paths for part in path]
        self._sizes = np.array([len(path) for path in paths], np.int64)
        self._index = np.array([p if isinstance(p, int) else -1 for p in parts], np.int64)
        self._keys = Spans.of(b"" if isinstance(p, int) else p.encode() for p in parts)

    def apply(self, frame: Frame) -> Frame:
        """The frame with a label per expression."""
        if not len(frame):
            return frame
        columns: list[LabelColumn]
        if is_never_json(frame.lines):
            columns = [CodedColumn.absent(len(frame)) for _ in self._names]
            looked_at = np.zeros(len(frame), np.bool_)
            error = np.full(len(frame), NO_JSON, np.uint8)
        elif (
            found := self._from_shape(frame)
        ) is not None:  # lines of a JSON shape are not empty, and have no errors
            columns, looked_at = found, np.ones(len(frame), np.bool_)
            error = np.zeros(len(frame), np.uint8)
        else:
            lines = frame.lines.spans()
            rewritten = lines.nbytes() * (len(self._names) + 1)
            frame.account.charge(len(self._names) * len(frame) * PLACE_BYTES + rewritten)
            columns, error = self._walk(lines)
            looked_at = (lines.length > 0) & (error != NO_JSON)
        missing = np.zeros(len(frame), np.bool_)
        for name, column in zip(self._names, columns, strict=True):
            missing |= looked_at & ~column.present()
            frame = add_fields(frame, {name: column}, replace=True)
        for name in self._names:
            without = missing & ~frame.label(name).present()
            if without.any():
                frame = frame.with_parsed(
                    {name: CodedColumn.constant(b"", len(frame)).without(~without)}
                )
        return set_errors(frame, ERROR, np.where(error == NO_JSON, len(ERRORS), error), _DETAILS)

    def _from_shape(self, frame: Frame) -> list[LabelColumn] | None:
        """The values at each path from typed columns; None where the lines must be read."""
        shape = shape_of(frame.lines, LineKind.JSON)
        if shape is None or any(hole.role is Role.ARRAY for hole in shape.template.holes):
            return None  # a path may lead into an array
        sample = sample_of(shape.template)
        found, error = self._walk(Spans.of([sample.line]))
        if error[0]:
            return None
        columns = []
        for column in found:
            first, length = int(column.spans.start[0]), int(column.spans.length[0])
            value: LabelColumn | None = CodedColumn.absent(len(frame))
            if length >= 0:
                inside = sample.line[first : first + 1] not in (b"{", b"[")  # or raw text
                value = _value_at(shape, sample, first, length) if inside else None
                if value is not None and not value.present().all():
                    value = None  # what a null gives, the walk decides
            if value is None:
                return None
            columns.append(value)
        return columns

    def _walk(self, lines: Spans) -> tuple[list[LabelColumn], np.ndarray]:
        """(the values at each path, an error code per line)."""
        count, rows = len(self._names), len(lines)
        start, length = np.empty((count, rows), np.int64), np.empty((count, rows), np.int32)
        error, side = np.empty(rows, np.uint8), np.empty(lines.nbytes() * (count + 1), np.uint8)
        used = walk_paths(
            lines.data,
            lines.start,
            lines.length,
            np.cumsum(self._sizes) - self._sizes,
            self._sizes,
            self._index,
            self._keys.data,
            self._keys.start,
            self._keys.length,
            start,
            length,
            error,
            side,
        )
        data = with_side(lines, side, used)
        return [SpansColumn(Spans(data, start[k], length[k])) for k in range(count)], error
