"""Which lines of a batch are alike, and what do their tokens share?

Lines with one mask and one code (the level) are a group. Lines of a shape are grouped by the masks
of the values in its holes, without putting the lines together. Invariant: both ways give the same
groups, and tokens share the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I32, I64, Mask, Spans, concat_spans
from narfi.core.kernels.mask_scan import (
    KINDS,
    count_tokens,
    mark_changing,
    mask_hashes,
    shared_hashes,
    shared_tokens,
    token_lengths,
    token_places,
    unchanging,
)
from narfi.core.text.masks import masked
from storage.lines.base import LineShape
from storage.lines.holes import HexColumn, HoleColumn, IntegerColumn, WordsColumn, printed_between
from storage.lines.template import Hole, HoleKind

U64 = NDArray[np.uint64]

EXAMPLE_BYTES = 32
"""Of the example of a group: where it is, its mask and its level."""
FEW_VALUES = 2048
MAX_DENSE = 1 << 16
"""Numbers up to which a table is faster than sorting."""
_KINDS = np.frombuffer(KINDS, np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineGroups:
    """Groups of lines, each with an example."""

    examples: Spans
    hashes: U64  # of the masks
    codes: I32
    offset: I64  # tokens with digits of example g: offset[g] up to offset[g + 1]
    shared: I32  # by token: bytes that all lines of the group have; all, or up to a slash
    alike: U64  # equal for groups of one mask of which the tokens share the same

    def __len__(self) -> int:
        return len(self.codes)

    def nbytes(self) -> int:
        """Memory of the arrays and of the examples."""
        tokens = self.offset.nbytes + self.shared.nbytes
        return len(self) * EXAMPLE_BYTES + self.examples.nbytes() + tokens


@dataclass(frozen=True, slots=True)
class Grouped:
    """The groups of a batch, and the group of each row."""

    groups: LineGroups
    number: I32


def group_lines(lines: Spans, codes: I32) -> Grouped:
    """The groups of lines."""
    hashes = _hashes(lines)
    salted = hashes ^ (codes + 1).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    _, first, which = np.unique(salted, return_index=True, return_inverse=True)
    examples = lines.take(first)
    offset = _offsets(examples)
    shared = _shared(lines, which, first, offset)
    return _grouped(examples.packed(), codes[first], offset, shared, which)


def group_shape(shape: LineShape, codes: I32) -> Grouped:
    """The groups of the rows of a shape, from its columns."""
    template = shape.template
    columns = [shape.column(number) for number in range(len(template.holes))]
    number, size = _numbered(codes.astype(np.int64) + 1, int(codes.max(initial=-1)) + 2)
    for hole, column in zip(template.holes, columns, strict=True):
        kinds = _mask_kinds(hole, column)
        if kinds is not None:
            number, size = _numbered(number * kinds[1] + kinds[0], size * kinds[1])
    first = np.empty(size, np.int64)
    first[number] = np.arange(len(number))
    chosen = {k: column.take(first) for k, column in enumerate(columns)}
    examples = printed_between(template.pieces, chosen, len(first))
    changing = np.zeros(len(examples.data), np.bool_)
    at = examples.start.copy()
    for piece in template.pieces:
        if isinstance(piece, bytes):
            at += len(piece)
            continue
        values = Spans(examples.data, at.copy(), chosen[piece].lengths())
        _mark(template.holes[piece], columns[piece], values, number, first, changing)
        at += values.length
    offset = _offsets(examples)
    shared = np.zeros(int(offset[-1]), np.int32)
    unchanging(examples.data, examples.start, examples.length, _KINDS, offset, changing, shared)
    return _grouped(examples, codes[first], offset, shared, number)


def _alike(examples: Spans, offset: I64, shared: I32) -> U64:
    found = np.empty(len(examples), np.uint64)
    shared_hashes(examples.data, examples.start, examples.length, _KINDS, offset, shared, found)
    return found


def _grouped(examples: Spans, codes: I32, offset: I64, shared: I32, number: I64) -> Grouped:
    groups = LineGroups(
        examples=examples,
        hashes=_hashes(examples),
        codes=codes,
        offset=offset,
        shared=shared,
        alike=_alike(examples, offset, shared),
    )
    return Grouped(groups, number.astype(np.int32))


def joined(parts: Sequence[LineGroups]) -> LineGroups:
    """All groups, those of each part behind the ones of the part before."""
    if len(parts) == 1:
        return parts[0]
    ends = np.cumsum([len(part.shared) for part in parts])
    offsets = [
        part.offset[1:] + end - len(part.shared) for part, end in zip(parts, ends, strict=True)
    ]
    return LineGroups(
        examples=concat_spans([part.examples for part in parts]),
        hashes=np.concatenate([part.hashes for part in parts]),
        codes=np.concatenate([part.codes for part in parts]),
        offset=np.concatenate([np.zeros(1, np.int64), *offsets]),
        shared=np.concatenate([part.shared for part in parts]),
        alike=np.concatenate([part.alike for part in parts]),
    )


def tokens_of(groups: LineGroups, chosen: I64) -> tuple[I64, I64, I32]:
    """(where the tokens of each chosen group begin here, where each is in the data, its bytes)."""
    texts, counts = groups.examples.take(chosen), np.diff(groups.offset)[chosen]
    offset = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    first, size = np.empty(int(offset[-1]), np.int64), np.empty(int(offset[-1]), np.int32)
    token_places(texts.data, texts.start, texts.length, _KINDS, offset, first, size)
    return offset, first, size


def _distinct(cells: I64, size: int) -> tuple[I64, I64]:
    """(numbers below `size` that are there, ascending; how often)."""
    if size > MAX_DENSE + 4 * len(cells):
        return np.unique(cells, return_counts=True)
    counts = np.bincount(cells)
    there = np.flatnonzero(counts)
    return there, counts[there]


def _hashes(texts: Spans) -> U64:
    out = np.empty(len(texts), np.uint64)
    mask_hashes(texts.data, texts.start, texts.length, _KINDS, out)
    return out


def _offsets(texts: Spans) -> I64:
    counts = np.empty(len(texts), np.int64)
    count_tokens(texts.data, texts.start, texts.length, _KINDS, counts)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def _lengths(texts: Spans, offset: I64) -> I32:
    out = np.zeros(int(offset[-1]), np.int32)
    token_lengths(texts.data, texts.start, texts.length, _KINDS, offset, out)
    return out


def _shared(texts: Spans, group: I64, example: I64, offset: I64) -> I32:
    shared = _lengths(texts.take(example), offset)
    shared_tokens(texts.data, texts.start, texts.length, _KINDS, group, example, offset, shared)
    return shared


def _shared_words(column: WordsColumn, group: I64, first: I64, offset: I64) -> I32:
    """As `_shared` of their texts: each word of a group is looked at once."""
    width = len(column.words)
    pairs, _ = _distinct(group * width + column.codes, len(first) * width)
    texts = column.words.take(np.concatenate([pairs % width, column.codes[first]]))
    return _shared(texts, pairs // width, np.arange(len(first)) + len(pairs), offset)


def _mask_kinds(hole: Hole, column: HoleColumn) -> tuple[I64, int] | None:
    """(a number for the mask of each value, how many there are); None: all have one mask."""
    match column:
        case IntegerColumn() if hole.type.kind is HoleKind.NUMBER:
            if not len(column) or column.values.min() >= 0:
                return None
            return (column.values < 0).astype(np.int64), 2
        case IntegerColumn() if hole.type.kind is HoleKind.IPV4:
            return None
        case IntegerColumn() if "b" not in masked(_sample(hole)).text:  # of a month's name
            return None
        case HexColumn() if _is_token(hole) and _digits_everywhere(column):
            return None
        case WordsColumn():
            _, kinds = np.unique(_hashes(column.words), return_inverse=True)
            count = int(kinds.max(initial=-1)) + 1
            return None if count == 1 else (kinds.astype(np.int64)[column.codes], count)
        case _:
            distinct, kinds = np.unique(_hashes(column.spans()), return_inverse=True)
            return kinds.astype(np.int64), len(distinct)


def _mark(
    hole: Hole, column: HoleColumn, values: Spans, group: I64, first: I64, changing: Mask
) -> None:
    """Mark the bytes of the examples' values where a token with a digit differs in a group."""
    single = hole.type.kind in (HoleKind.NUMBER, HoleKind.IPV4) or _is_token(hole)
    offset = _offsets(values)
    if isinstance(column, WordsColumn):
        shared = _shared_words(column, group, first, offset)
    elif not (isinstance(column, IntegerColumn | HexColumn) and single):
        shared = _shared(column.spans(), group, first, offset)
    else:
        whole = _are_equal(column, group, first)
        shared = np.where(np.repeat(whole, np.diff(offset)), _lengths(values, offset), 0)
    mark_changing(
        values.data, values.start, values.length, _KINDS, offset, shared.astype(np.int32), changing
    )


