"""`| unpack`: string members of a packed line as labels, `_entry` as the line (logql.md §6.7)."""

import numpy as np

from narfi.core.columns import LabelColumn, Spans
from narfi.core.text.unpack import Unpacked, unpack_line
from querier.frame import Frame
from querier.operators.fields import add_pairs, set_errors
from storage.lines.plain import PlainLines


class UnpackOperator:
    """Takes packed lines apart, each distinct line once."""

    def apply(self, frame: Frame) -> Frame:
        """The frame with unpacked lines and labels."""
        if not len(frame):
            return frame
        column = LabelColumn(spans=frame.lines.spans())
        lines = [line or b"" for line in column.values.to_list()]
        unpacked = [unpack_line(line) for line in lines]
        entries = Spans.of(
            line if found.entry is None else found.entry
            for line, found in zip(lines, unpacked, strict=True)
        )
        frame = frame.with_lines(PlainLines(entries.take(column.codes)))
        frame = _with_fields(frame, column, unpacked)
        errors = sorted({(f.fields.error, f.fields.details) for f in unpacked} - {("", "")})
        for error, details in errors:
            bad = [(f.fields.error, f.fields.details) == (error, details) for f in unpacked]
            failed = np.array(bad, np.int32)[column.codes]
            frame = set_errors(frame, error, failed, ("", details))
        return frame


def _with_fields(frame: Frame, column: LabelColumn, unpacked: list[Unpacked]) -> Frame:
    """The pairs of each distinct line, repeated for its rows, as labels."""
    counts = np.array([len(found.fields.pairs) for found in unpacked], np.int64)
    pairs = [pair for found in unpacked for pair in found.fields.pairs]
    if not pairs:
        return frame
    names: dict[str, int] = {}
    numbers = np.array([names.setdefault(name, len(names)) for name, _ in pairs], np.int32)
    values = Spans.of(value.encode("utf-8", "surrogateescape") for _, value in pairs)
    sizes = counts[column.codes]
    rows = np.repeat(np.arange(len(frame), dtype=np.int32), sizes)
    first = (np.cumsum(counts) - counts)[column.codes]
    inner = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    place = np.repeat(first, sizes) + inner
    return add_pairs(frame, rows, numbers[place], list(names), values.take(place))
