"""What do families give? Plain lines, bytes of columns and CPU of encoding, against a file a shape.

`python -m benchmarks.families FOLDER … [--synthetic MB]`: every `*.log` and `*.log.gz` is a format,
a stream of its own. Lines of all formats in turn, cut into blocks of `--block-mb` (a flush), then
as one block (merged). Bytes are those of the column chunks and of the plain lines, without footers;
every line is decoded and compared. One thread, CPU time of encoding alone: what makes typed columns
out of lines, nothing of Parquet.
"""

import argparse
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.data import SEED, kinds
from benchmarks.real import TURN, Formats, formats_of
from narfi.core.columns import Spans
from narfi.core.kernels.warming import warm_up
from narfi.core.labels import Labels
from narfi.core.memory import leave_libraries_out
from narfi.core.tenant import TenantId
from storage.block.family import Family
from storage.block.hole_columns import choose_encoding, to_column
from storage.block.shapes.encode import MIN_ROWS, EncodedShape
from storage.block.shapes.encodings import DICTIONARY
from storage.block.shapes.families import families_of
from storage.block.shapes.family_memory import FamilyMemory, match_known
from storage.block.shapes.least import FLUSHED, MERGED, LeastRows
from storage.block.shapes.run import Run
from storage.block.shapes.warm import WarmEncoder
from storage.lines.decode import decode_lines
from storage.lines.holes import HoleColumn
from storage.lines.template import to_json

TENANT = TenantId("bench")
APPS = 5
LEVELS = (3, 6)
START_NS = 1_795_507_200_000_000_000
MS = 1_000_000


@dataclass(slots=True)
class Result:
    """What one way made of some blocks."""

    name: str
    lines: int = 0
    raw: int = 0
    plain: int = 0
    shapes: int = 0
    cells: int = 0
    columns: int = 0
    families: int = 0
    seconds: float = 0.0
    matched: int = 0  # lines that matched shapes of the blocks before, without the first block
    shaped: int = 0  # of the same blocks
    templates: int = 0  # bytes of JSON, compressed
    column_bytes: dict[int, int] = field(default_factory=dict)  # by level of zstd
    plain_bytes: dict[int, int] = field(default_factory=dict)


def runs_of(formats: Formats, block_bytes: int) -> Iterator[Run]:
    """Lines of each format in turn, until a block is full; sorted by stream."""
    r = random.Random(SEED)
    left = {name: iter(lines) for name, lines in formats.items()}
    labels = {name: Labels.of({"app": name}) for name in formats}
    pending: dict[str, list[bytes]] = {}
    size = 0
    while left:
        for name in list(left):
            for _ in range(r.randrange(*TURN)):
                line = next(left[name], None)
                if line is None:
                    del left[name]
                    break
                pending.setdefault(name, []).append(line)
                size += len(line)
        if size >= block_bytes:
            yield run_of(pending, labels)
            pending, size = {}, 0
    if pending:
        yield run_of(pending, labels)


def run_of(pending: Formats, labels: dict[str, Labels]) -> Run:
    """The lines of some streams."""
    names = sorted(pending)
    stream = np.repeat(np.arange(len(names), dtype=np.int32), [len(pending[n]) for n in names])
    lines = Spans.of(line for name in names for line in pending[name])
    return Run(TENANT, [labels[name] for name in names], stream, lines)


def synthetic(nbytes: int) -> Formats:
    """Lines of the kinds of `benchmarks.data`, of a few apps each."""
    r = random.Random(SEED)
    found: Formats = {}
    each = nbytes // (len(kinds()) * APPS)
    for kind, maker in kinds().items():
        for app in range(APPS):
            lines: list[bytes] = []
            size = 0
            while size < each:
                lines.append(maker(r, START_NS + len(lines) * MS).encode())
                size += len(lines[-1])
            found[f"{kind}-{app}"] = lines
    return found


def chunk_bytes(array: pa.Array, encoding: tuple[str, str] | None, level: int) -> int:
    """Bytes of the array as a column chunk."""
    sink = pa.BufferOutputStream()
    compression = "ZSTD" if encoding is None else encoding[1]
    pq.write_table(
        pa.table({"v": array}),
        sink,
        compression=compression,
        compression_level=level if compression == "ZSTD" else None,
        use_dictionary=encoding is None,
        column_encoding=None if encoding is None else {"v": encoding[0]},
        write_statistics=False,
        store_schema=False,
        store_decimal_as_integer=True,
    )
    footer = pq.read_metadata(pa.BufferReader(sink.getvalue()))
    groups = range(footer.num_row_groups)
    return sum(footer.row_group(g).column(0).total_compressed_size for g in groups)


def add_column(result: Result, column: HoleColumn, encoding: tuple[str, str] | None) -> None:
    """Count a column."""
    array = to_column(column)
    result.columns += 1
    for level in LEVELS:
        size = chunk_bytes(array, encoding, level)
        result.column_bytes[level] = result.column_bytes.get(level, 0) + size


def add_plain(result: Result, lines: Spans) -> None:
    """Count plain lines."""
    result.plain += len(lines)
    if len(lines):
        for level in LEVELS:
            size = chunk_bytes(lines.to_arrow(), ("DELTA_LENGTH_BYTE_ARRAY", "ZSTD"), level)
            result.plain_bytes[level] = result.plain_bytes.get(level, 0) + size


def check(again: Spans, lines: Spans) -> None:
    """Every line came back."""
    wanted = lines.packed()
    assert np.array_equal(again.length, wanted.length)
    assert np.array_equal(again.data, wanted.data)


