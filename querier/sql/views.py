"""Which views does a user see? `logs`, and one for each shape, as SQL text.

Each SELECT reads the files of a part and joins the streams of their blocks; what a query does not
ask for (lines, fields, metadata) is not computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from querier.sql.families import FILE, FamilyFile, files_sql, rows_sql
from querier.sql.fields import fields_sql
from querier.sql.line_text import hole_sql, line_sql, name_sql, quoted, shown_blob
from querier.sql.shapes import Part, Shape, Stored
from storage.block.layout import (
    LINE_COLUMN,
    METADATA_PREFIX,
    METADATA_REST,
    ROW_COLUMN,
    SHAPE_COLUMN,
    STREAMS,
)
from storage.lines.template import Hole

LOGS = "logs"
STREAM_TABLE = "narfi_streams"
HIDDEN_TABLE = "narfi_hidden"
"""Rows that delete requests hide: folder of the block, and row in it; not there without any."""
_NO_METADATA = "MAP {}::MAP(VARCHAR, VARCHAR)"
_JSON_FIELDS = (
    "CASE WHEN left(ltrim({line}), 1) = '{{' AND json_valid({line}) AND "
    "len(list_distinct(json_keys({line}))) = len(json_keys({line})) "
    "THEN MAP(json_keys({line}), list_transform(json_keys({line}), "
    "lambda k: json_extract_string({line}, '$.\"' || replace(k, '\"', '\\\"') || '\"'))) END"
)


@dataclass(frozen=True, slots=True)
class View:
    """A view: its name, what it is made of, and what `narfi sql --tables` tells of it."""

    name: str
    sql: str
    rows: int
    template: str


@dataclass(frozen=True, slots=True)
class Period:
    """`start_ns <= ts < end_ns`, less the rows of `HIDDEN_TABLE` where there are any."""

    start_ns: int
    end_ns: int
    hides: bool = False


EVER = Period(-(2**63), 2**63 - 1)


def views_of(stored: Stored, period: Period) -> list[View]:
    """`logs`, then the shapes."""
    found = [View(LOGS, _logs(stored, period), stored.rows, "")]
    for shape in stored.shapes:
        assert shape.template is not None
        found.append(View(shape.name, _shape(shape, period), shape.rows, shape.template.text()))
    return found


def counts_sql(stored: Stored, period: Period) -> str:
    """Name of a shape's view, or NULL, and how many rows of the period are like that."""
    return f"SELECT shape, count(*) FROM ({_logs(stored, period)}) GROUP BY shape"


def streams_sql(stored: Stored) -> str:
    """The table of all streams, by the folder of their block."""
    if not stored.folders:
        return (
            f"CREATE TABLE {STREAM_TABLE} "
            "(folder VARCHAR, stream INTEGER, labels MAP(VARCHAR, VARCHAR))"
        )
    paths = [folder / STREAMS for folder in stored.folders]
    return (
        f"CREATE TABLE {STREAM_TABLE} AS SELECT parse_dirpath({name_sql(FILE)}) AS folder, "
        f"stream, labels FROM {files_sql(paths)}"
    )


def _select(columns: list[str], part: Part, period: Period) -> str:
    if part.families:
        return _of_families(columns, [family for family, _ in part.families], part, period)
    source = files_sql(list(part.files), numbered=period.hides and part.unnumbered)
    hidden = _not_hidden(part) if period.hides else ""
    return (
        f"SELECT {', '.join(columns)} FROM {source} AS f JOIN {STREAM_TABLE} AS s "
        f"ON parse_dirpath(f.{name_sql(FILE)}) = s.folder AND f.stream = s.stream "
        f"WHERE f.ts >= {period.start_ns} AND f.ts < {period.end_ns}{hidden}"
    )


def _of_families(
    columns: list[str], families: Sequence[FamilyFile], part: Part | None, period: Period
) -> str:
    """Rows of families; of a part those of its shape."""
    folder = f"parse_dirpath(f.{name_sql(FILE)})"
    wanted = ""
    if part is not None:
        pairs = [f"({quoted(str(file.path))}, {number})" for file, number in part.families]
        wanted = f" AND (f.{name_sql(FILE)}, f.{SHAPE_COLUMN}) IN ({', '.join(pairs)})"
    if period.hides:
        wanted += (
            f" AND NOT EXISTS (SELECT 1 FROM {HIDDEN_TABLE} AS h WHERE "
            f"h.folder = {folder} AND h.row = f.{ROW_COLUMN})"
        )
    return (
        f"SELECT {', '.join(columns)} FROM {files_sql([family.path for family in families])} AS f "
        f"JOIN {rows_sql([family.rows_file for family in families])} AS r "
        f"ON {folder} = r.folder AND f.{ROW_COLUMN} = r.{ROW_COLUMN} "
        f"JOIN {STREAM_TABLE} AS s ON r.folder = s.folder AND r.stream = s.stream "
        f"WHERE r.ts >= {period.start_ns} AND r.ts < {period.end_ns}{wanted}"
    )


