"""What does the server add to an entry? Its `detected_level`, as structured metadata.

Metadata pairs get the form in which heads keep them here. Order of the sources of a level:
reference/ingest-rules.md §3.2.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa

from ingester.accepted import Accepted
from ingester.metadata_names import DETECTED_LEVEL
from ingester.streams import ResolvedStream
from narfi.core.columns import I32, U8, Mask, Spans
from narfi.core.kernels.levels import LEVELS, detect_levels
from narfi.core.label_column import CodedColumn, LabelColumn, SpansColumn
from narfi.core.limits import Limits
from narfi.core.wire.push import DecodedPush, Pairs
from storage.metadata import Metadata, Triples, are_common, column_of

SEVERITY_NUMBER = "severity_number"
REPLACEMENT = "\ufffd".encode()
MOST_DIGITS = 19
"""No 64-bit integer needs more."""
_NAMES = {
    "trace": "trace",
    "trc": "trace",
    "debug": "debug",
    "dbg": "debug",
    "info": "info",
    "inf": "info",
    "information": "info",
    "warn": "warn",
    "wrn": "warn",
    "warning": "warn",
    "error": "error",
    "err": "error",
    "critical": "critical",
    "fatal": "fatal",
}
_LEVEL_VALUES = Spans.of(name.encode() for name in LEVELS)


def normalise_level(value: str) -> str:
    """The canonical name of a level; an unknown value stays as it is."""
    return _NAMES.get(value.lower(), value)


def severity_level(number: str) -> str:
    """The level of an OTLP severity number."""
    digits = number[1:] if number[:1] in ("+", "-") else number
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS):
        return "info"
    value = int(number)
    for most, level in ((0, "unknown"), (4, "trace"), (8, "debug"), (12, "info")):
        if value <= most:
            return level if value >= 0 else "unknown"
    for most, level in ((16, "warn"), (20, "error"), (24, "fatal")):
        if value <= most:
            return level
    return "unknown"


def metadata_of(pairs: Pairs, rows: int) -> Metadata:
    """The pairs by name; of equal names in one entry the last counts. No view of the body stays."""
    if not len(pairs):
        return Metadata()
    names = SpansColumn(pairs.name)
    codes, texts = names.codes, tuple(names.texts)
    counts = np.bincount(codes, minlength=len(texts)).astype(np.int64)
    common = are_common(counts, rows)
    order, ends = np.argsort(codes, kind="stable"), np.cumsum(counts)
    columns: dict[str, LabelColumn] = {}
    for code in np.flatnonzero(common).tolist():
        mine = order[ends[code] - counts[code] : ends[code]]
        values = _distinct(pairs.value.take(mine))
        columns[texts[code]] = column_of(pairs.row[mine], values, rows)
    rest = np.flatnonzero(~common[codes])
    value = _as_text(pairs.value.take(rest))
    return Metadata(columns, Triples.of(rows, texts, pairs.row[rest], codes[rest], value))


def _distinct(values: Spans) -> LabelColumn:
    """The values as text, encoded."""
    raw = SpansColumn(values)
    packed = raw.values.packed()
    if _is_text(packed):
        return CodedColumn(codes=raw.codes, values=packed)
    return SpansColumn(_cleaned(packed).take(raw.codes))


def _as_text(values: Spans) -> Spans:
    packed = values.packed()
    return packed if _is_text(packed) else _cleaned(packed)


def _is_text(packed: Spans) -> bool:
    """Whether all values are UTF-8 without U+FFFD."""
    try:
        packed.to_arrow(text=True).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return REPLACEMENT not in packed.data.tobytes()


def _cleaned(values: Spans) -> Spans:
    """U+FFFD and bytes that are not UTF-8 become spaces, so that columns are text."""
    raw = values.to_list()
    return Spans.of(
        (value or b"").decode("utf-8", "replace").replace("\ufffd", " ").encode() for value in raw
    )


def enrich(accepted: Accepted, limits: Limits) -> Metadata:
    """The structured metadata of the accepted entries, with the detected level."""
    push = accepted.push
    metadata = metadata_of(push.pairs, len(push))
    if limits.discover_log_levels and limits.allow_structured_metadata and len(push):
        levels = _levels(push, accepted.streams, metadata, limits)
        return metadata.with_column(DETECTED_LEVEL, levels)
    return metadata


def _levels(
    push: DecodedPush,
    streams: Sequence[ResolvedStream],
    metadata: Metadata,
    limits: Limits,
) -> LabelColumn:
    """The level of every entry: given, from labels, from metadata, else from the line."""
    if not metadata.names() and all(stream.level is None for stream in streams):
        return CodedColumn(codes=_line_levels(push.lines, None, limits), values=_LEVEL_VALUES)
    texts: list[str] = list(LEVELS)
    index = {text: code for code, text in enumerate(texts)}
    codes = np.full(len(push), -1, np.int32)

    def take(name: str, meaning: Callable[[str], str]) -> None:
        column = metadata.get(name)
        if column is None:
            return
        values = [meaning(v) for v in column.texts]
        mapping = np.array([index.setdefault(v, len(index)) for v in values] + [-1], np.int32)
        open_rows = codes < 0
        codes[open_rows] = mapping[column.codes[open_rows]]

    take(DETECTED_LEVEL, normalise_level)
    if any(stream.level for stream in streams):
        named = [None if s.level is None else normalise_level(s.level) for s in streams]
        mapping = np.array(
            [-1 if v is None else index.setdefault(v, len(index)) for v in named], np.int32
        )
        open_rows = codes < 0
        codes[open_rows] = mapping[push.stream[open_rows]]
    for name in limits.log_level_fields:
        take(name, normalise_level)
    take(SEVERITY_NUMBER, severity_level)
    open_lines = codes < 0
    if open_lines.any():
        codes[open_lines] = _line_levels(push.lines, open_lines, limits)
    values = _LEVEL_VALUES if len(index) == len(LEVELS) else Spans.of(t.encode() for t in index)
    return CodedColumn(codes=codes, values=values)


@lru_cache(maxsize=64)
def _keys(names: tuple[str, ...]) -> Spans:
    return Spans.of(name.encode() for name in names)


def _line_levels(lines: Spans, wanted: Mask | None, limits: Limits) -> I32:
    """The level codes of the wanted lines; of all where None is."""
    keys = _keys(limits.log_level_fields)
    out: U8 = np.zeros(len(lines), np.uint8)
    rows = np.arange(len(lines)) if wanted is None else np.flatnonzero(wanted).astype(np.int64)
    detect_levels(
        lines.data,
        lines.start,
        lines.length,
        rows,
        keys.data,
        keys.start,
        keys.length,
        limits.log_level_from_json_max_depth,
        out,
    )
    return (out if wanted is None else out[rows]).astype(np.int32)
