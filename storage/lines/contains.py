"""Where can a text lie in the lines of a shape? Within a constant, within a hole, or across both.

A *plan* is a list of alternatives; each is a list of tests on single holes that must all hold. The
stamps of the holes rule out most alternatives before any value is read; a plan without alternatives
means that no line of the shape contains the text.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from narfi.core.columns import Mask
from narfi.core.kernels.search import AT_END, AT_START, WHOLE, match_at
from storage.lines.holes import HoleColumn, WordsColumn
from storage.lines.template import Hole, Template

MAX_REMEMBERED = 256
"""Plans of a template that are kept."""
_UNKNOWN = "not asked yet"
MAX_ALTERNATIVES = 256
"""More ways to lay a text over a shape are not worth trying: the lines are decoded."""


class Where(Enum):
    """How a text lies in a hole's value."""

    ANYWHERE = "anywhere"
    START = "start"
    END = "end"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class HoleTest:
    """The value of a hole has the text at a place."""

    hole: int
    where: Where
    text: bytes


Pieces = tuple[bytes | int, ...]
"""Constants, and holes by their numbers."""
Alternative = tuple[HoleTest, ...]
Plan = tuple[Alternative, ...]
EVERY_LINE: Alternative = ()
Dead = set[tuple[int, int]]
"""(piece, size of the rest) from which no way leads on; without it the ways to try multiply."""


def plan_contains(template: Template, text: bytes) -> Plan | None:
    """The ways in which a line can contain a text that is not empty; None: too many.

    Remembered; threads that ask at once may both find out, and one may clear what the other wrote.
    """
    known = template.remembered
    found: Plan | str | None = known.get(text, _UNKNOWN)
    if isinstance(found, str):
        found = plan_pieces(template.pieces, template.holes, text)
        if len(known) >= MAX_REMEMBERED:
            known.clear()
        known[text] = found
    return found


def plan_pieces(pieces: Pieces, holes: Sequence[Hole], text: bytes) -> Plan | None:
    """As `plan_contains`, for a part of a line."""
    if any(isinstance(piece, bytes) and text in piece for piece in pieces):
        return (EVERY_LINE,)
    found: list[Alternative] = []
    dead: Dead = set()
    for place in range(len(pieces)):
        for alternative in _from(pieces, holes, place, text, dead):
            found.append(alternative)
            if len(found) > MAX_ALTERNATIVES:
                return None
    return tuple(found)


def _from(
    pieces: Pieces, holes: Sequence[Hole], place: int, text: bytes, dead: Dead
) -> Iterator[Alternative]:
    """Alternatives in which the text begins in a piece."""
    piece = pieces[place]
    if isinstance(piece, bytes):
        for size in range(1, min(len(piece), len(text) - 1) + 1):
            if piece.endswith(text[:size]):
                yield from _follow(pieces, holes, place + 1, text[size:], dead)
        return
    hole = holes[piece]
    if hole.may_hold(text):
        yield (HoleTest(piece, Where.ANYWHERE, text),)
    for size in range(1, len(text)):
        head = text[:size]
        if not hole.may_hold(head):
            break
        for rest in _follow(pieces, holes, place + 1, text[size:], dead):
            yield (HoleTest(piece, Where.END, head), *rest)


def _follow(
    pieces: Pieces, holes: Sequence[Hole], place: int, text: bytes, dead: Dead
) -> Iterator[Alternative]:
    """Alternatives in which the rest of the text stands at the beginning of a piece."""
    if place >= len(pieces) or (place, len(text)) in dead:
        return
    alive = False
    for alternative in _laid(pieces, holes, place, text, dead):
        alive = True
        yield alternative
    if not alive:
        dead.add((place, len(text)))


def _laid(
    pieces: Pieces, holes: Sequence[Hole], place: int, text: bytes, dead: Dead
) -> Iterator[Alternative]:
    piece = pieces[place]
    if isinstance(piece, bytes):
        if piece.startswith(text):
            yield EVERY_LINE
        elif text.startswith(piece):
            yield from _follow(pieces, holes, place + 1, text[len(piece) :], dead)
        return
    hole = holes[piece]
    if hole.may_hold(text):
        yield (HoleTest(piece, Where.START, text),)
    for size in range(len(text)):
        head = text[:size]
        if not hole.may_hold(head):
            break
        if size < hole.min_length:
            continue
        for rest in _follow(pieces, holes, place + 1, text[size:], dead):
            yield (HoleTest(piece, Where.WHOLE, head), *rest)


def run_plan(plan: Plan, column_of: Callable[[int], HoleColumn], rows: int) -> Mask:
    """Which rows satisfy any alternative; `column_of` gives the values of a hole."""
    if EVERY_LINE in plan:
        return np.ones(rows, np.bool_)
    found = np.zeros(rows, np.bool_)
    for alternative in plan:
        hit: Mask | None = None
        for test in alternative:
            mask = run_test(column_of(test.hole), test)
            hit = mask if hit is None else hit & mask
            if not hit.any():
                break
        assert hit is not None
        found |= hit
    return found


_PLACES = {Where.START: AT_START, Where.END: AT_END, Where.WHOLE: WHOLE}


def run_test(column: HoleColumn, test: HoleTest) -> Mask:
    """Which values have the text at the place."""
    if test.where is Where.ANYWHERE:
        return column.contains(test.text)
    spans = column.words if isinstance(column, WordsColumn) else column.spans()
    out = np.empty(len(spans), np.bool_)
    text = np.frombuffer(test.text, np.uint8)
    match_at(spans.data, spans.start, spans.length, text, _PLACES[test.where], out)
    return column.rows_of(out) if isinstance(column, WordsColumn) else out
