"""How long does somebody wait for an answer over real logs? Wall times over HTTP, by kind.

`python -m benchmarks.real_http FOLDER … [--megabytes 260]`: every `*.log` and `*.log.gz` is an app,
and all are pushed again and again, each copy later than the one before, until it is so many MB;
then the blocks are flushed, the server starts anew, and each question of `real_queries.yaml` is
asked once, and again and again. `--words`: needles instead, a new one each time, over everything: a
server that was asked before remembers where columns lie, but nothing of the needle. The bar is 100
ms for a needle over 260 MB, times the factor of the machine (`benchmarks.calibrate`).
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import calibrate
from benchmarks.cold import SETTLE_S, cpu_ms
from benchmarks.load import write_bodies
from benchmarks.push import push
from benchmarks.query import Client, count
from benchmarks.real import START_NS, Formats, formats_of
from benchmarks.real_queries import COPY_NS, LIMIT, STEPS, questions, sent, with_needle
from benchmarks.run import CONFIG
from benchmarks.server import Running, serving
from narfi.core.clock import NS_PER_S

MEGABYTES = 260
BAR_MS = 100.0
RUNS = 15
SEED = 5
NEEDLES = {
    "absent, letters": "abcdefghijklmnopqrstuvwxyz",
    "absent, digits": "0123456789",
    "absent, hex": "0123456789abcdef",
}
LENGTH = {"absent, digits": 9}
USUAL_LENGTH = 12
QUERY_RANGE = "/loki/api/v1/query_range"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """Wall ms of a kind of question, and CPU ms of the server; the first time apart."""

    name: str
    first_ms: float
    min_ms: float
    median_ms: float
    max_ms: float
    cpu_ms: float
    items: int


def asked(server: Running, name: str, texts: Sequence[str], end_ns: int) -> Waited:
    """The queries one behind the other."""
    client, walls, cpus, items = Client(server.url, ""), list[float](), list[float](), 0
    client.get("/loki/api/v1/status/buildinfo", {})  # the connection is there
    step_s = step_of(end_ns)
    for text in texts:
        params = {
            "query": text,
            "start": str(START_NS),
            "end": str(end_ns),
            "step": str(step_s),
            "limit": str(LIMIT),
        }
        cpu, began = cpu_ms(server.process.pid), time.perf_counter()
        answer = client.get(QUERY_RANGE, params)
        walls.append((time.perf_counter() - began) * 1000)
        cpus.append(cpu_ms(server.process.pid) - cpu)
        items = max(items, count(answer))
    later = walls[1:]
    return Waited(
        name=name,
        first_ms=walls[0],
        min_ms=min(later),
        median_ms=statistics.median(later),
        max_ms=max(later),
        cpu_ms=statistics.median(cpus[1:]),
        items=items,
    )


def step_of(end_ns: int) -> int:
    """Seconds of a step of a range query over everything."""
    return max((end_ns - START_NS) // STEPS // NS_PER_S, 1)


def kinds(formats: Formats, end_ns: int, only: str) -> Iterator[tuple[str, list[str]]]:
    """Each question of the list that can be asked, as often as it is."""
    for question in questions():
        is_there = not question.app or question.app in formats
        if is_there and not question.fields and only in question.name:
            yield question.name, [question.text(step_of(end_ns))] * RUNS


def words() -> Iterator[tuple[str, list[str]]]:
    """Needles that nobody asked for before, by what they are made of."""
    r = random.Random(SEED)
    for name, letters in NEEDLES.items():
        made = ["".join(r.choices(letters, k=LENGTH.get(name, USUAL_LENGTH))) for _ in range(RUNS)]
        yield name, [f'{{app=~".+"}} |= "{one}"' for one in made]


def table(found: Sequence[Waited], factor: float) -> str:
    """Markdown."""
    out = [
        f"| question | first, ms | least | median | most | CPU ms | items | / {factor:.2f} |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in found:
        out.append(
            f"| {one.name} | {one.first_ms:.1f} | {one.min_ms:.1f} | {one.median_ms:.1f} "
            f"| {one.max_ms:.1f} | {one.cpu_ms:.1f} | {one.items} | {one.median_ms / factor:.1f} |"
        )
    return "\n".join(out)


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="+", type=Path)
    parser.add_argument("--megabytes", type=int, default=MEGABYTES)
    parser.add_argument("--words", action="store_true", help="new needles each time")
    parser.add_argument("--only", default="", help="questions whose name holds this")
    parser.add_argument("--keep", type=Path, help="a data folder that is filled once")
    parser.add_argument("--factor", type=float, help="of this machine; measured if not given")
    given = parser.parse_args()
    formats = with_needle(formats_of(given.folder))
    one_mb = sum(sum(map(len, lines)) for lines in formats.values()) / 1e6
    copies = max(round(given.megabytes / one_mb), 1)
    end_ns = START_NS + copies * COPY_NS
    factor = given.factor or calibrate.factor(calibrate.measure())
    with tempfile.TemporaryDirectory() as folder:
        data_dir = given.keep or Path(folder) / "data"
        if not data_dir.exists():
            bodies = write_bodies(sent(formats, copies), Path(folder) / "bodies")
            with serving(data_dir, CONFIG) as server:
                push(server.url, bodies)
        with serving(data_dir, CONFIG) as server:
            time.sleep(SETTLE_S)
            asks = words() if given.words else kinds(formats, end_ns, given.only)
            found = [asked(server, name, texts, end_ns) for name, texts in asks]
    print(f"{copies * one_mb:.0f} MB; the bar of a needle is {BAR_MS * factor:.0f} ms here")
    print(table(found, factor))


if __name__ == "__main__":
    main()
