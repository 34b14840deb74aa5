"""How fast are parsers and line filters over plain lines? MB of lines for a second of CPU.

`python -m benchmarks.plain_lines FOLDER …`: every `*.log` and `*.log.gz` is asked alone, as lines
that have no shape, which is how they lie in heads and in what blocks keep as plain. Each stage runs
by itself, in one thread, over frames of `--batch-mb`. A parser is asked over the formats that are
made for it ("its own") and over all the others ("others"): who asks everything asks both. The floor
is a kernel that compares each byte with two others. `--json FILE` keeps the figures, `--against
FILE` prints ratios.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.real import Formats, formats_of
from logql import ast
from logql.parser import parse
from narfi.core.columns import I32, I64, U8, Spans
from narfi.core.kernels.jit import kernel
from narfi.core.kernels.warming import warm_up
from narfi.core.labels import Labels
from narfi.core.memory import leave_libraries_out
from querier.operators.base import Demand
from querier.operators.frame import Frame
from querier.operators.pipeline import build_pipeline
from storage.batch import StreamTable
from storage.lines.plain import PlainLines

RUNS = 5
ALL, OWN, OTHERS = "all", "its own", "others"
LOGFMT = ("loki_debug", "node_exporter", "prometheus", "docker_registry")
JSON = ("caddy_json", "nginx_json", "node_pino_json")
ACCESS = ("nginx_access",)
PROXY = ("haproxy",)
SERVER = ("nginx_error",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Stages, the labels that are looked at behind them (None: all), and formats made for them."""

    name: str
    stages: str
    labels: tuple[str, ...] | None = ()
    own: tuple[str, ...] = ()


ASKED = (
    Asked(name="needle absent", stages='|= "qzxjvkwq"'),
    Asked(name="needle common", stages='|= "GET"'),
    Asked(name="three filters", stages='|= "GET" |= "HTTP" != "404"'),
    Asked(name="regex, three texts", stages='|~ "timeout|refused|denied"'),
    Asked(name="regex without case", stages='|~ "(?i)exception"'),
    Asked(name="regex with classes", stages='|~ "id=[0-9]+ absent-[a-z]+"'),
    Asked(name="regex without a text", stages='|~ "[0-9]{3}[a-f]{5}"'),
    Asked(name="pattern filter", stages='|> "<_>statement: UPDATE <_> SET <_>"'),
    Asked(name="addresses", stages='|= ip("192.168.0.0/16")'),
    Asked(name="logfmt, all", stages="| logfmt", labels=None, own=LOGFMT),
    Asked(name="logfmt, one", stages="| logfmt", labels=("level",), own=LOGFMT),
    Asked(name="logfmt, last", stages="| logfmt", labels=("err", "duration"), own=LOGFMT),
    Asked(name="logfmt, strict", stages="| logfmt --strict", labels=None, own=LOGFMT),
    Asked(name="logfmt, key", stages='| logfmt l="level"', labels=None, own=LOGFMT),
    Asked(name="json, all", stages="| json", labels=None, own=JSON),
    Asked(name="json, one", stages="| json", labels=("level", "status"), own=JSON),
    Asked(name="json, deep", stages="| json", labels=("request_method",), own=JSON),
    Asked(name="json, key", stages='| json s="status"', labels=None, own=JSON),
    Asked(
        name="pattern",
        stages='| pattern `<ip> - - [<_>] "<method> <uri> <_>" <status> <size> <_>`',
        labels=("status",),
        own=ACCESS,
    ),
    Asked(
        name="regexp",
        stages=r"| regexp `(?P<server>\S+/\S+) [0-9/]+ (?P<status>[0-9]{3}) (?P<size>[0-9]+)`",
        labels=("status",),
        own=PROXY,
    ),
    Asked(
        name="regexp, classes",
        stages=r"| regexp `\[(?P<kind>[a-z]+)\] [0-9]+#[0-9]+: \*(?P<id>[0-9]+)`",
        labels=("kind",),
        own=SERVER,
    ),
)


