"""Entries with similar lines, as batches of `ShapedLines`; and queries that fit the lines."""

from collections.abc import Sequence
from random import Random

import numpy as np
from hypothesis import strategies as st

from logql import ast
from logql.format import format_stage
from logql.parser import parse
from narfi.core.errors import AppError
from storage.batch import LogBatch
from storage.metadata import Metadata
from tests.reference.families import made, mixed_lines
from tests.reference.frames import batch_of
from tests.reference.logs import LABELS, METADATA, NS, START_NS, Entry
from tests.reference.queries import ORDERED, PARSERS, STAGES
from tests.reference.shapes import shaped_lines, shapes_of
from tests.reference.similar import similar_lines, thresholds

Stages = tuple[ast.Stage, ...]


@st.composite
def similar_entries(draw: st.DrawFn, most: int = 8) -> list[Entry]:
    """Similar lines of a few streams at a few times, so that many share an instant."""
    lines = draw(similar_lines(most))
    labels = draw(st.lists(LABELS, min_size=1, max_size=2))
    extras = draw(st.lists(METADATA, min_size=1, max_size=2))
    random = Random(draw(st.integers(0, 1 << 16)))
    span = draw(st.sampled_from([1, 4, 40]))
    return [
        (
            random.choice(labels),
            random.choice(extras),
            START_NS + random.randrange(span) * NS // 2,
            line,
        )
        for line in lines
    ]


def shaped_parts(
    entries: Sequence[Entry], min_rows: int, limits: tuple[int, int, int] | None
) -> list[LogBatch]:
    """The entries as a batch per shape, and one of what fits none; rows as in `batch_of`."""
    whole = batch_of(entries)
    assert whole.lines is not None
    plain = np.ones(len(entries), np.bool_)
    parts = []
    for shape in shapes_of([line for _, _, _, line in entries], min_rows, limits):
        plain[shape.rows] = False
        parts.append(
            LogBatch(
                table=whole.table,
                stream=whole.stream[shape.rows],
                ts=whole.ts[shape.rows],
                rows=whole.rows[shape.rows],
                lines=shaped_lines(shape),
                metadata=(whole.metadata or Metadata()).take(shape.rows),
            )
        )
    rest = np.flatnonzero(plain)
    return [*parts, whole.take(rest)] if len(rest) else parts


def mixed_parts(
    entries: Sequence[Entry], least: int, limits: tuple[int, int, int] | None
) -> list[LogBatch]:
    """The entries as a batch per family, of all its shapes; rows as in `batch_of`."""
    whole = batch_of(entries)
    with thresholds(limits):
        families = made([({}, [line for _, _, _, line in entries])], least)
    return [
        LogBatch(
            table=whole.table,
            stream=whole.stream[family.rows()],
            ts=whole.ts[family.rows()],
            rows=whole.rows[family.rows()],
            lines=mixed_lines(family),
            metadata=(whole.metadata or Metadata()).take(family.rows()),
        )
        for family in families
    ]


def _literal(line: bytes, random: Random) -> str:
    at = random.randrange(len(line) + 1)
    piece = line[at : at + random.choice([1, 1, 1, 2, 3, 6])]
    return piece.decode("utf-8", "replace")


def fitting_pattern(lines: Sequence[bytes], random: Random) -> str:
    """A pattern of literals that stand in a line, mostly in their order."""
    line = random.choice(lines)
    cuts = sorted(random.randrange(len(line) + 1) for _ in range(random.choice([1, 2, 3])))
    text = _literal(line[: cuts[0]], random) if random.random() < 0.2 else ""
    if random.random() < 0.2:
        text = line[: random.randrange(4)].decode("utf-8", "replace")
    for k, cut in enumerate(cuts):
        text += f"<{random.choice(['_', 'level', 'status', f'p{k}'])}>"
        text += line[cut : cut + random.choice([1, 1, 2, 4])].decode("utf-8", "replace")
    return text + random.choice(["", "<rest>"])


def fitting_stages(lines: Sequence[bytes], random: Random) -> list[ast.Stage]:
    """A stage whose literals stand in the lines."""
    match random.randrange(5):
        case 0 | 1:
            return [ast.PatternParser(fitting_pattern(lines, random))]
        case 2:
            op = random.choice([ast.LineOp.CONTAINS, ast.LineOp.NOT_CONTAINS])
            operand = ast.LineOperand(_literal(random.choice(lines), random), False)
            return [ast.LineFilter(op, (operand,))]
        case 3:
            op = random.choice([ast.LineOp.MATCHES, ast.LineOp.NOT_MATCHES])
            text = "".join(
                f"\\{c}" if not c.isalnum() and ord(c) < 128 else c
                for c in _literal(random.choice(lines), random)
            )
            text = random.choice(["%s", "%s.*", "(?i)%s", "^%s", "%s$", "%s|zz", "[^%%]%s+"]) % text
            return [ast.LineFilter(op, (ast.LineOperand(text, False),))]
        case _:
            pattern = fitting_pattern(lines, random)
            return [ast.LineFilter(ast.LineOp.PATTERN, (ast.LineOperand(pattern, False),))]


@st.composite
def fitting_pipelines(draw: st.DrawFn, lines: Sequence[bytes]) -> Stages:
    """Parsers first of all, with filters and the like around them."""
    random = Random(draw(st.integers(0, 1 << 16)))
    stages: list[ast.Stage] = []
    if draw(st.booleans()):
        stages += fitting_stages(lines, random)
    stages.append(draw(PARSERS))
    stages += draw(st.lists(STAGES, max_size=2) | ORDERED)
    if draw(st.integers(0, 3)) == 0:
        stages += fitting_stages(lines, random)
    return tuple(stages)


def is_query(stages: Stages) -> bool:
    """Whether the stages, printed, are read as themselves."""
    try:
        query = parse('{app="a"} ' + " ".join(format_stage(stage) for stage in stages))
    except (AppError, UnicodeError):
        return False
    return isinstance(query, ast.LogQuery) and len(query.stages) == len(stages)
