"""Which fields does a parser find in lines, and in how many of them? By shapes, not by lines.

Of lines of a shape it is known which fields each has; where a line may have one or not (a null, an
empty text) the column is looked at. Lines without a shape are read, of many some.
Invariant: what is told as exact equals what `| json` or `| logfmt` would set.
"""

import re  # our own pattern over keys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I64, Mask, Spans
from narfi.core.kernels import shape_values as sv
from narfi.core.label_column import LabelColumn
from narfi.core.text.label_names import sanitise
from querier.explore.kinds import TEXT, type_of_hole, type_of_text
from querier.operators.json_parser import scan_members
from querier.operators.logfmt import Logfmt, Scanned, scan
from querier.operators.shape_fields import (
    json_source,
    json_value,
    never_prints_json,
    sample_of,
)
from storage.lines.base import LineColumn, LineShape
from storage.lines.mixed import MixedLines
from storage.lines.template import LineKind, Role, Template

JSON, LOGFMT = "json", "logfmt"
MOST_READ = 1 << 13
"""Lines without a shape of a batch that are read; of more, so many that lie evenly among them."""
LOOKED_AT = 16
"""Lines in which a value that tells the type is looked for first."""
LONGEST_TYPED = 40
"""Characters of a value that can be a number, a duration, a size or an address."""
_ALL_PAIRS = Logfmt(strict=False, keep_empty=False, wanted=None)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class LineField:
    """A field in some rows of a batch; `rows` are all that have it, `exact` or not."""

    name: str
    parser: str
    rows: I64 | slice  # rows of the batch that have it, before collisions of names
    weight: float = 1.0  # of each of them: how many lines it stands for
    exact: bool = True
    type: str = TEXT


