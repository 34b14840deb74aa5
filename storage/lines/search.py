"""Which of n byte strings hold a text, or a match of a pattern?"""

import numpy as np
import pyarrow.compute as pc

from narfi.core.columns import Mask, Spans
from narfi.core.kernels.search import contains_each, contains_packed
from narfi.core.regex import compile_regex


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
