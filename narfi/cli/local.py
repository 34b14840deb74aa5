"""How are lines from stdin queried? By the engine itself, without a server (logcli.md §7)."""

import sys
import time

from narfi.cli.flags import UsageError
from narfi.cli.output import EntryPrinter

MAX_BYTES = 20 * 1024 * 1024
SELECTOR = '{source="logcli"}'


def query_stdin(logql: str, printer: EntryPrinter, *, forward: bool, limit: int) -> None:
    """Print the lines of stdin that a log query gives; every line is of now."""
    import numpy as np

    from logql.ast import LogQuery
    from logql.parser import parse
    from narfi.core.columns import Spans
    from narfi.core.labels import Labels
    from querier.logs.streams import StreamsBuilder
    from querier.operators.base import Demand
    from querier.operators.frame import frame_of
    from querier.operators.pipeline import build_pipeline
    from storage.batch import LogBatch, StreamTable
    from storage.lines.plain import PlainLines
    from storage.metadata import Metadata

    text = f"{SELECTOR} {logql}" if logql.lstrip()[:1] in ("|", "!") else logql
    query = parse(text)
    if not isinstance(query, LogQuery):
        raise UsageError("metrics Query: not supported")
    lines = [line for line in sys.stdin.buffer.read(MAX_BYTES).split(b"\n") if line]
    if not forward:
        lines.reverse()
    now, rows = time.time_ns(), len(lines)
    none = np.zeros(1, np.int64)
    table = StreamTable(
        labels=(Labels.of({"source": "logcli"}),),
        first_row=none,
        rows=none,
        first_ts=none,
        last_ts=none,
        line_bytes=none,
    )
    batch = LogBatch(
        table=table,
        stream=np.zeros(rows, np.int32),
        ts=now - np.arange(rows, dtype=np.int64),  # keeps the order of the lines
        rows=np.arange(rows, dtype=np.int64),
        lines=PlainLines(Spans.of(lines)),
        metadata=Metadata(),
    )
    frame = build_pipeline(query.stages, Demand()).apply(frame_of(batch))
    if limit:
        frame = frame.take(np.arange(min(limit, len(frame))))
    builder = StreamsBuilder(categorized=False)
    builder.add(frame, list(range(len(frame))))
    found = [(s.labels, e) for s in builder.build().streams for e in s.entries]
    found.sort(key=lambda item: -item[1].ts_ns)
    printer.announce([dict(labels) for labels, _ in found])
    for labels, entry in found:
        printer.entry(entry.ts_ns, dict(labels), entry.line.decode("utf-8", "replace"))
