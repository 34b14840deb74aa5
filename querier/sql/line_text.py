"""Which SQL expression gives back a line of a shape? Constants and printed holes, put together.

Invariant: the expression's text is the decoded line, byte for byte, for lines that are UTF-8
(tests/querier/sql/test_line_text.py); other lines are shown with `\\xNN` for each wrong byte.
"""

from collections.abc import Set

from storage.lines.template import Hole, HoleKind, HoleType, Template

_TIME_FORMATS = (
    ("YYYY", "%Y"),
    ("MM", "%m"),
    ("DD", "%d"),
    ("hh", "%H"),
    ("mm", "%M"),
    ("ss", "%S"),
    ("bbb", "%b"),
    ("f" * 9, "%n"),
    ("f" * 6, "%f"),
    ("f" * 3, "%g"),
)
"""What a layout has, longest first among equal letters, and what `strftime` calls it."""


def quoted(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("'", "''") + "'"


def name_sql(name: str) -> str:
    """A quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def blob_literal(data: bytes) -> str:
    """A literal of any bytes."""
    return "'" + "".join(f"\\x{byte:02X}" for byte in data) + "'::BLOB"


def shown_blob(expression: str) -> str:
    """Bytes as text; those that are no UTF-8 are escaped."""
    return f"coalesce(try(decode({expression})), ({expression})::VARCHAR)"


def line_sql(template: Template, blobs: Set[str], table: str = "f") -> str:
    """The line as text; `blobs` are the holes of which the column is binary."""
    binary = bool(blobs) or not all(is_text(constant) for constant in template.constants)
    parts: list[str] = []
    for piece in template.pieces:
        if isinstance(piece, bytes):
            parts.append(blob_literal(piece) if binary else quoted(piece.decode()))
            continue
        hole = template.holes[piece]
        text = hole_sql(hole, f"{table}.{name_sql(hole.name)}")
        parts.append(f"encode({text})" if binary and hole.name not in blobs else text)
    joined = " || ".join(parts) or "''"
    return shown_blob(joined) if binary else joined


def is_text(data: bytes) -> bool:
    """Whether the bytes are UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def hole_sql(hole: Hole, column: str) -> str:
    """The printed values of a hole; a binary column stays binary."""
    kind = hole.type
    if kind.kind is HoleKind.NUMBER:
        return _number(kind, column)
    if kind.kind is HoleKind.IPV4:
        return " || '.' || ".join(f"(({column} >> {n}) & 255)::VARCHAR" for n in (24, 16, 8, 0))
    if kind.kind is HoleKind.HEX:
        return _hex(kind, column)
    if kind.kind is HoleKind.TIME:
        return f"strftime({column}, {quoted(time_format(kind.layout))})"
    return column


def _number(kind: HoleType, column: str) -> str:
    text = f"{column}::VARCHAR"
    cut = kind.scale - kind.least
    if kind.scale and cut and kind.least:
        kept = f"left({text}, length({text}) - {cut})"
        return f"{kept} || rtrim(right({text}, {cut}), '0')"
    if kind.scale and cut:
        return f"rtrim(rtrim({text}, '0'), '.')"
    if kind.width > 1:
        digits = f"printf('%0{kind.width}d', abs({column}))"
        return f"CASE WHEN {column} < 0 THEN '-' ELSE '' END || {digits}"
    return text


def _hex(kind: HoleType, column: str) -> str:
    digits = f"lower(hex({column}))"
    layout = kind.layout.decode("latin-1")
    if set(layout) == {"x"}:
        return digits
    parts, at, taken = [], 0, 0
    while at < len(layout):
        end = at
        while end < len(layout) and (layout[end] == "x") == (layout[at] == "x"):
            end += 1
        if layout[at] == "x":
            parts.append(f"substr({digits}, {taken + 1}, {end - at})")
            taken += end - at
        else:
            parts.append(quoted(layout[at:end]))
        at = end
    return " || ".join(parts)


def time_format(layout: bytes) -> str:
    """The `strftime` format of a layout."""
    text, at, out = layout.decode("latin-1"), 0, ""
    while at < len(text):
        for mark, form in _TIME_FORMATS:
            if text.startswith(mark, at):
                out += form
                at += len(mark)
                break
        else:
            out += "%%" if text[at] == "%" else text[at]
            at += 1
    return out
