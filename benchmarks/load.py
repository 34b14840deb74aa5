"""What does a server need while it is loaded? Its largest resident memory by kind, and slow pushes.

`python -m benchmarks.load` starts a server, pushes the bodies of `benchmarks.data` over four
connections (or logs of `--real` folders), flushes, and prints: resident memory at its peak, by what
was mapped; the times of a push, and how the slowest ones were spent, step by step; what flushes
took; MB per CPU-second. The bars: at most 400 MB, and a p99 of at most 300 ms times the factor of
the machine (`benchmarks.calibrate`).
"""

import argparse
import json
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.data import prepare
from benchmarks.push import PushReport, Sent, push
from benchmarks.real import formats_of, pushed
from benchmarks.run import CONFIG, END_NS, PEER_MEGABYTES
from benchmarks.server import start, stop
from benchmarks.staged import VARIABLE, key_of

SAMPLE_S = 0.01
HIGHER_BYTES = 3 << 20
"""A new peak is looked at when it is so much above the last one that was."""
PART_BYTES = 36 << 20
"""A larger mapping without a name is the memory of head parts, for the most."""
PAGE = os.sysconf("SC_PAGE_SIZE")
STEPS = ("arrival", "room", "thread", "decode", "judge", "journal", "visible", "rest", "answer")
COMMIT = ("others", "segment", "write", "sync")
"""Of the step `journal`: commits of other pushes; in its own a new segment, writing, syncing."""
SLOWEST = 0.02
"""The share of pushes that are shown as slow ones."""
LIBRARIES = ("llvmlite", "numba", "pyarrow", "numpy", "grpc", "sqlalchemy", "pydantic", "uvloop")


def kind_of(mapping: str, access: str) -> str:
    """What a mapping of /proc/PID/smaps is for."""
    if mapping.startswith("/"):
        found = [name for name in LIBRARIES if name in mapping]
        return f"file {found[0] if found else 'python and others'}"
    if mapping == "[heap]":
        return "heap"
    if mapping.startswith("[stack"):
        return "stacks"
    return "anonymous code" if "x" in access else "anonymous"


def resident(pid: int) -> dict[str, float]:
    """Resident MB of a process by kind of mapping."""
    found: Counter[str] = Counter()
    kind, size = "", 0
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            first, _, end = words[0].partition("-")
            size = int(end, 16) - int(first, 16)
            kind = kind_of(words[5] if len(words) > 5 else "", words[1])
        elif words[0] == "Rss:":
            name = kind
            if kind == "anonymous":
                name = f"anonymous, {'parts of heads' if size > PART_BYTES else 'others'}"
            found[name] += int(words[1])
    return {name: round(kb / 1024, 1) for name, kb in found.most_common() if kb >= 1024}