def _not_hidden(part: Part) -> str:
    """A condition on the row in the block."""
    numbers = [f"f.{ROW_COLUMN}"] * part.numbered + ["f.file_row_number"] * part.unnumbered
    return (
        f" AND NOT EXISTS (SELECT 1 FROM {HIDDEN_TABLE} AS h WHERE "
        f"h.folder = parse_dirpath(f.{name_sql(FILE)}) AND h.row = coalesce({', '.join(numbers)}))"
    )


def _shape(shape: Shape, period: Period) -> str:
    names = shape.column_names()
    selects = []
    for part in shape.parts.values():
        assert part.template is not None
        holes = [
            f"{_shown(hole, part, typed=shape.is_typed(number) is not None)} AS {name_sql(name)}"
            for number, (hole, name) in enumerate(zip(part.template.holes, names, strict=True))
        ]
        own = [f"{_metadata(part)} AS metadata", f"{_line(part)} AS line"]
        columns = [*_first(part), *holes, *own]
        selects.append(_select(columns, part, period))
    return " UNION ALL BY NAME ".join(selects)


def _first(part: Part) -> list[str]:
    return [f"make_timestamp_ns({_rows_of(part)}.ts) AS ts", "s.labels AS labels"]


def _rows_of(part: Part) -> str:
    """The table with times and metadata."""
    return "r" if part.families else "f"


def _shown(hole: Hole, part: Part, *, typed: bool) -> str:
    column = f"f.{name_sql(hole.name)}"
    if typed:
        return column
    text = hole_sql(hole, column)
    return shown_blob(text) if hole.name in part.blobs else text


def _logs(stored: Stored, period: Period) -> str:
    selects = [
        "SELECT NULL::TIMESTAMP_NS AS ts, NULL::MAP(VARCHAR, VARCHAR) AS labels, "
        "NULL::VARCHAR AS line, NULL::VARCHAR AS shape, "
        "NULL::MAP(VARCHAR, VARCHAR) AS fields, NULL::MAP(VARCHAR, VARCHAR) AS metadata "
        "WHERE false"
    ]
    for shape in (*stored.shapes, stored.plain):
        for part in shape.parts.values():
            if not part.files:
                continue
            line = _line(part)
            if part.template is None:
                name, fields = "NULL::VARCHAR", _JSON_FIELDS.format(line=line)
            else:
                name, fields = quoted(shape.name), fields_sql(part.template, part.blobs)
            columns = [
                *_first(part),
                f"{line} AS line",
                f"{name} AS shape",
                f"{fields} AS fields",
                f"{_metadata(part)} AS metadata",
            ]
            selects.append(_select(columns, part, period))
    selects += [_family(family, period) for family in stored.families]
    return " UNION ALL BY NAME ".join(selects)


def _family(family: FamilyFile, period: Period) -> str:
    """All lines of a family, whichever shape they have."""
    plain = f"f.{LINE_COLUMN}" if family.plain_rows else "NULL::VARCHAR"
    if LINE_COLUMN in family.binary:
        plain = shown_blob(plain)
    lines, names, fields = [], [], []
    for shape in family.shapes:
        case = f"WHEN f.{SHAPE_COLUMN} = {shape.number} THEN"
        blobs = family.binary & {hole.name for hole in shape.template.holes}
        lines.append(f"{case} {line_sql(shape.template, blobs)}")
        names.append(f"{case} {quoted(family.views[shape.number])}")
        fields.append(f"{case} {fields_sql(shape.template, blobs)}")
    no_shape = f"CASE WHEN f.{SHAPE_COLUMN} IS NULL THEN"
    part = Part(
        template=None,
        blobs=frozenset(),
        metadata=dict.fromkeys(family.rows_file.metadata),
        has_rest=family.rows_file.has_rest,
        families=[(family, 0)],
    )
    columns = [
        *_first(part),
        f"{no_shape} {plain} {' '.join(lines)} END AS line",
        f"{no_shape} NULL::VARCHAR {' '.join(names)} END AS shape",
        f"{no_shape} {_JSON_FIELDS.format(line=plain)} {' '.join(fields)} END AS fields",
        f"{_metadata(part)} AS metadata",
    ]
    return _of_families(columns, [family], None, period)


def _line(part: Part) -> str:
    if part.template is not None:
        return line_sql(part.template, part.blobs)
    return shown_blob(f"f.{LINE_COLUMN}") if part.blobs else f"f.{LINE_COLUMN}"


def _metadata(part: Part) -> str:
    """The structured metadata that an entry has."""
    own, table = _NO_METADATA, _rows_of(part)
    if part.metadata:
        pairs = ", ".join(
            f"{{'key': {quoted(name)}, 'value': {table}.{name_sql(METADATA_PREFIX + name)}}}"
            for name in part.metadata
        )
        own = f"map_from_entries(list_filter([{pairs}], lambda e: e.value IS NOT NULL))"
    if not part.has_rest:
        return own
    rest = f"coalesce({table}.{METADATA_REST}::JSON::MAP(VARCHAR, VARCHAR), {_NO_METADATA})"
    return f"map_concat({own}, {rest})"
