"""Does a tenant notice that another one asks heavy queries? A small query, alone and beside 24.

`python -m benchmarks.neighbour` loads 200 MB once, waits until all of it is in blocks and merged,
and starts a server over a copy of it for each variant: with threads alone and as it is by default,
with scan processes (`--variant NAME SETTING=VALUE,…` for others; `TREE=FOLDER` among them runs the
code of another checkout). They take turns, so that what else the machine does falls on all of them:
the ratios of one run can be compared, its times cannot be with those of another run.

A turn is slices of time, alone and beside in turn, some thousand queries of each. The 99th
percentiles are those of all slices together, and their ratio has an interval: so it lies in 95 of a
hundred runs that drew other stretches of these queries. Told are memory too (`rss` counts what
processes share in each of them, `pss` once; looked at between two small queries), what became of
the heavy queries, and how much of the processor's time the server itself took while they ran.

Where others use the machine and this run has a control group that goes before them, `--shared`
keeps the cores of that group busy with idle threads while the small query is alone: else it would
wait for the others each time that it wakes, and not beside heavy queries.
"""

import argparse
import contextlib
import multiprocessing
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np

from benchmarks.bounds import (
    BESIDE,
    HEAVY,
    OTHER,
    QUICK_MEGABYTES,
    RESIDENT_MB,
    SETTINGS,
    SHORT_TIMEOUT_S,
    SMALL,
    TENANT,
    Told,
    as_if_far,
    ask,
    family,
    keep_busy,
    p99,
    push_wide,
    resident_mb,
)
from benchmarks.data import prepare
from benchmarks.push import push
from benchmarks.run import END_NS
from benchmarks.server import Running, start, stop
from narfi.server.executors import cores

TURNS = 2
SLICES = 3
"""Of a turn, alone and beside each."""
ALONE_S, BESIDE_S = 5.0, 8.0
"""Of a slice: about as many queries in both."""
VARIANTS = {
    "threads": {"QUERIER__SCAN_PROCESSES": "0"},
    "default": {},
}
TREE, LOG = "TREE", "server.log"
BEGIN_S = 3.0
"""Behind the begin of heavy queries: what is started for them is there."""
FIRST_S = 8.0
"""Of heavy queries before the first slice, told by themselves: scan processes start, two seconds of
the processor, and until then heavy queries are on threads."""
END_S = 0.5
"""Behind the end of heavy queries: what was cancelled has ended."""
LOOK_S = 1.0
"""Between two looks at the memory, which take some hundredths of a second."""
MERGED_ROUNDS = 3
"""Of upkeep, each second, that merge nothing: then nothing is left to merge."""
STRETCH, DRAWS = 50, 2000
"""Queries behind one another that are drawn together, since what delays one delays the next; and
how often all are drawn for the interval."""


