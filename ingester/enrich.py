"""What does the server add to an entry? Its `detected_level`, as structured metadata.

Metadata pairs become columns here. Order of the sources of a level: reference/ingest-rules.md §3.2.
"""

from collections.abc import Sequence

import numpy as np

from ingester.streams import ResolvedStream
from ingester.validate import Accepted
from narfi.core.columns import I32, U8, LabelColumn, Mask, Spans
from narfi.core.kernels.levels import LEVELS, detect_levels
from narfi.core.limits import Limits
from narfi.core.wire.push import DecodedPush, Pairs
from storage.batch import Metadata

DETECTED_LEVEL = "detected_level"
SEVERITY_NUMBER = "severity_number"
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
    try:
        value = int(number)
    except ValueError:
        return "info"
    for most, level in ((0, "unknown"), (4, "trace"), (8, "debug"), (12, "info")):
        if value <= most:
            return level if value >= 0 else "unknown"
    for most, level in ((16, "warn"), (20, "error"), (24, "fatal")):
        if value <= most:
            return level
    return "unknown"


def metadata_columns(pairs: Pairs, rows: int) -> dict[str, LabelColumn]:
    """A column per name; of equal names in one entry the last counts."""
    if not len(pairs):
        return {}
    names = LabelColumn(spans=pairs.name)
    columns: dict[str, LabelColumn] = {}
    for code, name in enumerate(names.texts):
        mine = np.flatnonzero(names.codes == code)
        value = LabelColumn(spans=_clean(pairs.value.take(mine)))
        codes = np.full(rows, -1, np.int32)
        codes[pairs.row[mine]] = value.codes
        columns[name] = LabelColumn(codes=codes, values=value.values)
    return columns


def _clean(values: Spans) -> Spans:
    """U+FFFD and bytes that are not UTF-8 become spaces, so that columns are text."""
    column = LabelColumn(spans=values)
    raw = column.values.to_list()
    texts = [(v or b"").decode("utf-8", "replace").replace("\ufffd", " ").encode() for v in raw]
    if texts == raw:
        return values
    return Spans.of(texts).take(column.codes)


def enrich(accepted: Accepted, limits: Limits) -> Metadata:
    """The structured metadata of the accepted entries, with the detected level."""
    push = accepted.push
    columns = metadata_columns(push.pairs, len(push))
    if limits.discover_log_levels and limits.allow_structured_metadata and len(push):
        columns[DETECTED_LEVEL] = _levels(push, accepted.streams, columns, limits)
    return Metadata(columns)


def _levels(
    push: DecodedPush,
    streams: Sequence[ResolvedStream],
    columns: dict[str, LabelColumn],
    limits: Limits,
) -> LabelColumn:
    """The level of every entry: given, from labels, from metadata, else from the line."""
    texts: list[str] = list(LEVELS)
    index = {text: code for code, text in enumerate(texts)}
    codes = np.full(len(push), -1, np.int32)

    def take(column: LabelColumn, values: list[str]) -> None:
        mapping = np.array([index.setdefault(v, len(index)) for v in values] + [-1], np.int32)
        open_rows = codes < 0
        codes[open_rows] = mapping[column.codes[open_rows]]

    given = columns.get(DETECTED_LEVEL)
    if given is not None:
        take(given, [normalise_level(v) for v in given.texts])
    if any(stream.level for stream in streams):
        named = [None if s.level is None else normalise_level(s.level) for s in streams]
        mapping = np.array(
            [-1 if v is None else index.setdefault(v, len(index)) for v in named], np.int32
        )
        open_rows = codes < 0
        codes[open_rows] = mapping[push.stream[open_rows]]
    for name in limits.log_level_fields:
        if name in columns:
            take(columns[name], [normalise_level(v) for v in columns[name].texts])
    severity = columns.get(SEVERITY_NUMBER)
    if severity is not None:
        take(severity, [severity_level(v) for v in severity.texts])
    open_lines = codes < 0
    if open_lines.any():
        codes[open_lines] = _line_levels(push.lines, open_lines, limits)
    values = _LEVEL_VALUES if len(index) == len(LEVELS) else Spans.of(t.encode() for t in index)
    return LabelColumn(codes=codes, values=values)


def _line_levels(lines: Spans, wanted: Mask, limits: Limits) -> I32:
    keys = Spans.of(name.encode() for name in limits.log_level_fields)
    out: U8 = np.zeros(len(lines), np.uint8)
    rows = np.flatnonzero(wanted).astype(np.int64)
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
    return out[rows].astype(np.int32)
