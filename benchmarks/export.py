"""What does an export cost, in each form? CPU time of a million lines in blocks, in process.

`python -m benchmarks.export --mb N`: so many megabytes of the mixed logs of `benchmarks.data` go
into blocks (of 36 MB); all of them leave in each form, and by a filter that keeps a fifth. Figures
are megabytes of lines for each second of CPU of all threads, the best of two runs; `read` is what
it costs to read the lines in the order of time, without a form.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial

from benchmarks.data import bodies
from benchmarks.real import TENANT, Load
from benchmarks.scale import NoHeads
from narfi.core.clock import NS_PER_S
from narfi.core.kernels.warming import warm_up
from narfi.core.limits import Limits
from narfi.core.memory import leave_libraries_out
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.export.form import Ending
from querier.export.registry import FORMS, form_of
from querier.http_api.export import BATCH_BYTES, BATCH_ROWS, MOST_ROWS
from querier.line_stream import LinesAsked, LineStream
from querier.query import Direction, QueryOptions

END_NS = 1_767_225_600 * NS_PER_S
BLOCK_BYTES, CACHE_BYTES = 36 << 20, 256 << 20
RUNS = 2
QUERIES = ('{namespace=~".+"}', '{namespace=~".+"} |= "GET"')


def export(engine: Engine, text: str, form: str | None) -> tuple[int, int]:
    """(line bytes that were read, bytes of the file)."""
    options = QueryOptions(
        tenants=(TENANT,),
        start_ns=END_NS - 7200 * NS_PER_S,
        end_ns=END_NS + NS_PER_S,
        step_ns=1,
        limits=Limits(),
        limit=MOST_ROWS,
        direction=Direction.FORWARD,
        categorize_labels=True,
    )
    asked = LinesAsked(
        text=text, options=options, at_least=BATCH_ROWS, batch_bytes=BATCH_BYTES, limited=False
    )
    stream, written = LineStream(engine, asked), None if form is None else form_of(form, ())
    size = made = 0
    while (batch := stream.step()) is not None:
        size += batch.rows.columns.lines.nbytes()
        if written is not None:
            made += len(written.batch(batch.rows).data)
    if written is not None:
        made += len(written.end(Ending(rows=stream.given, warnings=())) or b"")
    return size, made


def best_mb_s(work: Callable[[], tuple[int, int]]) -> tuple[float, int]:
    """Megabytes of lines for each second of CPU, and the bytes that were made."""
    found, made = 0.0, 0
    for _ in range(RUNS):
        began = time.process_time()
        size, made = work()
        found = max(found, size / 1e6 / (time.process_time() - began))
    return found, made


def main() -> None:
    """Print a line for each query and form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=200)
    arguments = parser.parse_args()
    leave_libraries_out()
    warm_up()
    executor = LocalExecutor(2)
    with tempfile.TemporaryDirectory() as folder:
        load = Load(folder, BLOCK_BYTES, CACHE_BYTES)
        load.take(body for body, _, _ in bodies(arguments.mb * 1_000_000, END_NS))
        engine = Engine(NoHeads(), load.store, executor)
        for text in QUERIES:
            for form in (None, *FORMS):
                speed, made = best_mb_s(partial(export, engine, text, form))
                print(f"{text:32} {form or 'read':8} {speed:7.1f} MB/s {made / 1e6:9.1f} MB")
    executor.close()


if __name__ == "__main__":
    main()