@kernel("int64(cu8, ci64, ci32)")
def count_two(data: U8, start: I64, length: I32) -> int:
    """How many bytes are a quote or a space, a line after another."""
    found = 0
    for row in range(start.shape[0]):
        for at in range(start[row], start[row] + length[row]):
            if data[at] == 34:
                found += 1
            elif data[at] == 32:
                found += 2
    return found


def frames_of(lines: list[bytes], batch_bytes: int) -> Iterator[Frame]:
    """The lines as frames of one stream."""
    spans = Spans.of(lines)
    rows = max(int(len(lines) * batch_bytes / max(spans.nbytes(), 1)), 1)
    none = np.zeros(1, np.int64)
    for first in range(0, len(lines), rows):
        part = spans.take(slice(first, first + rows))
        count = len(part)
        table = StreamTable(
            labels=[Labels.of({"app": "a"})],
            first_row=none,
            rows=np.array([count]),
            first_ts=none,
            last_ts=none,
            line_bytes=none,
        )
        yield Frame(
            table=table,
            stream=np.zeros(count, np.int32),
            ts=np.arange(count),
            rows=np.arange(count),
            lines=PlainLines(part),
        )


def stages_of(text: str) -> tuple[ast.Stage, ...]:
    """Those of a query."""
    query = parse(f'{{app="a"}} {text}')
    assert isinstance(query, ast.LogQuery)
    return query.stages


def least(work: Callable[[], object], runs: int) -> float:
    """CPU seconds of the quickest of some runs."""
    times = []
    for _ in range(runs):
        began = time.thread_time()
        work()
        times.append(time.thread_time() - began)
    return min(times)


def seconds_of(asked: Asked, frames: list[Frame], runs: int) -> float:
    """CPU seconds of the stages over all frames."""
    labels = None if asked.labels is None else frozenset(asked.labels)
    demand = Demand(labels=labels, errors=True, lines=False)
    pipeline = build_pipeline(stages_of(asked.stages), demand)
    return least(lambda: [pipeline.apply(frame) for frame in frames], runs)


def measure(formats: Formats, batch_bytes: int, runs: int, only: str) -> dict[str, float]:
    """MB for a second of CPU by question and kind of lines."""
    frames = {name: list(frames_of(lines, batch_bytes)) for name, lines in formats.items()}
    sizes = {name: sum(map(len, lines)) / 1e6 for name, lines in formats.items()}
    found: dict[str, float] = {}

    def put(name: str, of: list[str], work: Callable[[list[Frame]], float]) -> None:
        if of:
            spent = sum(work(frames[one]) for one in of)
            found[name] = sum(sizes[one] for one in of) / spent

    def floor(frames: list[Frame]) -> float:
        spans = [frame.lines.spans() for frame in frames]
        return least(lambda: [count_two(s.data, s.start, s.length) for s in spans], runs)

    put("floor", list(formats), floor)
    for asked in ASKED:
        if only not in asked.name:
            continue
        work = lambda frames, asked=asked: seconds_of(asked, frames, runs)  # noqa: E731
        if not asked.own:
            put(f"{asked.name} | {ALL}", list(formats), work)
            continue
        put(f"{asked.name} | {OWN}", [n for n in formats if n in asked.own], work)
        put(f"{asked.name} | {OTHERS}", [n for n in formats if n not in asked.own], work)
    return found


def main() -> None:
    """Print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="+", type=Path)
    parser.add_argument("--batch-mb", type=float, default=8, help="line bytes of a frame")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--only", default="", help="questions whose name holds this")
    parser.add_argument("--json", type=Path, help="keep the figures")
    parser.add_argument("--against", type=Path, help="figures of another run")
    given = parser.parse_args()
    leave_libraries_out()
    warm_up()
    found = measure(formats_of(given.folder), int(given.batch_mb * 1e6), given.runs, given.only)
    if given.json:
        given.json.write_text(json.dumps(found))
    before = json.loads(given.against.read_text()) if given.against else {}
    print("| question | of | MB for a CPU second | before | ratio |\n|---|---|---|---|---|")
    for name, rate in found.items():
        then = f"{before[name]:.0f} | {rate / before[name]:.2f}" if name in before else "|"
        print(f"| {name if ' | ' in name else name + ' | ' + ALL} | {rate:.0f} | {then} |")


if __name__ == "__main__":
    main()
