"""Which fields has a line of a shape, constant ones too? Pieces of the template by field name.

A sample line with a number of its own in every hole is parsed; where the numbers turn up in a value
tells of which holes it consists. Names are those of the columns: nested JSON is joined by dots.
"""

from collections.abc import Iterator, Set

import orjson

from narfi.core.kernels.shape_values import BACKSLASH
from narfi.core.text.logfmt import parse_logfmt_line
from querier.sql.line_text import hole_sql, is_text, name_sql, quoted, shown_blob
from storage.lines.template import LineKind, Role, Template


def fields_sql(template: Template, blobs: Set[str], table: str = "f") -> str:
    """A MAP from field to text."""
    keys, values = [], []
    for name, text in fields_of(template).items():
        keys.append(quoted(name))
        values.append(_value(template, text, blobs, table))
    if not keys:
        return "MAP {}::MAP(VARCHAR, VARCHAR)"
    return f"MAP([{', '.join(keys)}], [{', '.join(values)}])"


def fields_of(template: Template) -> dict[str, str]:
    """The value of each field in the sample line."""
    if all(is_text(constant) for constant in template.constants):
        if template.kind is LineKind.JSON:
            found = _json(template)
            if found is not None:
                return found
        if template.kind is LineKind.LOGFMT:
            pairs = parse_logfmt_line(_sample(template), strict=False, keep_empty=True).pairs
            return dict(pairs)
    return {hole.name: _mark(number) for number, hole in enumerate(template.holes)}


def _mark(number: int) -> str:
    """Stands for a hole; a valid JSON number, and nothing that a program prints."""
    return f"8{number:06d}0000000000008"


def _sample(template: Template) -> bytes:
    parts = [template.constants[0]]
    for number, hole in enumerate(template.holes):
        mark = _mark(number).encode()
        parts.append(b"[" + mark + b"]" if hole.role is Role.ARRAY else mark)
        parts.append(template.constants[number + 1])
    return b"".join(parts)


def _json(template: Template) -> dict[str, str] | None:
    text = _sample(template).decode()
    # a number longer than an int64 would become a float: numbers are read as texts
    for number, hole in enumerate(template.holes):
        mark = _mark(number)
        if hole.role is Role.ARRAY:
            text = text.replace(f"[{mark}]", f'"{mark}"')
        elif hole.role is Role.LITERAL:
            text = text.replace(mark, f'"{mark}"')
    try:
        return dict(_flat(orjson.loads(text), ()))
    except (orjson.JSONDecodeError, AttributeError):
        return None


def _flat(found: dict[str, object], path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for key, value in found.items():
        inner = (*path, key)
        if isinstance(value, dict):
            yield from _flat(value, inner)
        elif isinstance(value, str):
            yield ".".join(inner), value
        else:
            yield ".".join(inner), orjson.dumps(value).decode()


def _value(template: Template, text: str, blobs: Set[str], table: str) -> str:
    """The SQL of a value: its texts, and columns in place of the marks."""
    parts: list[str] = []
    for number, hole in enumerate(template.holes):
        before, mark, after = text.partition(_mark(number))
        if not mark:
            continue
        if before:
            parts.append(quoted(before))
        shown = hole_sql(hole, f"{table}.{name_sql(hole.name)}")
        if hole.name in blobs:
            shown = shown_blob(shown)
        in_string = template.kind is LineKind.JSON and hole.role in (Role.STRING, Role.PART)
        if in_string and hole.classes & BACKSLASH:
            read = f"try(json_extract_string('\"' || {shown} || '\"', '$'))"
            shown = f"coalesce({read}, {shown})"
        parts.append(shown)
        text = after
    if text or not parts:
        parts.append(quoted(text))
    return " || ".join(parts)
