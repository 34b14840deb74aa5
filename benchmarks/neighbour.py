"""Does a tenant notice that another one asks heavy queries? A small query, alone and beside 24.

`python -m benchmarks.neighbour` loads 200 MB once and starts a server over a copy of it for each
variant: with threads alone and as it is by default, with scan processes (`--variant NAME
SETTING=VALUE,…` for others; `TREE=FOLDER` among them runs the code of another checkout). They take
turns, so that what else the machine does falls on all of them: the ratios of one run can be
compared, its times cannot be with those of another run. Told are the ratios, memory (`rss` counts
what processes share in each of them, `pss` once), what became of the heavy queries, and how much of
the processor's time the server itself took while they ran.
"""

import argparse
import contextlib
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.bounds import (
    BESIDE,
    HEAVY,
    OTHER,
    QUICK_MEGABYTES,
    RESIDENT_MB,
    SETTINGS,
    SHORT_TIMEOUT_S,
    SMALL,
    SMALL_TIMES,
    TENANT,
    Memory,
    Told,
    as_if_far,
    ask,
    family,
    keep_busy,
    p99,
    push_wide,
)
from benchmarks.data import prepare
from benchmarks.push import push
from benchmarks.run import END_NS
from benchmarks.server import Running, start, stop

TURNS = 3
VARIANTS = {
    "threads": {"QUERIER__SCAN_PROCESSES": "0"},
    "default": {},
}
TREE, LOG = "TREE", "server.log"
BEGIN_S = 3.0
"""Behind the begin of heavy queries: what is started for them is there."""


@dataclass(slots=True, kw_only=True)
class Figures:
    """Of one variant, over all turns."""

    alone_s: list[float] = field(default_factory=list)
    beside_s: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)  # of the 99th percentiles, one a turn
    told: list[Told] = field(default_factory=list)
    server_s: float = 0.0  # of the processor, while the small query is asked beside the others
    processes_s: float = 0.0
    rss_mb: float = 0.0
    pss_mb: float = 0.0
    cold_s: float = 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=QUICK_MEGABYTES)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--variant", nargs=2, action="append", metavar=("NAME", "SETTINGS"))
    parser.add_argument("--bodies", type=Path, default=Path(tempfile.gettempdir()) / "narfi-bench")
    given = parser.parse_args()
    variants = {name: _settings(text) for name, text in given.variant or ()} or VARIANTS
    with _servers(given.bodies, given.megabytes, variants) as servers:
        figures = {name: Figures() for name in servers}
        for turn in range(given.turns):
            for name, running in servers.items():
                one_turn(running, figures[name])
                print(f"turn {turn + 1}, {name}: {figures[name].ratios[-1]:.2f}", flush=True)
        failed = {name: _unexpected(running) for name, running in servers.items()}
    for name, found in figures.items():
        _print(name, found)
        print("".join(f"    {line}\n" for line in failed[name]), end="")


def _unexpected(running: Running) -> list[str]:
    """Lines of a server's log about errors of its own."""
    lines = (running.data_dir / LOG).read_text(errors="replace").splitlines()
    return [line for line in lines if "level=error" in line]


def _settings(text: str) -> dict[str, str]:
    return dict(one.split("=", 1) for one in text.split(",") if one)


@contextlib.contextmanager
def _servers(
    bodies: Path, megabytes: int, variants: dict[str, dict[str, str]]
) -> Iterator[dict[str, Running]]:
    """One for each variant, over the same data; all of it is in blocks."""
    settings = {**SETTINGS, "LIMITS__QUERY_TIMEOUT": f"{SHORT_TIMEOUT_S}s"}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        data = Path(folder) / "data"
        loading = start(data, settings={**SETTINGS, "INGESTER__MAX_UNFLUSHED_BYTES": "2GB"})
        try:
            push(loading.url, prepare(bodies, megabytes * 10**6, END_NS), tenant=TENANT)
            push_wide(loading)
            push(loading.url, prepare(bodies, megabytes // 20 * 10**6, END_NS), tenant=OTHER)
            for query, params in HEAVY.values():  # a first start compiles kernels for them
                ask(loading.url, TENANT, query, params)
        finally:
            stop(loading)
        found = {}
        for number, (name, changes) in enumerate(variants.items()):
            own = Path(folder) / str(number)
            shutil.copytree(data, own)
            with contextlib.chdir(changes.get(TREE, ".")):
                changed = {key: value for key, value in changes.items() if key != TREE}
                found[name] = start(own, log=own / LOG, settings={**settings, **changed})
            stack.callback(stop, found[name])
        yield found


def one_turn(running: Running, found: Figures) -> None:
    """A small query alone, then beside heavy ones."""
    query, params = SMALL
    first = ask(running.url, OTHER, query, params).seconds
    found.cold_s = found.cold_s or first
    alone = [ask(running.url, OTHER, query, params).seconds for _ in range(SMALL_TIMES)]
    ended = multiprocessing.Event()
    pid = running.process.pid
    with (
        Memory(pid) as memory,
        ProcessPoolExecutor(1, initializer=as_if_far, initargs=(ended,)) as others,
    ):
        busy = others.submit(keep_busy, running.url)
        time.sleep(BEGIN_S)
        before = _spent_s(pid)
        beside = []
        for number in range(SMALL_TIMES):
            beside.append(ask(running.url, OTHER, query, params).seconds)
            if number % (SMALL_TIMES // 8) == 0:
                found.pss_mb = max(found.pss_mb, sum(map(_pss_mb, family(pid))))
        after = _spent_s(pid)
        ended.set()
        found.told += busy.result()
    found.rss_mb = max(found.rss_mb, memory.peak_mb)
    found.alone_s += alone
    found.beside_s += beside
    found.ratios.append(p99(beside) / p99(alone))
    found.server_s += after[0] - before[0]
    found.processes_s += after[1] - before[1]


def _spent_s(pid: int) -> tuple[float, float]:
    """CPU seconds of a server, and of all processes below it that are there now."""
    spent_s = []
    for one in family(pid):
        fields = ["0"] * 13
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        spent_s.append((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
    return spent_s[0], sum(spent_s[1:])


def _pss_mb(pid: int) -> float:
    """Of one process; what several share is divided among them."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _print(name: str, found: Figures) -> None:
    alone, beside = found.alone_s, found.beside_s
    print(f"\n{name}: small query beside {BESIDE} heavy ones to that alone")
    medians = statistics.median(beside) / statistics.median(alone)
    ratios = " ".join(f"{ratio:.2f}" for ratio in found.ratios)
    print(f"  median {medians:.2f}, p99 {p99(beside) / p99(alone):.2f} (bar 2); by turn {ratios}")
    print(
        f"  alone: first {found.cold_s * 1e3:.1f}, median {statistics.median(alone) * 1e3:.1f},"
        f" p99 {p99(alone) * 1e3:.1f} ms"
    )
    print(f"  memory: rss {found.rss_mb:.0f}, pss {found.pss_mb:.0f} MB (bar {RESIDENT_MB})")
    refused = [one.seconds for one in found.told if one.status != 200]
    late = max(refused, default=0.0) / SHORT_TIMEOUT_S
    print(f"  heavy: {dict(Counter(one.status for one in found.told))}, slowest {late:.2f} of 1.2")
    for text, count in Counter(one.text.strip()[:110] for one in found.told if one.text).items():
        print(f"    {count} × {text}")
    share = found.server_s / max(found.server_s + found.processes_s, 1e-9)
    print(f"  CPU: {found.server_s:.1f} s in the server, {share:.0%} of all")


if __name__ == "__main__":
    main()
