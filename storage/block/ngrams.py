"""Can a text stand in one of many lines? A filter of all their runs of three bytes tells no.

For plain lines and columns of free text, one filter a row group: what a typed column or a stamp
says of other holes. Invariant: never no for a text that stands in a line.
docs/adr/0017-ngram-filters.md has what filters cost and spare.
"""

from dataclasses import dataclass

import numpy as np

from narfi.core.columns import U8, Spans
from narfi.core.kernels.gram_scan import (
    GRAM,
    WORDS,
    fill_filter,
    fill_from_texts,
    holds_grams,
    mark_grams,
)

BITS_A_GRAM = 4
"""Of about: a run that is not there is taken for one that is once in six times, a needle of five
such runs once in ten thousand."""
LEAST_LOG2, MOST_LOG2 = 6, 24
MOST_FEW_LOG2 = 18
"""Of a column's values: 32 KB."""


@dataclass(frozen=True, slots=True)
class Ngrams:
    """The filter of some lines."""

    bits: U8
    """A power of two of bits, at least eight bytes."""

    @staticmethod
    def of(lines: Spans) -> "Ngrams":
        """Of all lines; absent ones have no text."""
        marks = np.zeros(WORDS, np.uint64)
        grams = mark_grams(lines.data, lines.start, lines.length, marks)
        log2 = int(grams * BITS_A_GRAM).bit_length()
        log2 = min(max(log2, LEAST_LOG2), MOST_LOG2)
        bits = np.zeros(1 << (log2 - 3), np.uint8)
        fill_filter(marks, log2, bits)
        return Ngrams(bits)

    @staticmethod
    def of_few(texts: Spans) -> "Ngrams":
        """Of all texts, sized for runs that are all different, up to a bound."""
        size = int(np.maximum(texts.length, 0).sum(dtype=np.int64))
        log2 = min(max((size * BITS_A_GRAM).bit_length(), LEAST_LOG2), MOST_FEW_LOG2)
        bits = np.zeros(1 << (log2 - 3), np.uint8)
        fill_from_texts(texts.data, texts.start, texts.length, log2, bits)
        return Ngrams(bits)

    @staticmethod
    def parse(data: bytes) -> "Ngrams":
        """As `to_bytes` wrote it; raises `ValueError` for anything else."""
        size = len(data)
        if not 1 << LEAST_LOG2 <= 8 * size <= 1 << MOST_LOG2 or size & (size - 1):
            raise ValueError(f"a filter has no {size} bytes")
        return Ngrams(np.frombuffer(data, np.uint8))

    def to_bytes(self) -> bytes:
        """The bits, for a file."""
        return self.bits.tobytes()

    def may_hold(self, needle: bytes) -> bool:
        """Whether a line may contain the bytes; those of less than three may stand anywhere."""
        if len(needle) < GRAM:
            return True
        log2 = (8 * len(self.bits)).bit_length() - 1
        return bool(holds_grams(self.bits, log2, np.frombuffer(needle, np.uint8)))
