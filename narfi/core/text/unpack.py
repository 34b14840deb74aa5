"""What does a packed line hold? `_entry` and string members (reference/logql.md §6.7)."""

from dataclasses import dataclass

from narfi.core.text.fields import ParsedLine
from narfi.core.text.json_fields import JSON_ERROR, members
from narfi.core.text.json_lenient import (
    BAD_ESCAPE,
    JsonLineError,
    Kind,
    label_text,
    unescape,
)
from narfi.core.text.label_names import sanitise

ENTRY_KEY = b"_entry"
NOT_AN_OBJECT = "expecting json object(6), but it is not"


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The line that was packed (None when there is none) and its labels."""

    entry: bytes | None
    fields: ParsedLine


def unpack_line(line: bytes) -> Unpacked:
    """The content of a packed line; without `_entry`, or malformed, the line stays as it is."""
    if not line:
        return Unpacked(None, ParsedLine())
    if line[0] != 0x7B:
        return Unpacked(None, ParsedLine(error=JSON_ERROR, details=NOT_AN_OBJECT))
    entry: bytes | None = None
    pairs: list[tuple[str, str]] = []
    try:
        for member in members(line):
            if member.value.kind is not Kind.STRING:
                continue
            if member.key == ENTRY_KEY:
                entry = unescape(member.value.raw)
                if entry is None:
                    raise JsonLineError(BAD_ESCAPE)
                continue
            name = sanitise(member.key.decode("utf-8", "surrogateescape"))
            if name:
                pairs.append((name, label_text(member.value.raw)))
    except JsonLineError as error:
        return Unpacked(None, ParsedLine(error=JSON_ERROR, details=str(error)))
    return Unpacked(entry, ParsedLine(tuple(pairs) if entry is not None else ()))
