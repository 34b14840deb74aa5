"""Which labels and fields are there, and of what kind? For Logs Drilldown (http-api §4.8, §4.9).

Fields are looked for in at most `line_limit` lines, so Python values are fine here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from narfi.core.errors import AppError
from narfi.core.text.fields import place_pairs
from narfi.core.text.json_fields import json_members
from narfi.core.text.label_names import join_path, sanitise
from narfi.core.text.logfmt import parse_logfmt_line
from narfi.core.text.usual_lines import usual_json, usual_logfmt
from narfi.core.units import format_bytes, parse_bytes, parse_float, parse_go_duration
from querier.result import LabelPairs, LogEntry, LogStream

ERROR_LABELS = ("__error__", "__error_details__", "__preserve_error__")
_BOOLEANS = frozenset(
    ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"]
)


@dataclass(frozen=True, slots=True)
class DetectedLabel:
    """A stream label and how many values it has."""

    label: str
    cardinality: int


def detected_labels(series: Iterable[LabelPairs]) -> list[DetectedLabel]:
    """Every label that has a value, also where all values look like ids."""
    values: dict[str, set[str]] = {}
    for pairs in series:
        for name, value in pairs:
            if value:
                values.setdefault(name, set()).add(value)
    return [DetectedLabel(name, len(found)) for name, found in sorted(values.items())]


def _is_number(text: str) -> bool:
    try:
        parse_float(text)
    except AppError:
        return False
    return True


@dataclass(slots=True, kw_only=True)
class DetectedField:
    """A name found in metadata or lines; `parsers` is empty for metadata."""

    label: str
    last: str = ""
    """The value of the oldest line that has it tells the kind."""
    values: set[str] = field(default_factory=set)
    parsers: list[str] = field(default_factory=list)
    json_path: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """`int`, `float`, `boolean`, `duration`, `bytes` or `string`."""
        return kind_of(self.last)


def detected_fields(streams: Sequence[LogStream], limit: int | None = None) -> list[DetectedField]:
    """The fields of log lines; `streams` are categorised. At most `limit` fields, if given."""
    entries = [(stream.labels, entry) for stream in streams for entry in stream.entries]
    entries.sort(key=lambda item: -item[1].ts_ns)
    found: dict[str, DetectedField] = {}
    names: dict[tuple[str, ...], str] = {}
    for labels, entry in entries:
        for name, value in entry.metadata:
            known = _field(found, name, limit)
            if known is not None:
                known.values.add(value)
                known.last = value
        _add_parsed(found, _parse(entry.line, dict(labels), names), entry, limit)
    return list(found.values())


def _field(found: dict[str, DetectedField], name: str, limit: int | None) -> DetectedField | None:
    if name not in found and limit is not None and len(found) >= limit:
        return None
    return found.setdefault(name, DetectedField(label=name))


def _add_parsed(
    found: dict[str, DetectedField], line: "_Line", entry: LogEntry, limit: int | None
) -> None:
    values: dict[str, list[str]] = {
        name: [value] for name, value in entry.parsed if name not in ERROR_LABELS
    }
    for name, value in line.labels.items():
        values.setdefault(name, []).append(value)
    for name, texts in values.items():
        known = _field(found, name, limit)
        if known is None:
            continue
        known.values.update(texts)
        known.last = texts[0]
        if line.parser and line.parser not in known.parsers:
            known.parsers.append(line.parser)
        if name in line.paths:
            known.json_path = line.paths[name]


@dataclass(frozen=True, slots=True)
class _Line:
    """What one line gives: labels, the parser that understood it, paths of JSON members."""

    labels: dict[str, str]
    parser: str = ""
    paths: dict[str, list[str]] = field(default_factory=dict)


def _parse(line: bytes, labels: dict[str, str], names: dict[tuple[str, ...], str]) -> _Line:
    """The fields of a line as JSON or, failing that, as logfmt; `names` are those of paths."""
    members = usual_json(line)
    if members is None:
        some = json_members(line)
        members = None if some is None else [(tuple(path), value) for path, value in some]
    if members is not None:
        paths: dict[str, list[str]] = {}
        pairs = []
        for path, value in members:
            name = names.get(path)
            if name is None:
                name = names[path] = join_path(list(path))
            if name:
                pairs.append((name, value))
                placed = f"{name}_extracted" if name in labels else name
                if placed not in paths:
                    paths[placed] = list(path)
        return _Line(place_pairs(pairs, labels.__contains__, {}), "json", paths)
    usual = usual_logfmt(line)
    if usual is None:
        found = parse_logfmt_line(line, strict=False, keep_empty=False).pairs
    else:
        found = tuple((sanitise(key.decode()), value) for key, value in usual)
    return _Line(place_pairs(found, labels.__contains__, {}), "logfmt")


def kind_of(text: str) -> str:
    """`int`, `float`, `boolean`, `duration`, `bytes` or `string`, tried in this order."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if digits.isascii() and digits.isdigit() and -(2**63) <= int(text) < 2**63:
        return "int"
    if _is_number(text):
        return "float"
    if text in _BOOLEANS:
        return "boolean"
    for kind, parse in (("duration", parse_go_duration), ("bytes", parse_bytes)):
        try:
            parse(text)
        except AppError:
            continue
        return kind
    return "string"


def shown_values(found: DetectedField, limit: int) -> list[str]:
    """The values of a field, sizes in one form."""
    texts = {format_bytes(parse_bytes(v)) if kind_of(v) == "bytes" else v for v in found.values}
    return sorted(texts)[:limit]
