"""Which of many shapes can hold a text, and where? Asked of all their stamps at once.

The shapes share columns, so that a text within a hole is looked for in a column, whichever shapes
put values there; only a text that may lie across pieces is planned shape by shape (`contains.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from narfi.core.columns import I32, I64, Mask, Spans
from narfi.core.kernels.search import may_cross
from storage.lines.contains import Alternative, Pieces, Where, plan_pieces
from storage.lines.folded import folded_template
from storage.lines.search import spans_contain
from storage.lines.template import (
    Hole,
    HoleKind,
    HoleType,
    Template,
    classes_of,
    fits_layout,
    longest_digits,
)

MAX_REMEMBERED = 256
"""Plans of a set of shapes that are kept."""
Shape = tuple[Pieces, tuple[Hole, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPlan:
    """Where a text can lie; a shape that is in none of these has it in no line."""

    every: I64  # shapes of which each line has it, within a constant
    holes: I64  # among all holes: a value may have it
    crossing: tuple[tuple[int, Alternative], ...]  # (shape, tests of its holes): across pieces
    decoded: tuple[int, ...]  # shapes with too many ways: the lines must be put together

    @property
    def is_refuted(self) -> bool:
        """Whether no line of any shape has it."""
        return not (len(self.every) or len(self.holes) or self.crossing or self.decoded)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """The shapes that have a column, ascending, and which hole of each it is."""

    shapes: I64
    holes: tuple[int, ...]  # of the shape
    types: tuple[tuple[HoleType, I64], ...]
    """How its values print, and for which of the owners (by place in `shapes`)."""
    place: I32  # of each shape among the owners; -1: it has no such column
    key: int  # equal for columns with the same owners


class ShapeSet:
    """Shapes over shared columns; no shape has a column twice. Immutable but for what it learns.

    Threads that ask at once may both find out, and one may clear what the other wrote.
    """

    def __init__(self, templates: Sequence[Template], columns: Sequence[Sequence[int]]) -> None:
        """`columns` has for each hole of each template the number of its column."""
        self.templates = tuple(templates)
        self.columns = tuple(map(tuple, columns))
        self.remembered: dict[object, Any] = {}
        """What was found out about the shapes, by question."""
        self._owners: dict[int, Owners] = {}
        self._keys: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self.templates)

    @cached_property
    def fixed_bytes(self) -> I64:
        """Of a line of each shape, without the values of `varying` columns."""
        stamps = self.stamps
        fixed = ~np.isin(stamps.column, self.varying)
        values = np.bincount(stamps.shape[fixed], stamps.most[fixed], len(self))
        constants = [template.constant_bytes for template in self.templates]
        return np.array(constants, np.int64) + values.astype(np.int64)

    @cached_property
    def varying(self) -> I64:
        """Columns whose values are not all of one length in each shape."""
        stamps = self.stamps
        return np.unique(stamps.column[stamps.least < stamps.most])

    @cached_property
    def stamps(self) -> "Stamps":
        """Of the lines as they are."""
        return Stamps([(t.pieces, t.holes) for t in self.templates], self.columns)

    @cached_property
    def folded(self) -> "Stamps":
        """Of the lines in small letters."""
        return Stamps([folded_template(t) for t in self.templates], self.columns)

    def owners(self, column: int) -> Owners:
        """The shapes that have a column."""
        found = self._owners.get(column)
        if found is None:
            found = self._owners[column] = self._owners_of(column)
        return found

    def _owners_of(self, column: int) -> Owners:
        stamps = self.stamps
        mine = np.flatnonzero(stamps.column == column)
        shapes = stamps.shape[mine]
        holes = (mine - stamps.first[shapes]).tolist()
        types: dict[HoleType, list[int]] = {}
        for place, (shape, hole) in enumerate(zip(shapes.tolist(), holes, strict=True)):
            types.setdefault(self.templates[shape].holes[hole].type, []).append(place)
        place_of = np.full(len(self), -1, np.int32)
        place_of[shapes] = np.arange(len(shapes), dtype=np.int32)
        return Owners(
            shapes=shapes,
            holes=tuple(holes),
            types=tuple((kind, np.array(some)) for kind, some in types.items()),
            place=place_of,
            key=self._keys.setdefault(shapes.tobytes(), column),
        )


class Stamps:
    """The pieces of many shapes as arrays: a place for each hole of each shape, in their order."""

    def __init__(self, shapes: Sequence[Shape], columns: Sequence[Sequence[int]]) -> None:
        self._shapes = shapes
        holes = [hole for _, mine in shapes for hole in mine]
        counts = np.array([len(mine) for _, mine in shapes], np.int64)
        self.first: I64 = np.append(0, np.cumsum(counts))  # hole of each shape, and the end
        self.shape: I64 = np.repeat(np.arange(len(shapes)), counts)  # of each hole
        self.column = np.array([c for mine in columns for c in mine], np.int64)
        self._classes = np.array([hole.classes for hole in holes], np.int64)
        self.least = np.array([hole.min_length for hole in holes], np.int64)
        self.most = np.array([hole.max_length for hole in holes], np.int64)
        self._digits = np.array([hole.longest_digits for hole in holes], np.int64)
        layouts: dict[bytes, int] = {b"": 0}
        self._layout = np.array(
            [
                layouts.setdefault(
                    h.type.layout if h.type.kind is HoleKind.TIME else b"", len(layouts)
                )
                for h in holes
            ],
            np.int64,
        )
        self._layouts = tuple(layouts)
        texts: dict[bytes, int] = {}
        named = [
            (texts.setdefault(piece, len(texts)), shape)
            for shape, (pieces, _) in enumerate(shapes)
            for piece in pieces
            if isinstance(piece, bytes)
        ]
        self.texts = Spans.of(texts)  # the distinct constants
        self.pieces = np.array(
            [
                -1 - texts[piece] if isinstance(piece, bytes) else mine[piece]
                for (pieces, _), mine in zip(shapes, columns, strict=True)
                for piece in pieces
            ],
            np.int64,
        )  # of all shapes: the column of a hole, or -1 less the number of a constant
        sizes = np.array([len(pieces) for pieces, _ in shapes], np.int64)
        self.first_piece: I64 = np.append(0, np.cumsum(sizes))  # of each shape, and the end
        self._text_of = np.array([text for text, _ in named], np.int64)
        self._text_shape = np.array([shape for _, shape in named], np.int64)
        self._plans: dict[bytes, SetPlan] = {}

    def plan(self, text: bytes) -> SetPlan:
        """Where a text that is not empty can lie; remembered."""
        found = self._plans.get(text)
        if found is None:
            if len(self._plans) >= MAX_REMEMBERED:
                self._plans.clear()
            found = self._plans[text] = self._planned(text)
        return found

    def _planned(self, text: bytes) -> SetPlan:
        every = self._with_constant(spans_contain(self.texts, text))
        is_every = np.zeros(len(self._shapes), np.bool_)
        is_every[every] = True
        crossing: list[tuple[int, Alternative]] = []
        decoded = []
        touching = np.zeros(len(self.texts), np.bool_)
        texts, wanted = self.texts, np.frombuffer(text, np.uint8)
        may_cross(texts.data, texts.start, texts.length, wanted, touching)
        for shape in self._with_constant(touching).tolist():
            if is_every[shape]:
                continue
            pieces, held = self._shapes[shape]
            plan = plan_pieces(pieces, held, text)
            if plan is None:
                decoded.append(shape)
                continue
            crossing += [(shape, ways) for ways in plan if not _is_within(ways)]
        holes = np.flatnonzero(self._may_hold(text) & ~is_every[self.shape])
        return SetPlan(every=every, holes=holes, crossing=tuple(crossing), decoded=tuple(decoded))

    def _with_constant(self, texts: Mask) -> I64:
        """The shapes that have one of the marked constants."""
        return np.unique(self._text_shape[texts[self._text_of]])

    def _may_hold(self, text: bytes) -> Mask:
        """As `Hole.may_hold`, of each hole."""
        found: Mask = (len(text) <= self.most) & (classes_of(text) & ~self._classes == 0)
        fits = np.array([not layout or fits_layout(text, layout) for layout in self._layouts])
        timed = self._layout > 0
        return found & np.where(timed, fits[self._layout], longest_digits(text) <= self._digits)


def _is_within(ways: Alternative) -> bool:
    """Whether the text lies in one hole, which is asked column by column."""
    return len(ways) == 1 and ways[0].where is Where.ANYWHERE
