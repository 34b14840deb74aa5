"""Where can a text lie in the lines of a shape when case does not count?

Constants, stamps and values are put in small letters, and then asked as usual (`contains.py`).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from narfi.core.columns import Mask
from narfi.core.kernels import shape_values as sv
from storage.lines.contains import Plan, plan_pieces, run_plan
from storage.lines.holes import BytesColumn, HoleColumn, WordsColumn
from storage.lines.search import folded
from storage.lines.template import Hole, HoleKind, HoleType, Template

ColumnOf = Callable[[int], HoleColumn]
Folded = tuple[tuple[bytes | int, ...], tuple[Hole, ...]]
_CASELESS = (HoleKind.NUMBER, HoleKind.IPV4)


def contains_folded(template: Template, text: bytes, column_of: ColumnOf, rows: int) -> Mask | None:
    """Which lines hold a text in letters of any case; None: too many ways, they must be decoded.

    The text is in small letters and not empty; `column_of` gives the values of a hole.
    """
    pieces, holes = folded_template(template)
    key = ("folded", text)
    if key not in template.remembered:
        template.remembered[key] = plan_pieces(pieces, holes, text)
    plan = cast(Plan | None, template.remembered[key])
    if plan is None:
        return None
    values: dict[int, HoleColumn] = {}

    def column(hole: int) -> HoleColumn:
        if hole not in values:
            values[hole] = folded_column(template.holes[hole], column_of(hole))
        return values[hole]

    return run_plan(plan, column, rows)


def folded_template(template: Template) -> Folded:
    """The pieces and holes of the lines in small letters; remembered."""
    known = template.remembered.get("folded")
    if known is None:
        pieces = tuple(p.lower() if isinstance(p, bytes) else p for p in template.pieces)
        known = pieces, tuple(map(_folded_hole, template.holes))
        template.remembered["folded"] = known
    return cast(Folded, known)


def _folded_hole(hole: Hole) -> Hole:
    if _keeps_case(hole):
        return hole
    classes = hole.classes
    if classes & sv.UPPER:
        classes |= sv.LOWER
    if classes & sv.HEX_UPPER:
        classes |= sv.HEX_LOWER
    kind = hole.type
    if kind.kind is HoleKind.TIME:
        kind = HoleType(kind=HoleKind.BYTES)  # the layout has capital letters
    return replace(hole, classes=classes, type=kind)


def folded_column(hole: Hole, column: HoleColumn) -> HoleColumn:
    """The values in small letters."""
    if _keeps_case(hole):
        return column
    if isinstance(column, WordsColumn):
        return WordsColumn(column.codes, folded(column.words))
    return BytesColumn(folded(column.spans()))


def _keeps_case(hole: Hole) -> bool:
    """Whether no value has a capital letter."""
    if hole.type.kind in _CASELESS or hole.type.kind is HoleKind.HEX:
        return not any(65 <= byte <= 90 for byte in hole.type.layout)
    return False
