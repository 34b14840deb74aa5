"""How do the lines of a run become shapes? Group, cut, infer; what fits nothing stays plain.

Invariant: every row is in exactly one shape or in the rest; a shape's rows ascend.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import structlog

from narfi.core.columns import I64, Spans
from narfi.core.kernels.shape_scan import (
    H_ARRAY,
    H_LITERAL,
    H_QUOTED,
    H_STRING,
    H_VALUE,
    JSON,
    LOGFMT,
)
from storage.block.metrics import REFUSED_SHAPES
from storage.block.shapes.cut import CutLines, cut
from storage.block.shapes.fields import field_names, unique
from storage.block.shapes.group import Group, group_lines
from storage.block.shapes.infer import infer, joined
from storage.lines.decode import decode_lines
from storage.lines.holes import HoleColumn
from storage.lines.template import LineKind, Role, Template

log = structlog.get_logger(__name__)
T = TypeVar("T")

CHECKED_SHARE = 16
"""One of so many lines is decoded at once; all of them would cost a tenth of a push."""
MAX_SHOWN = 200
"""Characters of a template in an error."""
MIN_ROWS = 1024
"""Lines of a shape where the settings say nothing else: its file has 2 to 4 KB besides values, and
plain lines of one shape compress to 10 to 30 bytes each."""

ROLES = {
    H_STRING: Role.STRING,
    H_LITERAL: Role.LITERAL,
    H_ARRAY: Role.ARRAY,
    H_VALUE: Role.VALUE,
    H_QUOTED: Role.QUOTED,
}
KINDS = {JSON: LineKind.JSON, LOGFMT: LineKind.LOGFMT}


class ShapeFault(Exception):
    """Typed columns do not print the lines that they were made of: a bug of ours."""


@dataclass(frozen=True, slots=True)
class EncodedShape:
    """The rows of a shape, ascending, and the values of each hole."""

    rows: I64
    template: Template
    columns: tuple[HoleColumn, ...]


def encode_shapes(lines: Spans, min_rows: int = MIN_ROWS) -> Iterator[EncodedShape]:
    """The shapes of the lines; rows in none of them stay plain. One shape is in memory at a time.

    `min_rows` of 0: no shapes.
    """
    if not min_rows or len(lines) < min_rows:
        return
    found = cut(lines, fine=False)
    for group in group_lines(found, min_rows):
        shape = or_none(partial(encode_group, found, group, min_rows))
        if shape is not None:
            yield shape


def or_none(make: Callable[[], T]) -> T | None:
    """What is made; None when that fails: a fault of ours costs space, not lines."""
    try:
        return make()
    except Exception as error:
        REFUSED_SHAPES.inc()
        log.error("a shape could not be made, its lines stay plain", exc_info=error)
        return None


def encode_group(lines: CutLines, group: Group, min_rows: int) -> EncodedShape | None:
    """The shape of a group; None when too few lines are left that fit."""
    model, rows = int(group.rows[0]), group.rows
    packed = lines.lines.take(rows).packed()  # near each other: every hole is looked at in turn
    start, length, fits = lines.gather(rows, packed)
    if not fits.all():
        kept = np.flatnonzero(fits)
        if len(kept) < min_rows:
            return None
        rows, start, length = rows[kept], start[:, kept].copy(), length[:, kept].copy()
    constants = lines.constants(model)
    roles = [ROLES.get(kind, Role.WORD) for kind in lines.kinds(model)]
    kind = KINDS.get(group.cut, LineKind.TEXT)
    names = field_names(kind, constants, tuple(roles))
    data = packed.data
    parts = [
        infer(Spans(data, start[k], length[k]), role, names[k]) for k, role in enumerate(roles)
    ]
    part = joined(constants, parts)
    holes = unique([found.hole for found in part.holes])
    template = Template(kind, part.constants, holes)
    shape = EncodedShape(rows, template, tuple(found.column for found in part.holes))
    check_shape(shape, packed if len(packed) == len(rows) else packed.take(np.flatnonzero(fits)))
    return shape


def check_shape(shape: EncodedShape, lines: Spans) -> None:
    """Decode every `CHECKED_SHARE`-th line; raises `ShapeFault` where it is not the one that came.

    Types are chosen so that this cannot be; it is asked all the same, since it is about logs.
    """
    some = np.arange(0, len(shape.rows), CHECKED_SHARE)
    columns = [column.take(some) for column in shape.columns]
    again, wanted = decode_lines(shape.template, columns, len(some)), lines.take(some).packed()
    if not np.array_equal(again.length, wanted.length) or not np.array_equal(
        again.data, wanted.data
    ):
        raise ShapeFault(shape.template.text()[:MAX_SHOWN])
