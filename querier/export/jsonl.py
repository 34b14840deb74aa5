"""An object for each entry, a line each, and one that says how the export ended."""

import orjson

from narfi.core.kernels.row_text import JSON, NANOSECONDS
from querier.export.form import Encoded, Ending, RowForm
from querier.export.readable import readable_pairs
from querier.logs.entries import EntryRows, Extras
from querier.result import LabelPairs


def _before(labels: LabelPairs, extras: Extras) -> bytes:
    metadata, parsed = extras
    parts = [b'","labels":', orjson.dumps(readable_pairs(labels))]
    for name, pairs in ((b"metadata", metadata), (b"parsed", parsed)):
        if pairs:
            parts += [b',"', name, b'":', orjson.dumps(readable_pairs(pairs))]
    return b"".join([*parts, b',"line":"'])


_ROWS = RowForm(
    lines=JSON, times=NANOSECONDS, head=b'{"ts":"', before=_before, after=lambda *_: b'"}\n'
)


class JsonLinesForm:
    """An export as JSON lines."""

    media_type = "application/x-ndjson"
    extension = "jsonl"

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def batch(self, rows: EntryRows) -> Encoded:
        """The objects."""
        return _ROWS.of(rows)

    def end(self, ending: Ending) -> bytes | None:
        """The last line."""
        said: dict[str, object] = {
            "complete": not ending.trouble,
            "rows": ending.rows,
            "warnings": list(ending.warnings),
        }
        if ending.trouble:
            said["error"] = ending.trouble
        return orjson.dumps({"narfi": said}) + b"\n"
