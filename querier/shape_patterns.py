"""How often has a shape each pattern, without its lines? Counted by the words in its holes.

Only holes of few words tell lines apart: other values have a digit in them, or are taken for one
that has. A line with one word of each kind in such holes, and digits in the others, has the mask
of all lines that are counted with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I32, I64
from narfi.core.text.masks import HOLE, mask
from storage.batch import LineShape
from storage.lines.holes import WordsColumn
from storage.lines.template import Hole, HoleKind

MAX_WORDS = 256
"""Words of a hole that are told apart; one with more is taken for one of digits."""
MAX_DENSE = 1 << 16
"""Numbers up to which a table is faster than sorting."""

Outline = tuple[bytes | int, ...]
"""What all lines of a shape have, and numbers of the words between."""
Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """Lines with words of one kind and one value of the extra code (the level), by bucket."""

    words: Words
    code: int
    counts: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ShapeCounts:
    """What was counted of a shape."""

    outline: Outline
    groups: list[Counted]


@dataclass(frozen=True, slots=True)
class _Kinds:
    """A hole of which the words are told apart: kind of each row, mask of each kind."""

    hole: int
    rows: I32
    masks: list[str]


def count_shape(shape: LineShape, codes: I32, bucket: I64, buckets: int) -> ShapeCounts:
    """Count the rows of a shape; `codes` are -1 or more, `bucket` is below `buckets`."""
    kinds = list(_kinds_of(shape))
    number = codes.astype(np.int64) + 1
    size = int(number.max(initial=0)) + 1
    for found in kinds:
        number, size = number * len(found.masks) + found.rows, size * len(found.masks)
        if size > MAX_DENSE:
            number, size = _numbered(number, size)
    number, size = _numbered(number, size)
    counts = np.bincount(number * buckets + bucket, minlength=size * buckets)
    rows = np.empty(size, np.int64)
    rows[number] = np.arange(len(number))
    words: list[Words] = [()] * size
    if kinds:
        words = list(
            zip(*([k.masks[n] for n in k.rows[rows].tolist()] for k in kinds), strict=True)
        )
    groups = list(map(Counted, words, codes[rows].tolist(), counts.reshape(size, buckets)))
    return ShapeCounts(_outline(shape, [k.hole for k in kinds]), groups)


def pattern_of(outline: Outline, words: Words) -> str:
    """The mask of the lines."""
    texts = [word.replace(HOLE, "0").encode() for word in words]
    return mask(b"".join(p if isinstance(p, bytes) else texts[p] for p in outline))


def _kinds_of(shape: LineShape) -> Iterator[_Kinds]:
    for number, hole in enumerate(shape.template.holes):
        if hole.type.kind is not HoleKind.WORDS:
            continue
        column = shape.column(number)
        assert isinstance(column, WordsColumn)
        if len(column.words) > MAX_WORDS:
            continue
        kinds: dict[str, int] = {}
        of_code = np.zeros(len(column.words), np.int32)
        for code, word in enumerate(column.words.to_list()):
            of_code[code] = kinds.setdefault(mask(word or b""), len(kinds))
        yield _Kinds(number, of_code[column.codes], list(kinds))


def _numbered(number: I64, size: int) -> tuple[I64, int]:
    """The same groups numbered without gaps."""
    if size <= MAX_DENSE:
        used = np.zeros(size, np.bool_)
        used[number] = True
        places = np.cumsum(used) - 1
        return places[number], int(used.sum())
    distinct, found = np.unique(number, return_inverse=True)
    return found.astype(np.int64), len(distinct)


def _outline(shape: LineShape, told_apart: list[int]) -> Outline:
    template = shape.template
    found: list[bytes | int] = []
    for piece in template.pieces:
        if isinstance(piece, bytes):
            found.append(piece)
        elif piece in told_apart:
            found.append(told_apart.index(piece))
        else:
            found.append(_digits(template.holes[piece]))
    return tuple(found)


def _digits(hole: Hole) -> bytes:
    """A text with the tokens that all values have."""
    if hole.type.kind is HoleKind.TIME:
        return bytes(48 if byte in b"YMDhmsfb" else byte for byte in hole.type.layout)
    return hole.type.layout.replace(b"x", b"0") or b"0"
