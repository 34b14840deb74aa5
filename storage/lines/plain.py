"""Lines as plain bytes: views into one buffer, answered by searching it."""

import numpy as np
import pyarrow.compute as pc

from narfi.core.columns import I32, LabelColumn, Mask, Spans
from narfi.core.kernels.search import contains_each, contains_packed
from narfi.core.regex import compile_regex
from storage.batch import LineColumn, Rows


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

    def json_field(self, path: tuple[str, ...]) -> LabelColumn | None:
        """Plain bytes hold no columns."""
        return None

    def logfmt_field(self, key: str) -> LabelColumn | None:
        """Plain bytes hold no columns."""
        return None

    def take(self, rows: Rows) -> LineColumn:
        """The given rows; shares the buffer."""
        return PlainLines(self._spans.take(rows))

    def nbytes(self) -> int:
        """Sum of the line lengths."""
        return self._spans.nbytes()


def spans_contain(spans: Spans, needle: bytes) -> Mask:
    """Which strings contain the needle; the empty needle is in all of them."""
    if not needle:
        return np.ones(len(spans), np.bool_)
    out = np.zeros(len(spans), np.bool_)
    search = contains_packed if spans.is_packed() else contains_each
    search(spans.data, spans.start, spans.length, np.frombuffer(needle, np.uint8), out)
    return out


def spans_match(spans: Spans, pattern: str) -> Mask:
    """Which strings an RE2 search finds; a wrong pattern raises `RegexSyntaxError`."""
    compile_regex(pattern)
    # as text: `.` and classes see characters; bytes that are not UTF-8 match no character
    found = pc.match_substring_regex(spans.to_arrow(text=True), pattern)
    mask: Mask = found.fill_null(False).to_numpy(zero_copy_only=False)
    return mask
