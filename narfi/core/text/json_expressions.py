"""What stands at given paths of a JSON line? `| json a="b.c[0]"` (reference/logql.md §6.2).

The line is walked once, and the first place that fits a path counts for it. Arrays are entered only
where a path asks for one of their elements.
"""

from collections.abc import Sequence

from narfi.core.text.fields import ParsedLine
from narfi.core.text.json_fields import JSON_ERROR, members
from narfi.core.text.json_lenient import (
    MALFORMED,
    JsonLineError,
    Kind,
    Value,
    block_end,
    label_text,
    read_value,
    skip_space,
    string_end,
    unescape,
)
from narfi.core.text.json_path import Path

Named = Sequence[tuple[str, Path]]
"""(label name, path) as written in the query."""


def extract_json_paths(line: bytes, wanted: Named) -> tuple[ParsedLine, bool]:
    """(what was found, whether a path of `wanted` was not).

    Pairs come in the order of the line. A caller whose line misses a path gives every wanted label
    that does not exist yet the value "". An empty line gives nothing, and misses nothing.
    """
    if not line:
        return ParsedLine(), False
    if line[0] not in b'{["':
        return ParsedLine(error=JSON_ERROR), False
    walk = _Walk(line, wanted)
    details = None
    try:
        walk.run()
    except JsonLineError as error:
        details = str(error)
    missing = len(walk.pairs) < len(wanted)
    if details is None:
        return ParsedLine(tuple(walk.pairs)), missing
    return ParsedLine(tuple(walk.pairs), JSON_ERROR, details), missing


class _Walk:
    """One pass over a line for all paths."""

    def __init__(self, line: bytes, wanted: Named) -> None:
        self._line = line
        self._open = {
            number: tuple(p.encode() if isinstance(p, str) else p for p in path)
            for number, (_, path) in enumerate(wanted)
        }
        self._names = [name for name, _ in wanted]
        self._keys: list[bytes] = []  # of the objects around the current place
        self.pairs: list[tuple[str, str]] = []

    def run(self) -> None:
        """Fill `pairs`; ends silently where the line's structure is lost."""
        line, at, level = self._line, 0, 0
        while at < len(line) and self._open:
            byte = line[at]
            if byte == 0x22:
                end = string_end(line, at + 1)
                colon = skip_space(line, end) if end >= 0 else -1
                if colon < 0:
                    return
                if line[colon] == 0x3A:
                    if level < 1:
                        raise JsonLineError(MALFORMED)
                    self._key(line[at + 1 : end - 1], level, colon + 1)
                    colon += 1
                at = colon
                continue
            if byte == 0x5B:
                at = self._array(at, level)
                if at < 0:
                    return
                continue
            level += (byte == 0x7B) - (byte in b"}]")
            at += 1

    def _key(self, raw: bytes, level: int, value_at: int) -> None:
        key = unescape(raw) or b""
        del self._keys[level - 1 :]
        self._keys.append(key)
        for number, path in list(self._open.items()):
            if path == tuple(self._keys):
                self._found(number, read_value(self._line, value_at))

    def _array(self, at: int, level: int) -> int:
        """Take the elements that paths ask for; the place behind the array, or -1."""
        end = block_end(self._line, at)
        around = tuple(self._keys[:level])
        asked = [
            (number, path)
            for number, path in self._open.items()
            if len(path) > level and path[:level] == around and isinstance(path[level], int)
        ]
        if asked:
            elements = _elements(self._line, at)
            for number, path in asked:
                index = path[level]
                assert isinstance(index, int)
                if index < len(elements):
                    found = _descend(elements[index], path[level + 1 :])
                    if found is None:
                        del self._open[number]
                    else:
                        self._found(number, found)
        return end

    def _found(self, number: int, value: Value) -> None:
        del self._open[number]
        self.pairs.append((self._names[number], value_text(value)))


def _elements(data: bytes, at: int) -> list[Value]:
    """The elements of the array at `at` up to the first that is malformed."""
    found: list[Value] = []
    at = skip_space(data, at + 1)
    while at >= 0 and data[at] != 0x5D:
        try:
            value = read_value(data, at)
        except JsonLineError:
            break
        found.append(value)
        at = skip_space(data, value.end)
        if at < 0 or data[at] != 0x2C:
            break
        at += 1
    return found


def _descend(value: Value, path: tuple[bytes | int, ...]) -> Value | None:
    """The value at a path inside another."""
    for part in path:
        found: Value | None = None
        if isinstance(part, int) and value.kind is Kind.ARRAY:
            elements = _elements(value.raw, 0)
            found = elements[part] if part < len(elements) else None
        elif isinstance(part, bytes) and value.kind is Kind.OBJECT:
            try:
                found = next((m.value for m in members(value.raw) if m.key == part), None)
            except JsonLineError:
                found = None
        if found is None:
            return None
        value = found
    return value


def value_text(value: Value) -> str:
    """The label value: objects as they stand, null empty, all else unescaped."""
    if value.kind is Kind.NULL:
        return ""
    if value.kind is Kind.OBJECT:
        return value.raw.decode("utf-8", "surrogateescape")
    return label_text(value.raw)
