"""`| unpack`: string members of a packed line as labels, `_entry` as the line (logql.md §6.7)."""

import numpy as np

from narfi.core.columns import Spans
from narfi.core.kernels.json_text import ERRORS
from narfi.core.kernels.unpack_scan import scan_packed
from narfi.core.label_column import SpansColumn
from narfi.core.text.label_names import sanitise
from narfi.core.text.unpack import NOT_AN_OBJECT
from querier.operators.fields import add_pairs, set_errors, with_side
from querier.operators.frame import Frame
from storage.lines.plain import PlainLines

ERROR = "JSONParserErr"
_DETAILS = (*ERRORS, NOT_AN_OBJECT)


class UnpackOperator:
    """Takes packed lines apart."""

    def apply(self, frame: Frame) -> Frame:
        """The frame with unpacked lines and labels."""
        if not len(frame):
            return frame
        lines, rows = frame.lines.spans(), len(frame)
        size = lines.nbytes()
        room = size // 4 + 1
        row = np.empty(room, np.int32)
        key_start, key_length = np.empty(room, np.int64), np.empty(room, np.int32)
        value_start, value_length = np.empty(room, np.int64), np.empty(room, np.int32)
        entry_start, entry_length = np.zeros(rows, np.int64), np.empty(rows, np.int32)
        error, side = np.empty(rows, np.uint8), np.empty(size, np.uint8)
        sizes = np.zeros(1, np.int64)
        pairs = scan_packed(
            lines.data,
            lines.start,
            lines.length,
            row,
            key_start,
            key_length,
            value_start,
            value_length,
            entry_start,
            entry_length,
            error,
            side,
            sizes,
        )
        data = with_side(lines, side, int(sizes[0]))
        packed = entry_length >= 0
        made = Spans(
            data,
            np.where(packed, entry_start, lines.start),
            np.where(packed, entry_length, lines.length).astype(np.int32),
        )
        frame = frame.with_lines(PlainLines(made))
        keys = SpansColumn(Spans(data, key_start[:pairs], key_length[:pairs]))
        names: dict[str, int] = {}
        labels = [sanitise(text) for text in keys.texts]
        numbers = [names.setdefault(n, len(names)) if n else -1 for n in labels]
        name = np.array([*numbers, -1], np.int32)[keys.codes]
        kept = name >= 0
        values = Spans(data, value_start[:pairs], value_length[:pairs]).take(kept)
        frame = add_pairs(frame, row[:pairs][kept], name[kept], list(names), values)
        return set_errors(frame, ERROR, error, _DETAILS)