@dataclass(frozen=True, slots=True)
class _Place:
    """A field of a template: the pieces of its value; None where that is not certain."""

    name: str
    pieces: tuple[bytes | int, ...] | None
    always: bool  # every line has it, and it is not empty


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of all lines of a template."""

    parser: str | None
    fields: tuple[_Place, ...]
    json_elsewhere: bool  # some line may have fields of that parser which are not listed
    logfmt_elsewhere: bool


@dataclass(slots=True)
class Elsewhere:
    """Whether lines may have fields of a parser that nobody listed."""

    json: bool = False
    logfmt: bool = False

    def of(self, parser: str) -> bool:
        """For one parser."""
        return self.json if parser == JSON else self.logfmt

    def add(self, json: bool, logfmt: bool) -> None:
        """Of more lines."""
        self.json, self.logfmt = self.json or json, self.logfmt or logfmt


def line_fields(lines: LineColumn, elsewhere: Elsewhere) -> Iterator[LineField]:
    """The fields of the lines of a batch; a field may come several times, for other rows."""
    shape = lines.shape()
    if shape is not None:
        yield from _of_shape(shape, lines, slice(0, len(lines)), elsewhere)
    elif isinstance(lines, MixedLines):
        bounds = lines.bounds.tolist()
        for number in lines.used_shapes():
            rows = slice(bounds[number], bounds[number + 1])
            mine = lines.of_shape(number)
            yield from _of_shape(mine, mine, rows, elsewhere)
        if lines.has_plain():
            yield from _of_plain(lines, np.arange(bounds[-2], bounds[-1]), elsewhere)
    else:
        yield from _of_plain(lines, np.arange(len(lines)), elsewhere)


def _of_shape(
    shape: LineShape, lines: LineColumn, rows: slice, elsewhere: Elsewhere
) -> Iterator[LineField]:
    known = _known(shape.template)
    elsewhere.add(known.json_elsewhere, known.logfmt_elsewhere)
    if known.parser is None:
        return
    for place in known.fields:
        mine: I64 | slice = rows
        exact = place.pieces is not None
        if exact and not place.always:
            value = _value(shape, known.parser, place)
            if value is None:
                exact = False
            else:
                there = np.flatnonzero(value.spans.length > 0)
                if not len(there):
                    continue
                mine = there + rows.start
        yield LineField(
            name=place.name,
            parser=known.parser,
            rows=mine,
            exact=exact,
            type=_type(shape, lines, known.parser, place),
        )


def _value(shape: LineShape, parser: str, place: _Place) -> LabelColumn | None:
    if place.pieces is None:
        return None
    return json_value(shape, place.pieces) if parser == JSON else shape.text_between(place.pieces)


def _type(shape: LineShape, lines: LineColumn, parser: str, place: _Place) -> str:
    """The type of a field, remembered with the template: one value tells where the column does
    not."""
    known, key = shape.template.remembered, ("type", parser, place.name)
    found: str | None = known.get(key)
    if found is None:
        found = known[key] = _type_of(shape, lines, parser, place)
    return found


def _type_of(shape: LineShape, lines: LineColumn, parser: str, place: _Place) -> str:
    pieces = place.pieces or ()
    holes = [shape.template.holes[piece] for piece in pieces if isinstance(piece, int)]
    if not holes and pieces:
        text = b"".join(piece for piece in pieces if isinstance(piece, bytes))
        return type_of_text(text.decode("utf-8", "replace"))
    if len(pieces) != 1 or len(holes) != 1:
        return TEXT
    hole = holes[0]
    found = type_of_hole(hole)
    if found is not None or hole.min_length > LONGEST_TYPED:
        return found or TEXT
    few = lines.take(np.arange(min(len(lines), LOOKED_AT))).shape()
    for some in (shape,) if few is None else (few, shape):
        value = _value(some, parser, place)
        if value is None:
            return TEXT
        spans = value.spans
        first = spans.take(np.flatnonzero(spans.length > 0)[:1]).to_list()
        if first:
            return type_of_text((first[0] or b"").decode("utf-8", "replace"))
    return TEXT


def _known(template: Template) -> _Known:
    found: _Known | None = template.remembered.get("line fields")
    if found is None:
        found = template.remembered["line fields"] = _find(template)
    return found


def _find(template: Template) -> _Known:
    has_equals = any(b"=" in constant for constant in template.constants) or any(
        hole.classes & sv.EQUALS for hole in template.holes
    )
    if template.kind is LineKind.JSON:
        members = tuple(_json_places(template))
        return _Known(JSON, members, any(one.pieces is None for one in members), has_equals)
    never_json = never_prints_json(template)
    if template.kind is LineKind.LOGFMT:
        fields = _ALL_PAIRS.fields_of(template)
        if fields is not None:
            places = [_Place(name, source.pieces, True) for name, source in fields.items()]
            return _Known(LOGFMT, tuple(places), not never_json, False)
        found = scan(Spans.of([sample_of(template).line]), strict=False, keep_empty=False)
        names = dict.fromkeys(filter(None, (sanitise(found.keys[k]) for k in found.pair_key)))
        places = [_Place(name, None, False) for name in names]
        return _Known(LOGFMT, tuple(places), not never_json, True)
    return _Known(None, (), not never_json, has_equals)


def _json_places(template: Template) -> Iterator[_Place]:
    sample = sample_of(template)
    found = scan_members(Spans.of([sample.line]))
    names = found.key_names()
    in_order = [names[key] for key in found.pair_key.tolist()]
    ends = zip(found.values.start.tolist(), found.values.length.tolist(), strict=True)
    seen: set[str] = set()
    for name, (first, length) in zip(in_order, ends, strict=True):
        if not name or name in seen:
            continue
        seen.add(name)
        pieces = sample.between(first, first + length)
        source = None
        if pieces is not None and first < len(sample.line) and not found.error[0]:
            source = json_source(template, pieces)
        holes = [template.holes[p] for p in pieces or () if isinstance(p, int)]
        size = sum(len(p) for p in pieces or () if isinstance(p, bytes))
        size += sum(hole.min_length for hole in holes)
        always = source is not None and source.read is None and size > 0
        several = in_order.count(name) > 1  # of a null, a line goes on to the next one
        certain = source is not None and (always or not several)
        literal = any(hole.role is Role.LITERAL for hole in holes)
        yield _Place(name, pieces if certain else None, always and not (literal and several))


def _of_plain(lines: LineColumn, places: np.ndarray, elsewhere: Elsewhere) -> Iterator[LineField]:
    """Fields of lines that have no shape: they are read."""
    weight = 1.0
    if len(places) > MOST_READ:
        chosen = np.linspace(0, len(places) - 1, MOST_READ).astype(np.int64)
        weight, places = len(places) / MOST_READ, places[chosen]
        elsewhere.add(True, True)
    texts = lines.take(places).spans()
    members = scan_members(texts)
    rows, names = members.pair_row.astype(np.int64), members.key_names()
    is_json = np.zeros(len(texts), np.bool_)
    is_json[rows] = True
    yield from _of_pairs(
        JSON, names, members.pair_key, rows, members.values, places, weight, set(names)
    )
    pairs = scan(texts, strict=False, keep_empty=False)
    rows = pairs.pair_row.astype(np.int64)
    listed = [sanitise(key) for key in pairs.keys]
    as_pairs = _begin_with_pair(texts, pairs) & ~is_json
    shown = {listed[k] for k in np.unique(pairs.pair_key[as_pairs[rows]]).tolist()}
    elsewhere.add(False, not shown.issuperset(listed))
    yield from _of_pairs(LOGFMT, listed, pairs.pair_key, rows, pairs.values, places, weight, shown)


def _of_pairs(
    parser: str,
    names: list[str],
    pair_key: np.ndarray,
    pair_row: np.ndarray,
    values: Spans,
    places: np.ndarray,
    weight: float,
    shown: set[str],
) -> Iterator[LineField]:
    """The fields of pairs; of equal names of a row the first counts."""
    numbers: dict[str, int] = {}
    wanted = [numbers.setdefault(n, len(numbers)) if n and n in shown else -1 for n in names]
    name = np.array([*wanted, -1], np.int64)[pair_key]
    kept = np.flatnonzero(name >= 0)
    _, first = np.unique(pair_row[kept] * (len(numbers) + 1) + name[kept], return_index=True)
    kept = kept[first]
    kept = kept[values.length[kept] > 0]
    order = kept[np.argsort(name[kept], kind="stable")]
    ends = np.searchsorted(name[order], np.arange(len(numbers) + 1))
    for number, text in enumerate(numbers):
        mine = order[ends[number] : ends[number + 1]]
        if len(mine):
            value = values.take(mine[:1]).to_list()[0] or b""
            yield LineField(
                name=text,
                parser=parser,
                rows=places[pair_row[mine]],
                weight=weight,
                exact=weight == 1.0,
                type=type_of_text(value.decode("utf-8", "replace")),
            )


def _begin_with_pair(texts: Spans, pairs: Scanned) -> Mask:
    """Whether each line begins with `key=value`, as lines do that are logfmt."""
    found = np.zeros(len(texts), np.bool_)
    sizes = np.array([len(key.encode()) for key in pairs.keys] or [0], np.int64)
    named = np.array([_NAME.fullmatch(key) is not None for key in pairs.keys] or [False])
    before = pairs.values.start - texts.start[pairs.pair_row] - sizes[pairs.pair_key]
    first = named[pairs.pair_key] & ((before == 1) | (before == 2))  # `=`, and maybe a quote
    found[pairs.pair_row[first]] = True
    return found
