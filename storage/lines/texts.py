"""What is a text in each row, before it is printed? Its length is known, and it can be written."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I32, I64, U8, Mask, Spans

Rows = NDArray[np.integer] | Mask
"""Rows of a batch: indices or a mask."""


class Texts(Protocol):
    """A text in each of n rows; columns of holes are such too."""

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def take(self, rows: Rows) -> "Texts":
        """The given rows."""
        ...

    def lengths(self) -> I32:
        """Bytes of each text."""
        ...

    def write(self, at: I64, out: U8) -> None:
        """Write each text at its place and move the place behind it."""
        ...

    def spans(self) -> Spans:
        """The printed texts."""
        ...


def printed(texts: Texts) -> Spans:
    """The texts written one behind the other."""
    length = texts.lengths()
    offsets = np.zeros(len(length) + 1, np.int64)
    np.cumsum(length, out=offsets[1:])
    out = np.empty(int(offsets[-1]), np.uint8)
    texts.write(offsets[:-1].copy(), out)
    return Spans(out, offsets[:-1].copy(), length)
