"""How does a flush encode what it has seen before? Known shapes first, then what is left is cut.

Lines that match shapes of earlier blocks are parsed in the same pass and need no cutting, grouping
or inference. What matches nothing is cut as in `encode.py`, and its shapes are remembered. Limits
are those of `encode.py`: a known shape with too few lines in a block is none there. Where what is
left looks like lines of a known shape (a value that it does not know, a constant that is none any
more), the lines of that shape are cut together with them, so that no line stays plain for it.
Streams that gave nothing but plain lines are not cut in vain again: a sample is tried first.
"""

import threading
from collections.abc import Iterator
from functools import partial

import numpy as np

from narfi.core.columns import I32, I64, Mask
from narfi.core.kernels.shape_scan import H_TAIL, TEXT
from storage.block.progress import Progress, untold
from storage.block.shapes.cut import CutLines, cut
from storage.block.shapes.encode import EncodedShape, check_shape, encode_group, or_none
from storage.block.shapes.family_memory import FamilyMemory
from storage.block.shapes.group import (
    MAX_SHAPES,
    SIMILARITY,
    Group,
    group_lines,
    share_of_words,
    words_in,
)
from storage.block.shapes.known import (
    KnownShapes,
    Model,
    known_shape,
    matchable,
)
from storage.block.shapes.matched import (
    Columns,
    Scratch,
    changed,
    large_shapes,
    match,
)
from storage.block.shapes.run import Run

SAMPLED = 16
"""One of so many lines of a stream that gave nothing is tried before all of them are cut."""
SAMPLED_FROM = 1024
"""Streams with fewer lines left are always cut: a sample would say nothing."""
SAMPLE_SHARE = 0.6
"""A shape is expected where a sample has this share of the lines that it should have."""
VAIN_SHARE = 16
"""A stream gave nothing when fewer than one of so many lines that were cut got a shape."""
FOUND_COLD = 0.5
"""Of what progress is told up to the first shape, where no shape was known."""
MISSED_SHARE = 64
"""A known shape is cut anew when it missed one of so many lines."""


class WarmEncoder:
    """Encodes the blocks of a store one after another; thread-safe.

    Invariant: `shapes` yields every row at most once, and rows of a shape ascend. What is known
    never keeps a block from being written: after an error the tenant's next block is encoded cold.
    """

    def __init__(self) -> None:
        self.known = KnownShapes()
        self.families = FamilyMemory()
        """What is known for blocks of families."""
        self._scratch: list[Scratch] = []
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """What is kept between blocks."""
        kept = sum(scratch.nbytes for scratch in self._scratch)
        return self.known.nbytes + self.families.nbytes + kept

    def shapes(
        self, run: Run, min_rows: int, progress: Progress = untold
    ) -> Iterator[EncodedShape]:
        """The shapes of the lines; rows in none of them stay plain. `min_rows` of 0: no shapes.

        `progress` is told of the work up to the first shape.
        """
        if not min_rows or len(run.lines) < min_rows:
            return
        with self._lock:
            scratch = self._scratch.pop() if self._scratch else Scratch()
        try:
            yield from _Block(run, min_rows, self.known).shapes(scratch, progress)
        except Exception:
            self.known.forget_all(run.tenant)  # the next try knows nothing that could be the cause
            raise
        finally:
            scratch.shrink()
            with self._lock:
                if not self._scratch:  # blocks are written one at a time, as a rule
                    self._scratch.append(scratch)