def _are_equal(column: IntegerColumn | HexColumn, group: I64, first: I64) -> Mask:
    """Whether all values of each group are equal; mostly a few values tell that they are not."""
    whole, at = np.ones(len(first), np.bool_), 0
    for end in (FEW_VALUES, len(group)):
        mine = group[at:end]
        differs = column.values[at:end] != column.values[first][mine]
        whole[mine[differs if differs.ndim == 1 else differs.any(axis=1)]] = False
        if not whole.any():
            break
        at = end
    return whole


def _is_token(hole: Hole) -> bool:
    """Whether every value of a fixed layout is one token without slashes."""
    sample = _sample(hole)
    return b"/" not in sample and masked(sample).places == ((0, len(sample)),)


def _sample(hole: Hole) -> bytes:
    """A value of the layout but for months, which stay `bbb`; empty for a hole without layout."""
    marks = {HoleKind.TIME: b"YMDhmsf", HoleKind.HEX: b"x"}.get(hole.type.kind)
    if marks is None:
        return b""
    return bytes(48 if byte in marks else byte for byte in hole.type.layout)


def _digits_everywhere(column: HexColumn) -> bool:
    """Whether each value has a digit below ten; most have one in their first byte."""
    values = column.values
    left = np.arange(len(values))
    for place in range(values.shape[1]):
        byte = values[left, place]
        left = left[((byte >> 4) >= 10) & ((byte & 15) >= 10)]
        if not len(left):
            return True
    return not len(left)


def _numbered(number: I64, size: int) -> tuple[I64, int]:
    """The same groups numbered without gaps."""
    if size <= MAX_DENSE:
        used = np.zeros(size, np.bool_)
        used[number] = True
        places = np.cumsum(used) - 1
        return places[number], int(used.sum())
    distinct, found = np.unique(number, return_inverse=True)
    return found.astype(np.int64), len(distinct)
