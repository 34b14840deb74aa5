"""Which fields do entries have? One line after another, from http-api.md §4.9.

Entries come newest first. A line is a JSON object or, failing that, logfmt; a name that a stream
label has gets `_extracted`; labels of the query's own parsers come before those of the line.
"""

from collections.abc import Sequence

from narfi.core.text.fields import place_pairs
from narfi.core.text.json_fields import json_members
from narfi.core.text.label_names import join_path
from narfi.core.text.logfmt import parse_logfmt_line
from tests.reference.pipeline import Row

Field = tuple[str, list[str], str, list[str], list[str]]
"""(name, sorted values, the value that tells the kind, parsers, path of JSON keys)."""
ERRORS = ("__error__", "__error_details__", "__preserve_error__")


def read(line: bytes, taken: Sequence[str]) -> tuple[str, dict[str, str], dict[str, list[str]]]:
    """(parser, labels of the line, paths of those that are JSON members)."""
    members = json_members(line)
    if members is None:
        pairs = parse_logfmt_line(line, strict=False, keep_empty=False).pairs
        return "logfmt", place_pairs(pairs, taken.__contains__, {}), {}
    named = [(join_path(path), path, value) for path, value in members]
    labels = place_pairs(
        ((name, value) for name, _, value in named if name), taken.__contains__, {}
    )
    paths: dict[str, list[str]] = {}
    for name, path, _ in named:
        if name:
            paths.setdefault(f"{name}_extracted" if name in taken else name, path)
    return "json", labels, paths


def fields(rows: Sequence[Row]) -> list[Field]:
    """The fields in the order in which they are met."""
    values: dict[str, set[str]] = {}
    last: dict[str, str] = {}
    parsers: dict[str, list[str]] = {}
    paths: dict[str, list[str]] = {}
    for row in rows:
        for name, value in sorted(row.metadata.items()):
            values.setdefault(name, set()).add(value)
            last[name] = value
        parser, found, known = read(row.line, list(row.stream))
        own = {name: row.parsed[name] for name in sorted(row.parsed) if name not in ERRORS}
        for name in [*own, *(name for name in found if name not in own)]:
            both = [labels[name] for labels in (own, found) if name in labels]
            values.setdefault(name, set()).update(both)
            last[name] = both[0]
            if parser not in parsers.setdefault(name, []):
                parsers[name].append(parser)
            if name in known:
                paths[name] = known[name]
    return [
        (name, sorted(values[name]), last[name], parsers.get(name, []), paths.get(name, []))
        for name in values
    ]
