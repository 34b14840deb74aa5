"""How small do shapes make logs, and how fast? By corpus, against plain lines, and by stage.

`python -m benchmarks.encode [FOLDER …]`: the four kinds of the benchmark, and every `*.log` of the
folders, as it is and many times with other digits. Sizes are those of a block's files with one
stream and about a line a millisecond, at random.
"""

import argparse
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.data import SEED, kinds
from narfi.core.columns import Spans
from narfi.core.kernels.warming import warm_up
from narfi.core.labels import Labels
from storage.block.draft import Draft, PlainPart, ShapePart
from storage.block.shape_file import encode_shape_file
from storage.block.shapes.cut import cut
from storage.block.shapes.encode import MIN_ROWS, EncodedShape, encode_group
from storage.block.shapes.group import group_lines
from storage.block.writer import encode_lines
from storage.lines.decode import decode_lines
from storage.metadata import Metadata

LINES = 60_000
MS = 1_000_000
RUNS = 3
COPIES = 30


@dataclass
class Stages:
    """CPU seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the CPU time of a with block."""
        began = time.thread_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.thread_time() - began


@dataclass(frozen=True, kw_only=True)
class Report:
    """One corpus."""

    name: str
    lines: int
    raw: int
    plain: int
    shaped: int
    in_shapes: int
    shapes: int
    stages: Stages


def measure(name: str, lines: Spans) -> Report:
    """Encode a corpus plain and in shapes; decode it again and compare."""
    rows = np.arange(len(lines), dtype=np.int64)
    bounds = np.array([0, len(lines)], np.int64)
    gaps = np.random.default_rng(SEED).exponential(MS, len(lines)).astype(np.int64)
    stream = np.zeros(len(lines), np.int32)
    draft = Draft((Labels.of({"app": "x"}),), stream, np.cumsum(gaps), bounds)
    stages = Stages()
    plain = PlainPart(rows, lines, Metadata())
    with stages.timed("plain"):
        plain_size = encode_lines(plain, draft).size
    with stages.timed("cut"):
        holes = cut(lines, fine=False)
    with stages.timed("group"):
        groups = group_lines(holes, MIN_ROWS)
    with stages.timed("infer"):
        shapes = [s for g in groups if (s := encode_group(holes, g, MIN_ROWS)) is not None]
    left = np.ones(len(lines), np.bool_)
    size = 0
    for shape in shapes:
        left[shape.rows] = False
        with stages.timed("parquet"):
            size += encode_shape_file(ShapePart(shape, Metadata()), draft).size
        with stages.timed("decode"):
            again = decode_lines(shape.template, shape.columns, len(shape.rows))
        check(shape, again, lines)
    rest = np.flatnonzero(left)
    if len(rest):
        size += encode_lines(PlainPart(rest, lines.take(rest), Metadata()), draft).size
    raw, shaped = lines.nbytes(), len(lines) - len(rest)
    return Report(
        name=name,
        lines=len(lines),
        raw=raw,
        plain=plain_size,
        shaped=size,
        in_shapes=shaped,
        shapes=len(shapes),
        stages=stages,
    )


def check(shape: EncodedShape, again: Spans, lines: Spans) -> None:
    """Every line came back."""
    wanted = lines.take(shape.rows).packed()
    assert np.array_equal(again.data, wanted.data), shape.template.text()
    assert np.array_equal(again.length, wanted.length)


def made(maker: Callable[[random.Random, int], str]) -> Spans:
    """Lines of one of the benchmark's kinds."""
    r = random.Random(SEED)
    return Spans.of(maker(r, 1_795_507_200_000_000_000 + k * MS).encode() for k in range(LINES))


def drawn_anew(lines: list[bytes]) -> list[bytes]:
    """Every line many times, with other digits: more of a program that was seen for a moment."""
    r = random.Random(SEED)
    return [
        re.sub(rb"[0-9]", lambda _: b"0123456789"[(d := r.randrange(10)) : d + 1], line)
        for _ in range(COPIES)
        for line in lines
    ]


def main() -> None:
    """Print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="*", type=Path)
    given = parser.parse_args()
    warm_up()
    corpora = [(name, made(maker)) for name, maker in kinds().items()]
    for folder in given.folder:
        for file in sorted(folder.glob("*.log")):
            lines = file.read_bytes().splitlines()
            corpora.append((file.stem, Spans.of(lines)))
            corpora.append((f"{file.stem} x {COPIES}", Spans.of(drawn_anew(lines))))
    print("| corpus | lines | raw KB | plain KB | shapes KB | times smaller | in shapes | shapes |")
    print("|---|---|---|---|---|---|---|---|")
    total = Stages()
    size = 0
    for name, lines in corpora:
        measure(name, lines)
        runs = [measure(name, lines) for _ in range(RUNS)]
        best = runs[0]
        print(
            f"| {name} | {best.lines} | {best.raw / 1e3:.0f} | {best.plain / 1e3:.0f} | "
            f"{best.shaped / 1e3:.0f} | {best.raw / best.shaped:.1f} "
            f"(plain {best.raw / best.plain:.1f}) | {100 * best.in_shapes / best.lines:.0f} % | "
            f"{best.shapes} |"
        )
        if name in kinds():
            size += best.raw
            for stage in best.stages.seconds:
                found = min(run.stages.seconds[stage] for run in runs)
                total.seconds[stage] = total.seconds.get(stage, 0.0) + found
    print("\n| stage | MB per CPU-second, benchmark's kinds |\n|---|---|")
    for stage, seconds in total.seconds.items():
        print(f"| {stage} | {size / 1e6 / seconds:.0f} |")


if __name__ == "__main__":
    main()
