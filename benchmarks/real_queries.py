"""What do questions cost over logs that nobody made for it? CPU time of each kind of question.

`python -m benchmarks.real_queries FOLDER …`: every `*.log` and `*.log.gz` is an app, and all are
pushed `--copies` times into blocks (`benchmarks.real`). Questions that name an app are left out
where it is not among them; `--synthetic MB` takes the logs of `benchmarks.data` instead. Each is
asked in process, with what the server remembers; `--cold`: of blocks that nobody opened before.
Times are the least CPU milliseconds of all threads. `--json FILE` keeps them, `--against FILE`
prints ratios.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from benchmarks.data import SPAN_NS, bodies
from benchmarks.real import START_NS, TENANT, Formats, Load, formats_of, pushed
from benchmarks.scale import NoHeads
from narfi.core.clock import NS_PER_S
from narfi.core.kernels.warming import warm_up
from narfi.core.limits import Limits
from narfi.core.memory import leave_libraries_out
from querier.budget import Budget
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.query import QueryOptions
from querier.result import MatrixResult, StreamsResult
from querier.service import QueryService
from storage.block.identity import Layout
from storage.block.layout import FORMAT_VERSION
from storage.store import BlockStore

QUERIES = Path(__file__).with_suffix(".yaml")
LIMIT = 100
STEPS = 60
"""Of a range query over everything."""
CACHE_BYTES = 256 << 20
COPY_NS = 300 * NS_PER_S
"""From a copy of the logs to the next."""
NEEDLE = b"needle-7f3a9c21b0"
ONCE = b'level=info msg="found what was sought" id=' + NEEDLE
"""Stands once in everything, in the middle of an app's lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A kind of question; `app` where it is about one, `fields` are found in so many lines."""

    name: str
    query: str
    app: str = ""
    fields: int = 0

    def text(self, step_s: int) -> str:
        """The query over a range that is cut in steps."""
        one = self.query.replace("APP", f'{{app="{self.app}"}}').replace("ALL", '{app=~".+"}')
        return one.replace("STEP", f"{step_s}s")


def questions() -> list[Question]:
    """Those of real_queries.yaml."""
    return [Question(**found) for found in yaml.safe_load(QUERIES.read_text())]


def with_needle(formats: dict[str, list[bytes]]) -> dict[str, list[bytes]]:
    """The formats with one line more."""
    name, lines = max(formats.items(), key=lambda item: len(item[1]))
    half = len(lines) // 2
    return {**formats, name: [*lines[:half], ONCE, *lines[half:]]}


class Asked:
    """Questions over a filled store."""

    def __init__(self, load: Load, end_ns: int, *, cold: bool = False) -> None:
        self._executor = LocalExecutor(2)
        self._end, self._load, self._cold = end_ns, load, cold
        self._service = self._over(load.store)

    def _over(self, store: BlockStore) -> QueryService:
        return QueryService(Engine(NoHeads(), store, self._executor), lambda _: Limits())

    def forget(self) -> None:
        """Where it is cold, all that is known of blocks."""
        if self._cold:
            self._service = self._over(self._load.reopened(CACHE_BYTES))

    def ask(self, question: Question) -> int:
        """How many lines, points or fields the answer has."""
        span = self._end - START_NS
        step_ns = max(span // STEPS // NS_PER_S, 1) * NS_PER_S
        text = question.text(step_ns // NS_PER_S)
        asked = QueryOptions(
            tenants=(TENANT,),
            start_ns=START_NS,
            end_ns=self._end,
            step_ns=step_ns,
            limits=Limits(),
            limit=question.fields or LIMIT,
            budget=Budget(),
        )
        if question.fields:
            return len(self._service.detected_fields(text, asked).value)
        found = self._service.query(text, asked).result
        if isinstance(found, StreamsResult):
            return sum(len(stream.entries) for stream in found.streams)
        assert isinstance(found, MatrixResult)
        return sum(len(series.values) for series in found.series)

    def close(self) -> None:
        """Stop the threads."""
        self._executor.close()


@dataclass(frozen=True, slots=True)
class Spent:
    """What a question cost, and how much it found."""

    cpu_ms: float
    items: int


def measure(asked: Asked, questions: Iterable[Question], runs: int) -> dict[str, Spent]:
    """The least CPU time of several runs, after one that reads what is remembered."""
    found = {}
    for question in questions:
        items, times = asked.ask(question), []
        for _ in range(runs):
            asked.forget()
            began = time.process_time()
            asked.ask(question)
            times.append((time.process_time() - began) * 1000)
        found[question.name] = Spent(min(times), items)
    return found


def sent(formats: Formats, copies: int) -> Iterator[bytes]:
    """The bodies of all copies, each later than the one before."""
    for number in range(copies):
        yield from pushed(formats, START_NS + number * COPY_NS)


def main() -> None:
    """Print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="*", type=Path)
    parser.add_argument("--block-mb", type=int, default=36, help="line bytes of a block")
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--synthetic", type=int, metavar="MB", help="of benchmarks.data instead")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="blocks were never opened before")
    parser.add_argument("--only", default="", help="questions whose name holds this")
    parser.add_argument("--json", type=Path, help="keep the figures")
    parser.add_argument("--against", type=Path, help="figures of another run")
    parser.add_argument("--format", type=int, default=FORMAT_VERSION, help="of the blocks")
    given = parser.parse_args()
    leave_libraries_out()
    warm_up()
    made: Iterable[bytes]
    if given.synthetic:
        formats: Formats = {}
        end_ns = START_NS + SPAN_NS
        made = (body for body, _, _ in bodies(given.synthetic * 10**6, end_ns))
    else:
        formats = with_needle(formats_of(given.folder))
        end_ns = START_NS + given.copies * COPY_NS
        made = sent(formats, given.copies)
    wanted = [
        question
        for question in questions()
        if given.only in question.name and (not question.app or question.app in formats)
    ]
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(given.format)
        load = Load(folder, given.block_mb * 10**6, CACHE_BYTES, layout=layout)
        size, lines = load.take(made)
        print(f"{size / 1e6:.1f} MB, {lines} lines, {load.stored / 1e6:.1f} MB stored", flush=True)
        asked = Asked(load, end_ns, cold=given.cold)
        found = measure(asked, wanted, given.runs)
        asked.close()
    if given.json:
        given.json.write_text(json.dumps({name: asdict(spent) for name, spent in found.items()}))
    print(table(found, json.loads(given.against.read_text()) if given.against else {}))


def table(found: dict[str, Spent], before: dict[str, dict[str, float]]) -> str:
    """A line for each question, the geometric mean last; answers that differ are told."""
    out = ["| question | found | CPU ms | before | ratio |", "|---|---|---|---|---|"]
    ratios = []
    for name, spent in found.items():
        then = before.get(name)
        row = f"| {name} | {spent.items} | {spent.cpu_ms:.1f} |"
        if then is None:
            out.append(f"{row} | |")
            continue
        ratios.append(then["cpu_ms"] / spent.cpu_ms)
        other = "" if then["items"] == spent.items else f" ({then['items']} found!)"
        out.append(f"{row} {then['cpu_ms']:.1f}{other} | {ratios[-1]:.2f} |")
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        out.append(f"| geometric mean | | | | {mean:.2f} |")
    return "\n".join(out)


if __name__ == "__main__":
    main()