@dataclass(slots=True, kw_only=True)
class Figures:
    """Of one variant, over all turns."""

    alone: list[list[float]] = field(default_factory=list)  # seconds, by slice
    beside: list[list[float]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    failed: int = 0  # small queries that were not answered
    server_s: float = 0.0  # of the processor, while the small query is asked beside the others
    processes_s: float = 0.0
    rss_mb: float = 0.0
    alone_mb: list[list[float]] = field(default_factory=list)  # PSS of each process at each look
    beside_mb: list[list[float]] = field(default_factory=list)
    cold_s: float = 0.0
    first_s: list[float] = field(default_factory=list)  # while what heavy queries want is started

    def ratio(self, slices: slice = slice(None)) -> float:
        """Of the 99th percentiles of some slices."""
        return p99(_together(self.beside[slices])) / p99(_together(self.alone[slices]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=QUICK_MEGABYTES)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--variant", nargs=2, action="append", metavar=("NAME", "SETTINGS"))
    parser.add_argument("--bodies", type=Path, default=Path(tempfile.gettempdir()) / "narfi-bench")
    parser.add_argument(
        "--loaded", type=Path, help="the data directory, loaded where it is not there yet, and kept"
    )
    parser.add_argument("--shared", action="store_true", help="others use the machine, see above")
    given = parser.parse_args()
    variants = {name: _settings(text) for name, text in given.variant or ()} or VARIANTS
    with (
        _Awake(cores() if given.shared else 0) as awake,
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, initializer=as_if_far, initargs=(ENDED,)) as others,
    ):
        others.submit(int).result()  # it is there before there are threads
        loaded = given.loaded or Path(folder) / "loaded"
        if not loaded.exists():
            _load(loaded, given.bodies, given.megabytes)
        with _servers(loaded, Path(folder), variants) as servers:
            figures = {name: Figures() for name in servers}
            for name, running in servers.items():
                _begin(running, figures[name], others)
            for turn in range(given.turns):
                for name, running in servers.items():
                    for _ in range(SLICES):
                        one_slice(running, figures[name], others, awake)
                    ratio = figures[name].ratio(slice(-SLICES, None))
                    print(f"turn {turn + 1}, {name}: {ratio:.2f}", flush=True)
            failed = {name: _unexpected(running) for name, running in servers.items()}
            merged = {name: _merged(running) for name, running in servers.items()}
    for name, found in figures.items():
        _print(name, found)
        if merged[name][1]:
            print(f"  upkeep merged {merged[name][1]:.0f} blocks meanwhile")
        print("".join(f"    {line}\n" for line in failed[name]), end="")


def _unexpected(running: Running) -> list[str]:
    """Lines of a server's log about errors of its own."""
    lines = (running.data_dir / LOG).read_text(errors="replace").splitlines()
    return [line for line in lines if "level=error" in line]


def _settings(text: str) -> dict[str, str]:
    return dict(one.split("=", 1) for one in text.split(",") if one)


def _load(data: Path, bodies: Path, megabytes: int) -> None:
    """All in blocks, and merged."""
    settings = {
        **SETTINGS,
        "INGESTER__MAX_UNFLUSHED_BYTES": "2GB",
        "COMPACTOR__INTERVAL": "1s",
    }
    loading = start(data, settings=settings)
    try:
        push(loading.url, prepare(bodies, megabytes * 10**6, END_NS), tenant=TENANT)
        push_wide(loading)
        push(loading.url, prepare(bodies, megabytes // 20 * 10**6, END_NS), tenant=OTHER)
        with urllib.request.urlopen(f"{loading.url}/flush", data=b"", timeout=600):
            pass
        rounds, merged = _merged(loading)
        while (now := _merged(loading))[0] < rounds + MERGED_ROUNDS:
            if now[1] > merged:
                rounds, merged = now
            time.sleep(END_S)
        for query, params in HEAVY.values():  # a first start compiles kernels for them
            ask(loading.url, TENANT, query, params)
    finally:
        stop(loading)


def _merged(running: Running) -> tuple[float, float]:
    """Rounds of merging that have ended, and blocks that they merged away."""
    with urllib.request.urlopen(f"{running.url}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    found = dict(re.findall(r'^narfi_upkeep_(\w+)_total{task="compaction"} (\S+)', text, re.M))
    return float(found.get("runs", 0)), float(found.get("items", 0))


@contextlib.contextmanager
def _servers(
    loaded: Path, folder: Path, variants: dict[str, dict[str, str]]
) -> Iterator[dict[str, Running]]:
    """One for each variant, over the same data."""
    settings = {**SETTINGS, "LIMITS__QUERY_TIMEOUT": f"{SHORT_TIMEOUT_S}s"}
    found = {}
    with contextlib.ExitStack() as stack:
        for number, (name, changes) in enumerate(variants.items()):
            own = folder / str(number)
            shutil.copytree(loaded, own)
            with contextlib.chdir(changes.get(TREE, ".")):
                changed = {key: value for key, value in changes.items() if key != TREE}
                found[name] = start(own, log=own / LOG, settings={**settings, **changed})
            stack.callback(stop, found[name])
        yield found


class _Awake:
    """Threads that are never in the way of anybody, and leave no core idle."""

    def __init__(self, count: int) -> None:
        code = (
            "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile 1: pass"
        )
        self._processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(count)]
        self._tell(signal.SIGSTOP)

    def _tell(self, what: int) -> None:
        for process in self._processes:
            process.send_signal(what)

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """For the length of a with block."""
        self._tell(signal.SIGCONT)
        try:
            yield
        finally:
            self._tell(signal.SIGSTOP)

    def __enter__(self) -> "_Awake":
        return self

    def __exit__(self, *_: object) -> None:
        self._tell(signal.SIGKILL)
        for process in self._processes:
            process.wait()


ENDED: Event = multiprocessing.Event()
"""Heavy queries are to end."""


def _begin(running: Running, found: Figures, others: ProcessPoolExecutor) -> None:
    """The first small query, and the first heavy ones of one tenant beside another."""
    found.cold_s = ask(running.url, OTHER, *SMALL).seconds
    ENDED.clear()
    busy = others.submit(keep_busy, running.url)
    until_s = time.monotonic() + FIRST_S
    while time.monotonic() < until_s:
        found.first_s.append(ask(running.url, OTHER, *SMALL).seconds)
    ENDED.set()
    busy.result()
    time.sleep(END_S)


def one_slice(running: Running, found: Figures, others: ProcessPoolExecutor, awake: _Awake) -> None:
    """A small query alone, then beside heavy ones."""
    pid = running.process.pid
    with awake.on():
        found.alone.append(_asked(running, found, found.alone_mb, ALONE_S))
    ENDED.clear()
    busy = others.submit(keep_busy, running.url)
    time.sleep(BEGIN_S)
    before = _spent_s(pid)
    found.beside.append(_asked(running, found, found.beside_mb, BESIDE_S))
    after = _spent_s(pid)
    ENDED.set()
    found.told += busy.result()
    found.server_s += after[0] - before[0]
    found.processes_s += after[1] - before[1]
    time.sleep(END_S)


def _asked(
    running: Running, found: Figures, looks: list[list[float]], seconds: float
) -> list[float]:
    """How long the small query takes, again and again for so long."""
    times, pid = [], running.process.pid
    until_s = time.monotonic() + seconds
    look_s = time.monotonic()
    while (now_s := time.monotonic()) < until_s:
        if now_s >= look_s:
            processes = family(pid)
            found.rss_mb = max(found.rss_mb, sum(map(resident_mb, processes)))
            looks.append(list(map(_pss_mb, processes)))
            look_s = now_s + LOOK_S
        told = ask(running.url, OTHER, *SMALL)
        found.failed += told.status != 200
        times.append(told.seconds)
    return times


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


def _together(slices: Sequence[list[float]]) -> list[float]:
    return [seconds for one in slices for seconds in one]


def interval(alone: Sequence[list[float]], beside: Sequence[list[float]]) -> tuple[float, float]:
    """Of the ratio of the 99th percentiles, by drawing stretches of queries again."""
    chance = np.random.default_rng(0)

    def drawn(slices: Sequence[list[float]]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        """The 99th percentile of each draw."""
        stretches = [
            one[first : first + STRETCH] for one in slices for first in range(0, len(one), STRETCH)
        ]
        whole = np.array([one for one in stretches if len(one) == STRETCH])
        rows = chance.integers(0, len(whole), (DRAWS, len(whole)))
        return np.array([np.quantile(whole[some], 0.99) for some in rows])

    low, high = np.quantile(drawn(beside) / drawn(alone), (0.025, 0.975))
    return float(low), float(high)


def _print(name: str, found: Figures) -> None:
    alone, beside = _together(found.alone), _together(found.beside)
    print(f"\n{name}: small query beside {BESIDE} heavy ones to that alone")
    medians = statistics.median(beside) / statistics.median(alone)
    low, high = interval(found.alone, found.beside)
    print(f"  median {medians:.2f}, p99 {found.ratio():.2f} ({low:.2f} to {high:.2f}; bar 2)")
    ratios = " ".join(f"{found.ratio(slice(n, n + 1)):.2f}" for n in range(len(found.alone)))
    print(f"  by slice {ratios}")
    print(f"  first alone {found.cold_s * 1e3:.1f} ms; {found.failed} not answered")
    for what, times in (("alone", alone), ("beside", beside), ("at first", found.first_s)):
        middle, rare, rarest = np.quantile(times, (0.5, 0.99, 0.999)) * 1e3
        print(
            f"  {what}: {len(times)} queries, median {middle:.1f}, p99 {rare:.1f},"
            f" p99.9 {rarest:.1f} ms"
        )
    print(f"  memory: rss {found.rss_mb:.0f} MB")
    for what, looks in (("alone", found.alone_mb), ("beside", found.beside_mb)):
        most, sums = max(looks, key=sum), list(map(sum, looks))
        each = " + ".join(f"{size:.0f}" for size in most)
        print(
            f"  pss {what}: median {statistics.median(sums):.0f}, most {max(sums):.0f} MB"
            f" ({each}; bar {RESIDENT_MB})"
        )
    refused = [one.seconds for one in found.told if one.status != 200]
    late = max(refused, default=0.0) / SHORT_TIMEOUT_S
    print(f"  heavy: {dict(Counter(one.status for one in found.told))}, slowest {late:.2f} of 1.2")
    for text, count in Counter(one.text.strip()[:110] for one in found.told if one.text).items():
        print(f"    {count} × {text}")
    share = found.server_s / max(found.server_s + found.processes_s, 1e-9)
    print(f"  CPU: {found.server_s:.1f} s in the server, {share:.0%} of all")


if __name__ == "__main__":
    main()
