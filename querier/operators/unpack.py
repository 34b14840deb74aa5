"""`| unpack`: string members of a packed line as labels, `_entry` as the line (logql.md §6.7)."""

import numpy as np
import orjson

from narfi.core.columns import LabelColumn, Spans
from narfi.core.text.label_names import sanitise
from querier.frame import Frame
from querier.operators.fields import add_fields, set_errors
from storage.lines.plain import PlainLines

ERROR = "JSONParserErr"
ENTRY = "_entry"
NOT_AN_OBJECT = "expecting json object(6), but it is not"


class UnpackOperator:
    """Takes packed lines apart, each distinct line once."""

    def apply(self, frame: Frame) -> Frame:
        """The frame with unpacked lines and labels."""
        if not len(frame):
            return frame
        column = LabelColumn(spans=frame.lines.spans())
        lines = column.values.to_list()
        found = [_unpacked(line or b"") for line in lines]
        names = sorted({name for labels, _, _ in found for name in labels})
        fields = {
            name: LabelColumn(
                spans=Spans.of(
                    labels[name].encode() if name in labels else None for labels, _, _ in found
                ).take(column.codes)
            )
            for name in names
        }
        entries = Spans.of(
            line if entry is None else entry.encode()
            for line, (_, entry, _) in zip(lines, found, strict=True)
        )
        frame = add_fields(frame.with_lines(PlainLines(entries.take(column.codes))), fields)
        failed = np.array([int(bad) for _, _, bad in found], np.int32)[column.codes]
        return set_errors(frame, ERROR, failed, ("", NOT_AN_OBJECT))


def _unpacked(line: bytes) -> tuple[dict[str, str], str | None, bool]:
    """(labels, the packed line, whether it is wrong)."""
    if not line:
        return {}, None, False
    if not line.startswith(b"{"):
        return {}, None, True
    try:
        content = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}, None, True
    entry = content.get(ENTRY)
    if not isinstance(entry, str):
        return {}, None, False
    labels = {
        sanitise(key): value
        for key, value in content.items()
        if isinstance(value, str) and key != ENTRY
    }
    return {name: value for name, value in labels.items() if name}, entry, False
