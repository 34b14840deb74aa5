"""Which stages would read these lines? JSON and logfmt by their keys, other lines by patterns.

Patterns are those that Narfi finds in stored lines: fixed text with holes. A hole becomes a named
group, so that whoever knows the program only has to give it a name.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from narfi.core.regex import compile_regex
from promtail_agent.stages.logfmt import parse_pairs

TIME_KEYS = ("time", "ts", "timestamp", "@timestamp", "t")
TEXT_KEYS = ("msg", "message", "@message")
MOST_KEYS = 15
MOST_PATTERNS = 8
SHARE = 0.6
"""Of the lines that must be JSON or logfmt for the whole to be called so."""
_TIMES = {
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(?:Z|[+-]\d\d:\d\d)": "RFC3339Nano",
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,]\d{3}": "2006-01-02 15:04:05.000",
}
"""Times with a fraction of a second: one without is left alone, for equal lines of a second would
be one entry."""
_SPECIAL = frozenset("\\.+*?()|[]{}^$")

Stages = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDraft:
    """Stages, the fields that they make, and what tells lines of this kind."""

    stages: Stages
    fields: Sequence[str]
    detect: str
    kind: str


def draft_of(lines: Sequence[bytes], patterns: Sequence[str]) -> StageDraft:
    """Stages for lines; `patterns` are those that Narfi finds in them."""
    records = [found for line in lines if (found := _record(line)) is not None]
    if len(records) >= SHARE * len(lines):
        return _of_keys("json", records)
    pairs = [found for line in lines if _is_logfmt(found := parse_pairs(line))]
    if len(pairs) >= SHARE * len(lines):
        return _of_logfmt(lines, [_with_values(found) for found in pairs])
    return _of_patterns(lines, patterns)


def _is_logfmt(pairs: Mapping[str, str]) -> bool:
    """Bare words are keys without a value, too."""
    return sum(value != "" for value in pairs.values()) * 2 > max(len(pairs), 2)


def _with_values(pairs: Mapping[str, str]) -> Mapping[str, str]:
    return {key: value for key, value in pairs.items() if value != ""}


def _of_logfmt(lines: Sequence[bytes], pairs: Sequence[Mapping[str, str]]) -> StageDraft:
    """Often a time stands before the pairs, alone."""
    found = _of_keys("logfmt", pairs)
    first = _first_times(lines)
    if not first or any("timestamp" in stage for stage in found.stages):
        return found
    return replace(found, stages=[*first, *found.stages], detect="")


def _record(line: bytes) -> Mapping[str, Any] | None:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _of_keys(kind: str, records: Sequence[Mapping[str, Any]]) -> StageDraft:
    counts = Counter(key for record in records for key in record)
    plain = {
        key
        for record in records
        for key, value in record.items()
        if not isinstance(value, dict | list)
    }
    names: dict[str, str] = {}
    time_key = next((key for key in TIME_KEYS if key in counts), None)
    for key, _ in counts.most_common():
        is_field = key in plain and key not in TEXT_KEYS and key not in TIME_KEYS
        if is_field and len(names) < MOST_KEYS:
            names[_name(key)] = f'"{key}"' if kind == "json" else key
    found = dict(names)
    stages: Stages = []
    time_format = ""
    if time_key is not None:
        values = [str(record.get(time_key, "")) for record in records]
        time_format = _time_format(values)
    if time_key is not None and time_format:
        found["time"] = f'"{time_key}"' if kind == "json" else time_key
    if kind == "json":
        stages.append({"json": {"expressions": found}})
    else:
        stages.append({"logfmt": {"mapping": found}})
    if time_format:
        stages.append(_timestamp(time_format))
    if names:
        stages.append({"structured_metadata": dict.fromkeys(names)})
    return StageDraft(
        stages=stages,
        fields=list(names),
        detect=r"^\{" if kind == "json" else r"^\S+=",
        kind=kind,
    )


def _timestamp(layout: str) -> dict[str, Any]:
    return {"timestamp": {"source": "time", "format": layout, "action_on_failure": "skip"}}


def _time_format(values: Sequence[str]) -> str:
    for pattern, layout in _TIMES.items():
        test = compile_regex(f"^{pattern}$")
        fitting = sum(test.search(value.encode()) is not None for value in values)
        if fitting > len(values) / 2:
            return layout
    return ""


def _first_times(lines: Sequence[bytes]) -> Stages:
    """Stages for a time that most lines begin with; none where they do not."""
    for pattern, layout in _TIMES.items():
        test = compile_regex(f"^{pattern}[ \t]")
        if sum(test.search(line) is not None for line in lines) > len(lines) / 2:
            expression = f"^(?P<time>{pattern})[ \\t]"
            return [{"regex": {"expression": expression}}, _timestamp(layout)]
    return []


def _of_patterns(lines: Sequence[bytes], patterns: Sequence[str]) -> StageDraft:
    stages = _first_times(lines)
    fields: list[str] = []
    for text in patterns[:MOST_PATTERNS]:
        expression, names = _expression(text, len(fields))
        if names:
            stages.append({"regex": {"expression": expression}})
            fields += names
    if fields:
        stages.append({"structured_metadata": dict.fromkeys(fields)})
    return StageDraft(stages=stages, fields=fields, detect="", kind="text")


def _expression(pattern: str, begin: int) -> tuple[str, list[str]]:
    """An anchored expression of a pattern with holes, and the names of its groups."""
    head, *parts = pattern.split("<_>")
    found = ["^", _escaped(head)]
    names: list[str] = []
    for part in parts:
        name = f"field{begin + len(names) + 1}"
        ends = part[:1]
        value = '[^"]+' if ends == '"' else r"\S+?" if ends.strip() else r"\S+"
        if not part:
            value = ".+"
        found += [f"(?P<{name}>{value})", _escaped(part)]
        names.append(name)
    return "".join([*found, "$"]), names


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in _SPECIAL else c for c in text)


def _name(key: str) -> str:
    name = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in key)
    return f"_{name}" if name[:1].isdigit() else name