class _Block:
    """One block."""

    def __init__(self, run: Run, min_rows: int, known: KnownShapes) -> None:
        self._run, self._min_rows, self._known = run, min_rows, known
        self._candidates = known.candidates(run.tenant, run.labels)

    def shapes(self, scratch: Scratch, progress: Progress) -> Iterator[EncodedShape]:
        run, candidates = self._run, self._candidates
        count = len(candidates.known)
        told = progress if candidates.known else untold  # else there is nothing to try
        matched = match(run.lines, run.stream, candidates, scratch, told)
        chosen, is_chosen = large_shapes(matched.shape, count, self._min_rows, MAX_SHAPES)
        owner = np.where(matched.shape >= 0, matched.shape, count)
        left = np.flatnonzero(~np.append(is_chosen, False)[owner])
        left = self._promising(left, chosen)
        found = cut(run.lines.take(left), fine=False)
        anew = self._missed(found, matched.shape, chosen)
        if anew:
            left = np.union1d(left, np.flatnonzero(np.isin(matched.shape, anew)))
            found = cut(run.lines.take(left), fine=False)
            for number in anew:
                self._known.forget(run.tenant, candidates.known[number])
            chosen = [number for number in chosen if number not in anew]
        progress(1.0 if candidates.known else FOUND_COLD)
        columns = Columns(matched, candidates)
        rows_of = _rows_of(matched.shape, count)
        for number in chosen:
            shape = or_none(partial(self._warm, rows_of[number], number, columns))
            if shape is None:
                self._known.forget(run.tenant, candidates.known[number])
            else:
                yield shape
        yield from self._cold(found, left, MAX_SHAPES - len(chosen))

    def _warm(self, rows: I64, number: int, columns: Columns) -> EncodedShape:
        """The shape of lines that matched; checked as one that was inferred."""
        run, known = self._run, self._candidates.known[number]
        shape = columns.encode(number, rows)
        check_shape(shape, run.lines.take(rows))
        if changed(known, shape):
            self._known.forget(run.tenant, known)
            return shape
        tried, tried_from = self._candidates.tried, self._candidates.tried_from
        streams = np.unique(run.stream[rows]).tolist()
        new = [o for o in streams if number not in tried[tried_from[o] : tried_from[o + 1]]]
        self._known.learn(run.tenant, known, [run.labels[o] for o in new])
        return shape

    def _cold(self, found: CutLines, left: I64, most: int) -> Iterator[EncodedShape]:
        """Shapes of what was cut, remembered."""
        run = self._run
        shaped = np.zeros(len(left), np.bool_)
        for group in group_lines(found, self._min_rows)[:most]:
            shape = or_none(partial(encode_group, found, group, self._min_rows))
            if shape is None:
                continue
            shaped[shape.rows] = True
            rows = left[shape.rows]
            model = _model(found, group)
            if model is not None and matchable(shape.template, model.cut):
                owners = [run.labels[o] for o in np.unique(run.stream[rows]).tolist()]
                self._known.learn(run.tenant, known_shape(shape.template, model), owners)
            yield EncodedShape(rows, shape.template, shape.columns)
        self._remember(left, shaped)

    def _remember(self, left: I64, shaped: Mask) -> None:
        """Which streams gave nothing."""
        run = self._run
        streams = len(run.labels)
        given = np.bincount(run.stream[left], minlength=streams)
        gained = np.bincount(run.stream[left[shaped]], minlength=streams)
        for o in np.flatnonzero(given >= SAMPLED_FROM).tolist():
            vain = int(gained[o]) * VAIN_SHARE < int(given[o])
            if vain != self._candidates.vain[o]:
                self._known.tell(run.tenant, run.labels[o], vain=vain)

    def _promising(self, left: I64, chosen: list[int]) -> I64:
        """The rows without those of streams that gave nothing and will give nothing again."""
        run, vain = self._run, self._candidates.vain
        given = np.bincount(run.stream[left], minlength=len(run.labels))
        doubtful = vain & (given >= SAMPLED_FROM)
        if not doubtful.any():
            return left
        doubted = left[doubtful[run.stream[left]]]
        sample = doubted[::SAMPLED]
        found = cut(run.lines.take(sample), fine=False)
        expected = max(2, int(SAMPLE_SHARE * self._min_rows / SAMPLED))
        for group in group_lines(found, expected):
            doubtful[run.stream[sample[group.rows]]] = False
        skeletons = [self._candidates.known[number].model.skeleton for number in chosen]
        alike = np.isin(found.skeleton, np.array(skeletons, np.uint64))
        doubtful[run.stream[sample[alike]]] = False
        return left[~doubtful[run.stream[left]]]

    def _missed(self, found: CutLines, shape: I32, chosen: list[int]) -> list[int]:
        """The chosen shapes that lines which were cut look like, too many to be left plain."""
        known = self._candidates.known
        skeletons = np.array([known[number].model.skeleton for number in chosen], np.uint64)
        near = np.flatnonzero(np.isin(found.skeleton, skeletons))
        if not len(near):
            return []
        keys, first, sizes = np.unique(
            np.stack([found.skeleton[near], found.words[near]]),
            axis=1,
            return_index=True,
            return_counts=True,
        )
        rows = np.bincount(shape[shape >= 0], minlength=len(known))
        missed = np.zeros(len(known), np.int64)
        for skeleton, line, size in zip(
            keys[0].tolist(), near[first].tolist(), sizes.tolist(), strict=True
        ):
            words = words_in(found, line) if found.how[line] == TEXT else None
            for number in chosen:
                if known[number].model.skeleton == skeleton and _alike(known[number].model, words):
                    missed[number] += size
        return [n for n in chosen if missed[n] and missed[n] * MISSED_SHARE >= rows[n]]


def _alike(model: Model, words: list[bytes] | None) -> bool:
    """Whether lines would be grouped with the model's; only texts need words in common."""
    if words is None or model.cut != TEXT:
        return True
    return share_of_words(model.words, words) > SIMILARITY


def _model(found: CutLines, group: Group) -> Model | None:
    """What is remembered of a shape's first line; None when the matcher cannot cut such lines."""
    line = int(group.rows[0])
    if H_TAIL in found.kinds(line):
        return None
    words = words_in(found, line) if group.cut == TEXT else []
    return Model(group.cut, int(found.skeleton[line]), words)


def _rows_of(shape: I32, count: int) -> list[I64]:
    """The rows of each shape, ascending."""
    order = np.argsort(shape, kind="stable")
    ends = np.searchsorted(shape[order], np.arange(count + 1))
    return [order[ends[k] : ends[k + 1]] for k in range(count)]
