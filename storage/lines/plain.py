"""Lines as plain bytes: views into one buffer, answered by searching it."""

from collections.abc import Callable, Sequence

import numpy as np

from narfi.core.columns import I32, Mask, Spans
from storage.lines.base import LineColumn, LineShape
from storage.lines.search import spans_contain, spans_match
from storage.lines.template import Template
from storage.lines.texts import Rows


class PlainLines:
    """A `LineColumn` over `Spans`; no line is absent."""

    __slots__ = ("_spans",)

    def __init__(self, spans: Spans) -> None:
        self._spans = spans

    def __len__(self) -> int:
        return len(self._spans)

    def spans(self) -> Spans:
        """All lines as views."""
        return self._spans

    def lengths(self) -> I32:
        """Bytes of each line."""
        return self._spans.length

    def contains(self, needle: bytes) -> Mask:
        """Which lines contain the bytes."""
        return spans_contain(self._spans, needle)

    def matches(self, pattern: str) -> Mask:
        """Which lines an unanchored RE2 search finds."""
        return spans_match(self._spans, pattern)

    def about_bytes(self, mean: float) -> int:
        """Their sizes are known."""
        return self.nbytes()

    def parts(self, certain: Callable[[Template], bool] | None = None) -> Sequence[Rows]:
        """All together."""
        return [np.arange(len(self))]

    def shape(self) -> LineShape | None:
        """Plain bytes have no shape."""
        return None

    def take(self, rows: Rows) -> LineColumn:
        """The given rows; shares the buffer."""
        return PlainLines(self._spans.take(rows))

    def nbytes(self) -> int:
        """Sum of the line lengths."""
        return self._spans.nbytes()
