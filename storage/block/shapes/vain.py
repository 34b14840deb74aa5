"""Which lines are worth being cut? Not those of streams that gave no shapes, unless a sample does.

Most lines that no shape takes are of the same streams in every block: prose, traces, or programs
that print too little for a flush. What is found of them in a sample would be found in all.
"""

import numpy as np

from narfi.core.columns import I64, Mask
from storage.block.shapes.cut import cut
from storage.block.shapes.group import family_groups
from storage.block.shapes.known import KnownShapes
from storage.block.shapes.least import LeastRows
from storage.block.shapes.run import Run

SAMPLED = 8
"""One of so many lines of a stream that gave nothing is cut at first."""
SAMPLED_FROM = 256
"""Streams with fewer lines left are always cut: a sample would say nothing."""
SAMPLE_SHARE = 0.6
"""A shape is expected where a sample has this share of what it should have."""
VAIN_SHARE = 16
"""A stream gave nothing when fewer than one of so many lines that were left got a shape."""

_MIX = 0x9E3779B1


def worth_cutting(run: Run, left: I64, vain: Mask, least: LeastRows) -> Mask:
    """Which of the rows that are left; `vain` are the streams that gave nothing in the last block.

    `least` is what a shape needs.
    """
    given = np.bincount(run.stream[left], minlength=len(run.labels))
    doubtful = vain & (given >= SAMPLED_FROM)
    if not doubtful.any():
        return np.ones(len(left), np.bool_)
    doubted = left[doubtful[run.stream[left]]]
    sample = doubted[sampled(len(doubted))]
    found = cut(run.lines.take(sample), fine=False)
    share = SAMPLE_SHARE / SAMPLED
    expected = LeastRows(
        max(2, int(share * least.text)), least.keyed, int(share * least.hole_bytes)
    )
    for group in family_groups(found, np.arange(len(sample)), expected):
        doubtful[run.stream[sample[group.rows]]] = False
    worth: Mask = ~doubtful[run.stream[left]]
    return worth


def sampled(count: int) -> I64:
    """One of every `SAMPLED` places, at no fixed distance: programs print in turns."""
    first = np.arange(0, count, SAMPLED)
    return np.minimum(first + (first * _MIX >> 32) % SAMPLED, count - 1)


def note_vain(run: Run, left: I64, shaped: I64, vain: Mask, known: KnownShapes) -> None:
    """Remember which streams gave nothing: of the rows that were left, those got a shape.

    `vain` is what was known.
    """
    given = np.bincount(run.stream[left], minlength=len(run.labels))
    gained = np.bincount(run.stream[shaped], minlength=len(run.labels))
    is_vain = gained * VAIN_SHARE < given
    for ordinal in np.flatnonzero((given >= SAMPLED_FROM) & (is_vain != vain)).tolist():
        known.tell(run.tenant, run.labels[ordinal], vain=bool(is_vain[ordinal]))