def add_families(result: Result, run: Run, families: Sequence[Family]) -> None:
    """Count and decode the families of a block."""
    seen = np.zeros(len(run.lines), np.int64)
    templates = []
    for family in families:
        result.families += 1
        used = [0] * len(family.columns)
        for shape in family.shapes:
            result.shapes += 1
            result.cells += len(shape.columns)
            rows = len(shape.rows)
            mine = [
                family.columns[c].values.take(slice(used[c], used[c] + rows)) for c in shape.columns
            ]
            check(decode_lines(shape.template, mine, rows), run.lines.take(shape.rows))
            for c in shape.columns:
                used[c] += rows
            templates.append(to_json(shape.template))
        for column in family.columns:
            encoding = choose_encoding(column.values)
            if column.encoding is not None:
                encoding = None if column.encoding == DICTIONARY else (column.encoding, "ZSTD")
            add_column(result, column.values, encoding)
        check(family.plain.packed(), run.lines.take(family.plain_rows))
        add_plain(result, family.plain)
        np.add.at(seen, family.rows(), 1)
    assert (seen == 1).all(), "every row is in one place"
    result.templates += packed_size(templates)


def packed_size(content: object) -> int:
    """Bytes of JSON with zstd."""
    return len(pa.Codec("zstd", 3).compress(orjson.dumps(content), asbytes=True))


def add_shapes(result: Result, run: Run, shapes: Sequence[EncodedShape]) -> None:
    """Count the shapes of a block, a file each."""
    left = np.ones(len(run.lines), np.bool_)
    for shape in shapes:
        result.shapes += 1
        result.cells += len(shape.columns)
        left[shape.rows] = False
        for column in shape.columns:
            add_column(result, column, choose_encoding(column))
        result.templates += packed_size(to_json(shape.template))
    add_plain(result, run.lines.take(left))


def measure(name: str, runs: Sequence[Run], least: LeastRows | None) -> Result:
    """Encode all blocks; `least` of None: as shapes in files of their own.

    Twice: what a store remembers of its fields and shapes is known when the time is taken.
    """
    result = Result(name)
    encoder, memory = WarmEncoder(), FamilyMemory()
    for number, run in enumerate(runs):
        if least is None:
            list(encoder.shapes(run, MIN_ROWS))
            continue
        with memory.scratch() as scratch:
            matched = len(run.lines) - len(match_known(run, memory, scratch, least).left())
        families = list(families_of(run, least, memory))
        if number:  # nothing is known of the first block
            result.matched += matched
            result.shaped += len(run.lines) - sum(len(f.plain_rows) for f in families)
    for run in runs:
        result.lines += len(run.lines)
        result.raw += run.lines.nbytes()
        began = time.thread_time()
        if least is None:
            shapes = list(encoder.shapes(run, MIN_ROWS))
            result.seconds += time.thread_time() - began
            add_shapes(result, run, shapes)
        else:
            families = list(families_of(run, least, memory))
            result.seconds += time.thread_time() - began
            add_families(result, run, families)
    return result


def show(result: Result) -> None:
    """A row of the table."""
    columns = " / ".join(f"{result.column_bytes.get(level, 0) / 1e3:.0f}" for level in LEVELS)
    plain = " / ".join(f"{result.plain_bytes.get(level, 0) / 1e3:.0f}" for level in LEVELS)
    total = " / ".join(
        f"{(result.column_bytes.get(v, 0) + result.plain_bytes.get(v, 0)) / 1e3:.0f}"
        for v in LEVELS
    )
    print(
        f"| {result.name} | {result.raw / 1e6:.1f} | {100 * result.plain / result.lines:.1f} % | "
        f"{result.families} | {result.shapes} | {result.cells} | {result.columns} | "
        f"{columns} | {plain} | {total} | {result.templates / 1e3:.0f} | "
        f"{1e9 * result.seconds / result.raw:.1f} | "
        f"{1e6 * result.seconds / max(result.cells, 1):.0f} | "
        f"{100 * result.matched / max(result.shaped, 1):.0f} % |",
        flush=True,
    )


def main() -> None:
    """Print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="*", type=Path)
    parser.add_argument("--block-mb", type=int, default=12, help="line bytes of a flushed block")
    parser.add_argument("--synthetic", type=int, metavar="MB", help="of benchmarks.data, at first")
    given = parser.parse_args()
    leave_libraries_out()
    warm_up()
    loads: list[tuple[str, Callable[[], Formats]]] = []
    if given.synthetic:
        loads.append(("synthetic", lambda: synthetic(given.synthetic * 10**6)))
    loads += [(folder.name, partial(formats_of, [folder])) for folder in given.folder]
    levels = " / ".join(str(level) for level in LEVELS)
    print(
        "| load, way | MB | plain | families | shapes | cells | columns | columns KB, zstd"
        f" {levels} | plain KB | both KB | templates KB | ms/MB | µs/cell | matched |"
    )
    print("|" + "---|" * 14)
    for name, make in loads:
        formats = make()
        flushed = list(runs_of(formats, given.block_mb * 10**6))
        whole = list(runs_of(formats, 1 << 62))
        show(measure(f"{name}, flush, file a shape", flushed, None))
        show(measure(f"{name}, flush, families", flushed, FLUSHED))
        show(measure(f"{name}, merged, file a shape", whole, None))
        show(measure(f"{name}, merged, families", whole, MERGED))


if __name__ == "__main__":
    main()