class Watcher(threading.Thread):
    """Looks at the resident memory of a process until it is told to stop."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._over = pid, threading.Event()
        self.peak: dict[str, float] = {}
        self._highest = 0

    def run(self) -> None:
        """Keep the kinds of memory at the highest moment."""
        while not self._over.wait(SAMPLE_S):
            now = int(Path(f"/proc/{self._pid}/statm").read_text().split()[1]) * PAGE
            if now > self._highest + HIGHER_BYTES:
                self._highest = now
                self.peak = resident(self._pid)

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self.join()


@dataclass(slots=True, kw_only=True)
class Report:
    """What a load cost."""

    push: PushReport
    ready_mb: dict[str, float]
    peak_mb: dict[str, float]
    slow_ms: list[dict[str, float]] = field(default_factory=list)
    p99_ms: dict[str, float] = field(default_factory=dict)
    flush_cpu_ms_per_mb: list[float] = field(default_factory=list)
    flush_s: list[float] = field(default_factory=list)
    flush_disk_s: list[float] = field(default_factory=list)
    trims_ms: list[float] = field(default_factory=list)
    collections_ms: list[float] = field(default_factory=list)


def steps_of(one: Sent, inside: Mapping[str, float]) -> dict[str, float]:
    """The milliseconds of a push by step; `arrival` is up to its whole body, `answer` the rest."""
    spent = {
        "arrival": inside["came"] - one.began,
        "room": inside["had_room"] - inside["came"],
        "thread": inside["began"] - inside["had_room"],
        **{name: inside.get(name, 0.0) for name in ("decode", "judge", "journal", "visible")},
        "answer": one.ended - inside["ended"],
    }
    spent["rest"] = one.ended - one.began - sum(spent.values())
    spent["others"] = spent["journal"] - inside.get("commit", 0.0)
    spent |= {name: inside.get(name, 0.0) for name in COMMIT[1:]}
    return {name: round(1e3 * spent[name], 1) for name in (*STEPS, *COMMIT)}


def staged(sent: Sequence[Sent], stages: Path, report: Report) -> None:
    """Put what the server wrote down into the report."""
    written = [json.loads(line) for line in stages.read_text().splitlines()]
    inside = {found["key"]: found for found in written if "key" in found}
    steps = []
    for one in sent:
        found = steps_of(one, inside[key_of(one.path.read_bytes())])
        steps.append({"all": round(1e3 * (one.ended - one.began), 1), **found})
    steps.sort(key=lambda found: -found["all"])
    report.slow_ms = steps[: max(1, int(len(steps) * SLOWEST))]
    for name in ("all", *STEPS, *COMMIT):
        ordered = sorted(found[name] for found in steps)
        report.p99_ms[name] = ordered[int(len(ordered) * 0.99)]
    for found in written:
        if found.get("trimmed"):
            report.trims_ms.append(round(1e3 * (found["ended"] - found["began"]), 1))
        if found.get("collected"):
            report.collections_ms.append(round(1e3 * (found["ended"] - found["began"]), 1))
        if found.get("flushed"):
            report.flush_cpu_ms_per_mb.append(round(found["cpu"] * 1e9 / found["flushed"], 1))
            report.flush_s.append(round(found["ended"] - found["began"], 2))
            report.flush_disk_s.append(round(found.get("write", 0.0) + found.get("sync", 0.0), 2))


def load(bodies: Path, folder: Path, settings: Mapping[str, str], *, clocks: bool) -> Report:
    """Load a fresh server; with `clocks`, steps are measured too."""
    stages = folder / "stages"
    stages.touch()
    os.environ[VARIABLE] = str(stages)
    module = "benchmarks.staged" if clocks else "narfi.cli"
    server = start(folder / "data", CONFIG, folder / "log", settings, module=module)
    try:
        pid = server.process.pid
        ready = resident(pid)
        watcher = Watcher(pid)
        watcher.start()
        sent: list[Sent] = []
        pushes = push(server.url, bodies, pid=pid, data_dir=server.data_dir, sent=sent)
        watcher.stop()
    finally:
        stop(server)
    report = Report(push=pushes, ready_mb=ready, peak_mb=watcher.peak)
    if clocks:
        staged(sent, stages, report)
    return report


def real_bodies(folders: Sequence[Path], target: Path) -> Path:
    """Bodies of real logs, as `benchmarks.real` makes them."""
    return write_bodies(pushed(formats_of(folders)), target)


def write_bodies(bodies: Iterable[bytes], target: Path) -> Path:
    """Bodies of about a MB of lines, as `push` takes them."""
    target.mkdir()
    content = []
    for number, body in enumerate(bodies):
        (target / f"{number:05d}.body").write_bytes(body)
        content.append({"bytes": 10**6, "lines": 0})
    (target / "index.json").write_text(json.dumps({"bodies": content}))
    return target


def show(report: Report) -> None:
    """Print Markdown."""
    print("| memory, MB | ready | peak |\n|---|---|---|")
    kinds = {**report.ready_mb, **report.peak_mb}
    for name in sorted(kinds, key=lambda name: -report.peak_mb.get(name, 0.0)):
        print(f"| {name} | {report.ready_mb.get(name, 0)} | {report.peak_mb.get(name, 0)} |")
    ready, peak = sum(report.ready_mb.values()), sum(report.peak_mb.values())
    print(f"| all of these | {ready:.0f} | {peak:.0f} |\n")
    if report.slow_ms:
        print("| ms of a push | " + " | ".join(report.p99_ms) + " |")
        print("|---" * (len(report.p99_ms) + 1) + "|")
        cells = " | ".join(str(ms) for ms in report.p99_ms.values())
        print(f"| p99 of each | {cells} |")
        for found in report.slow_ms:
            print("| slow | " + " | ".join(str(ms) for ms in found.values()) + " |")
        print(f"\nflushes, CPU ms/MB: {report.flush_cpu_ms_per_mb}; s: {report.flush_s}")
        print(f"of that, writing and syncing objects, s: {report.flush_disk_s}")
        print(f"memory given back, ms each: {report.trims_ms}")
        print(f"full collections, the start's among them, ms each: {report.collections_ms}\n")
    print(json.dumps(asdict(report.push), indent=2))


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=PEER_MEGABYTES)
    parser.add_argument("--real", type=Path, nargs="*", help="folders of *.log and *.log.gz")
    parser.add_argument("--no-clocks", action="store_true", help="memory and CPU time alone")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="NARFI_…")
    parser.add_argument("--bodies", type=Path, default=Path(tempfile.gettempdir()) / "narfi-bench")
    given = parser.parse_args()
    settings = dict(text.split("=", 1) for text in given.set)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.real:
            bodies = real_bodies(given.real, folder / "bodies")
        else:
            bodies = prepare(given.bodies, given.megabytes * 10**6, END_NS)
        show(load(bodies, folder, settings, clocks=not given.no_clocks))


if __name__ == "__main__":
    main()
