"""Which typed lines does a regex find? Only those with what it requires are decoded."""

from typing import Protocol

import numpy as np

from narfi.core.columns import Mask, Spans
from narfi.core.regex import compile_regex
from storage.lines.literals import Clause, required
from storage.lines.search import spans_searched
from storage.lines.texts import Rows


class Decodable(Protocol):
    """Lines that answer for texts without being decoded."""

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def contains(self, needle: bytes) -> Mask:
        """Which lines contain the bytes."""
        ...

    def contains_folded(self, text: bytes) -> Mask:
        """Which lines contain a text in small letters, in letters of any case."""
        ...

    def decoded_rows(self, rows: Rows) -> Spans:
        """The given lines as bytes."""
        ...


def lines_match(lines: Decodable, pattern: str) -> Mask:
    """As `LineColumn.matches`."""
    compile_regex(pattern)
    need = required(pattern)
    found = np.ones(len(lines), np.bool_)
    for clause in need.clauses:
        found &= _contain_any(lines, clause, folded=need.folded)
        if not found.any():
            return found
    if need.exact:
        return found
    rows = np.flatnonzero(found)
    found[rows] = spans_searched(lines.decoded_rows(rows), pattern)
    return found


def _contain_any(lines: Decodable, texts: Clause, *, folded: bool) -> Mask:
    found = np.zeros(len(lines), np.bool_)
    for text in texts:
        mask = lines.contains_folded(text) if folded else lines.contains(text)
        if mask.all():
            return mask
        found |= mask
    return found
