"""Which row groups can hold all needles of a request? By constants, stamps and Bloom filters.

May keep too much, never too little: a group is left out only when every way to lay some needle over
its lines is refuted (storage/lines/contains.py).
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from narfi.core.columns import Mask
from storage.block.bloom import Bloom
from storage.block.column_filters import says_nothing_of
from storage.lines.contains import Alternative, HoleTest, Where, plan_contains
from storage.lines.shape_set import ShapeSet
from storage.lines.template import Hole, HoleKind, Template

BloomOf = Callable[[int], Bloom | None]
"""The filter of a hole (by its number) in a row group; None: there is none."""


def may_hold(template: Template | None, needles: Iterable[bytes], bloom_of: BloomOf | None) -> bool:
    """Whether a line could hold every needle; without `bloom_of` by constants and stamps only."""
    if template is None:
        return True
    for needle in needles:
        if not needle:
            continue
        plan = plan_contains(template, needle)
        if plan is None:
            continue
        if not any(_possible(template, ways, bloom_of) for ways in plan):
            return False
    return True


ColumnMayHold = Callable[[int, bytes], bool]
"""Whether a value of a column may contain a text."""


def shapes_that_may_hold(
    shapes: ShapeSet,
    needles: Iterable[bytes],
    bloom_of: BloomOf | None,
    column_may_hold: ColumnMayHold | None = None,
) -> Mask:
    """Which shapes could have a line with every needle; `bloom_of` takes the number of a column."""
    found = np.ones(len(shapes), np.bool_)
    for needle in needles:
        if needle and found.any():
            found &= _held_by(shapes, needle, bloom_of, column_may_hold)
    return found


def _held_by(
    shapes: ShapeSet,
    needle: bytes,
    bloom_of: BloomOf | None,
    column_may_hold: ColumnMayHold | None,
) -> Mask:
    plan, stamps = shapes.stamps.plan(needle), shapes.stamps
    found = np.zeros(len(shapes), np.bool_)
    found[plan.every] = True
    found[list(plan.decoded)] = True
    holes = plan.holes
    if bloom_of is not None:
        fixed = (stamps.least[holes] == len(needle)) & (stamps.most[holes] == len(needle))
        for column in np.unique(stamps.column[holes[fixed]]).tolist():
            owners = shapes.owners(column)
            hole = shapes.templates[int(owners.shapes[0])].holes[owners.holes[0]]
            value = stored_text(hole, needle)
            bloom = None if value is None else bloom_of(column)
            if value is not None and bloom is not None and not bloom.may_hold(value):
                gone = fixed & (stamps.column[holes] == column)
                holes, fixed = holes[~gone], fixed[~gone]
    if column_may_hold is not None and len(holes) and not says_nothing_of(needle):
        numbers, where = np.unique(stamps.column[holes], return_inverse=True)
        there = np.array([column_may_hold(number, needle) for number in numbers.tolist()])
        holes = holes[there[where]]
    found[stamps.shape[holes]] = True
    for shape, ways in plan.crossing:
        if not found[shape]:
            columns = shapes.columns[shape]
            if column_may_hold is not None and not all(
                column_may_hold(columns[test.hole], test.text) for test in ways
            ):
                continue
            of_hole = None if bloom_of is None else _behind(bloom_of, columns)
            found[shape] = _possible(shapes.templates[shape], ways, of_hole)
    return found


def _behind(bloom_of: BloomOf, columns: Sequence[int]) -> BloomOf:
    """The filters of the holes that have these columns."""
    return lambda hole: bloom_of(columns[hole])


def _possible(template: Template, ways: Alternative, bloom_of: BloomOf | None) -> bool:
    if bloom_of is None:
        return True
    for test in ways:
        value = stored_value(template.holes[test.hole], test)
        if value is None:
            continue
        bloom = bloom_of(test.hole)
        if bloom is not None and not bloom.may_hold(value):
            return False
    return True


def stored_value(hole: Hole, test: HoleTest) -> bytes | None:
    """The whole value, as stored, that a test asks for; None when it asks for a part of one."""
    fixed = hole.min_length == hole.max_length == len(test.text)
    if test.where is not Where.WHOLE and not fixed:
        return None
    return stored_text(hole, test.text)


def stored_text(hole: Hole, text: bytes) -> bytes | None:
    """A whole value as it is stored; None when filters know nothing of such."""
    if hole.type.kind is HoleKind.BYTES:
        return text
    if hole.type.kind is HoleKind.HEX:
        layout = hole.type.layout
        pairs = zip(layout, text, strict=True) if len(layout) == len(text) else ()
        digits = bytes(byte for mark, byte in pairs if mark == ord("x"))
        try:
            return bytes.fromhex(digits.decode("ascii")) if digits else None
        except ValueError:
            return None
    return None
