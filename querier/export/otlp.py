"""A request of OTLP/JSON for each entry, a line each, as the Collector's file receiver reads it.

What labels and metadata are in OTLP is put together once for each set; members may stand in any
order, so the line comes between two pieces of a request.
"""

import orjson

from narfi.core.kernels.row_text import JSON, NANOSECONDS
from narfi.core.wire.otlp_members import request_around, resource_of, scope_and_record
from querier.export.form import Encoded, Ending, RowForm
from querier.export.readable import readable_pairs
from querier.logs.entries import EntryRows, Extras
from querier.result import LabelPairs

_HEAD = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"'
_RECORDS = b'"logRecords":[{'


def _before(labels: LabelPairs, extras: Extras) -> bytes:
    metadata, parsed = extras
    pairs = {**readable_pairs(parsed), **readable_pairs(metadata)}
    _, record = scope_and_record(pairs.items())
    return b'",' + orjson.dumps(record)[1:-1] + b',"body":{"stringValue":"'


def _after(labels: LabelPairs, extras: Extras) -> bytes:
    scope, _ = scope_and_record(readable_pairs(extras[0]).items())
    request = request_around([{}], scope, resource_of(readable_pairs(labels).items()))
    _, _, rest = orjson.dumps(request).partition(_RECORDS)
    return b'"}' + rest + b"\n"


_ROWS = RowForm(lines=JSON, times=NANOSECONDS, head=_HEAD, before=_before, after=_after)


class OtlpForm:
    """An export as OTLP/JSON lines."""

    media_type = "application/x-ndjson"
    extension = "otlp.jsonl"

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def batch(self, rows: EntryRows) -> Encoded:
        """The requests."""
        return _ROWS.of(rows)

    def end(self, ending: Ending) -> bytes | None:
        """Nothing stands behind them, so what is not whole breaks off."""
        return None if ending.trouble else b""
