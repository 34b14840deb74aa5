"""`| decolorize`: ANSI escapes removed from lines."""

import numpy as np

from narfi.core.columns import Spans, concat_spans_keeping_views
from narfi.core.label_column import SpansColumn
from narfi.core.text.ansi import strip_ansi
from querier.operators.frame import Frame
from storage.lines.plain import PlainLines


class DecolorizeOperator:
    """Rewrites only lines that hold an escape, each distinct line once."""

    def apply(self, frame: Frame) -> Frame:
        """The frame with plain lines."""
        coloured = frame.lines.contains(b"\x1b") | frame.lines.contains(b"\xc2\x9b")
        if not coloured.any():
            return frame
        rows = np.flatnonzero(coloured)
        lines = frame.lines.spans()
        column = SpansColumn(lines.take(rows))
        plain = Spans.of(strip_ansi(v or b"") for v in column.values.to_list())
        rewritten = plain.take(column.codes)
        both = concat_spans_keeping_views([lines, rewritten])
        place = np.arange(len(frame))
        place[rows] = len(frame) + np.arange(len(rows))
        return frame.with_lines(PlainLines(both.take(place)))
