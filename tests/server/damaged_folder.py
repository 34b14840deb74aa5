"""A server's data folder, as a crash leaves it, of which one file can be damaged in any way.

Two tenants; blocks of three days; records in the journal that no block holds. What each probe must
answer is known.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ingester.service import PushRequest
from narfi.core.settings import load_settings
from narfi.core.tenant import TenantId
from narfi.server.wiring import Server, build
from querier.query import QueryOptions
from querier.result import StreamsResult
from storage.block.layout import FORMAT_VERSION, block_prefix
from storage.catalog.snapshot import CatalogReader
from storage.journal.segment import segment_paths
from storage.vault.data_dir import DataDir

DAY_NS = 86_400 * 10**9
ALPHA, BETA = TenantId("alpha"), TenantId("beta")
LINES = 40


@dataclass(frozen=True, slots=True)
class Probe:
    """A question whose answer is known."""

    name: str
    tenant: TenantId
    first_ns: int

    def lines(self) -> list[str]:
        """All lines of the range: some of two shapes, some of none."""
        kinds = ("GET /item/{0} took {0}ms", "user={0} level=info")
        like = [f"{self.name} {kinds[k % 2].format(k * 7919)}" for k in range(LINES - 5)]
        return like + ["()" * k + self.name for k in range(5)]

    def body(self) -> bytes:
        """A push of them."""
        values = [[str(self.first_ns + k), line] for k, line in enumerate(self.lines())]
        streams = [{"stream": {"app": "a", "probe": self.name}, "values": values}]
        return json.dumps({"streams": streams}).encode()


def probes(now_ns: int) -> list[Probe]:
    """Those in blocks first, then those in the journal."""
    return [
        Probe("old", ALPHA, now_ns - 6 * DAY_NS),
        Probe("other", BETA, now_ns - 6 * DAY_NS),
        Probe("later", ALPHA, now_ns - 3 * DAY_NS),
        Probe("first", ALPHA, now_ns - 10**9),
        Probe("second", BETA, now_ns - 10**9),
        Probe("third", ALPHA, now_ns - 2 * 10**9),
        Probe("fourth", BETA, now_ns - 2 * 10**9),
        Probe("last", ALPHA, now_ns - 3 * 10**9),
    ]


STORED = 3
"""Probes in blocks."""


@contextmanager
def served(
    root: Path,
    block_format: int = FORMAT_VERSION,
    report: Callable[[str], None] = lambda _: None,
) -> Iterator[Server]:
    """A server without listeners, after it replayed; it writes blocks of a format."""
    flags = {
        "data_dir": str(root),
        "tenancy": "header",
        "ingester.flush_age": "1h",
        "ingester.shape_min_lines": "8",
        "ingester.block_format": str(block_format),
    }
    server = build(load_settings(None, {}, flags))
    try:
        server.recover(report)
        yield server
    finally:
        server.stop()


def push(server: Server, probe: Probe) -> None:
    """Acknowledged."""
    server.pushes.push(
        probe.tenant,
        PushRequest(body=probe.body(), content_type="application/json", content_encoding=""),
    )


def ask(server: Server, probe: Probe) -> tuple[list[str], Sequence[str]]:
    """(lines, warnings) of a probe."""
    limits = server.limits(probe.tenant)
    start_ns, end_ns = probe.first_ns, probe.first_ns + LINES
    options = QueryOptions(
        tenants=(probe.tenant,),
        start_ns=start_ns,
        end_ns=end_ns,
        step_ns=10**9,
        limits=limits,
        limit=10 * LINES,
    )
    answer = server.queries.service.query(f'{{probe="{probe.name}"}}', options)
    assert isinstance(answer.result, StreamsResult)
    lines = [entry.line.decode() for stream in answer.result.streams for entry in stream.entries]
    return sorted(lines), answer.warnings


def make(root: Path, now_ns: int, block_format: int) -> None:
    """Fill a folder, and copy it as it would be after kill -9 to `root`."""
    source = root.with_name("source")
    with served(source, block_format) as server:
        assert server.journals.file is not None
        server.journals.file._segment_bytes = 1  # a segment a record
        for number, probe in enumerate(probes(now_ns)):
            push(server, probe)
            if number < STORED:
                server.flusher.flush_all()
            if number == STORED - 2:  # so that the last publish is in the -wal alone
                with server.catalog.database.reading() as connection:
                    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        server.journal.truncate(server.ledger.forgettable())
        shutil.copytree(source, root)


def files(root: Path, now_ns: int) -> dict[str, Path]:
    """What can be damaged, by a name for it: one file of each kind."""
    old, other, _ = blocks(root, now_ns)
    segments = segment_paths(root / "journal")[-len(probes(now_ns)) + STORED :]
    assert len(segments) == 5
    assert other.is_dir()
    named = {
        "manifest": old / "manifest.json",
        "lines": old / "lines.parquet",
        "shape": min(old.glob("shape-*.parquet"), default=old / "shape"),
        "index": old / "index",
        "rows": old / "rows.parquet",
        "family": old / "family-0.parquet",
    }
    return {
        "first segment": segments[0],
        "middle segment": segments[2],
        "last segment": segments[4],
        "id": root / "journal" / "id",
        "mark": root / "journal" / "mark",
        "lock": root / "journal" / "lock",
        "catalog.db": root / "catalog.db",
        "catalog.db-wal": root / "catalog.db-wal",
        "catalog.db-shm": root / "catalog.db-shm",
        "streams": old / "streams.parquet",
        **{name: path for name, path in named.items() if path.exists()},
    }


def like(root: Path, now_ns: int, name: str) -> Path:
    """Another file of the kind."""
    _, other, later = blocks(root, now_ns)
    found = files(root, now_ns)
    path = found[name]
    if "segment" in name:
        return found["first segment" if name != "first segment" else "last segment"]
    if path.parent.parent.parent.name == "blocks" or "blocks" in path.parts:
        if name == "rows":  # the other block's entries have the same times
            return later / path.name
        return min(later.glob("shape-*")) if name == "shape" else other / path.name
    return found["mark" if name == "id" else "id"]


def blocks(root: Path, now_ns: int) -> list[Path]:
    """The folders of the blocks of the stored probes."""
    found = []
    with closing(CatalogReader(DataDir(root).catalog)) as catalog:
        for probe in probes(now_ns)[:STORED]:
            (row,) = catalog.between(probe.tenant, probe.first_ns, probe.first_ns + 1)
            prefix = block_prefix(row.tenant, row.min_ts, row.block_id)
            found.append(root / "objects" / prefix)
    return found


Damage = Callable[[Path, Path], None]
"""Of a file; another one of its kind may be put in its place."""


def _flip(where: float) -> Damage:
    def flip(path: Path, _: Path) -> None:
        content = bytearray(path.read_bytes() or b"\0")
        at = min(int(len(content) * where), len(content) - 1)
        content[at] ^= 0x10
        path.write_bytes(content)

    return flip


def _flip_page(path: Path, other: Path) -> None:
    """The middle byte; of a Parquet file, that of what lies before its footer."""
    content = path.read_bytes()
    footer = int.from_bytes(content[-8:-4], "little") + 8 if content[-4:] == b"PAR1" else 0
    _flip((len(content) - footer) / 2 / max(len(content), 1))(path, other)


def _instead(make_it: Callable[[Path], None]) -> Damage:
    def instead(path: Path, _: Path) -> None:
        path.unlink()
        make_it(path)

    return instead


def _cut(path: Path, _: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path, _: Path) -> None:
    os.truncate(path, 0)


def _swap(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


def _append(path: Path, _: Path) -> None:
    with path.open("ab") as file:
        file.write(b"NFJ garbage" * 50)


DAMAGES: dict[str, Damage] = {
    "first byte": _flip(0.0),
    "middle byte": _flip_page,
    "last byte": _flip(1.0),
    "cut": _cut,
    "emptied": _empty,
    "deleted": _instead(lambda path: None),
    "folder": _instead(lambda path: path.mkdir()),
    "fifo": _instead(os.mkfifo),
    "unreadable": _instead(lambda path: path.symlink_to(path.name)),
    "appended": _append,
    "swapped": _swap,
}
"""`unreadable` is a link to itself: root may read what no one may."""
