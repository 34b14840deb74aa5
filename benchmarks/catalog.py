"""What does a catalog of many blocks cost? Each call on SQLite or a PostgreSQL server of its own.

`python -m benchmarks.catalog [--rows 1000000] [--small 0] [--engine postgresql|sqlite]`

A tenant has 60 % of the blocks; they lie in 30 days. With `--small`, so many of a hundred
blocks wait for a merge, which is not begun; the others are mature. For each call: the least wall
time and the least CPU time of this process of some tries, and how many rows came back.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from narfi.core.clock import SystemClock
from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow, Intent
from storage.catalog.jobs import Jobs
from storage.catalog.listing import Listing
from storage.catalog.sql import SqlCatalog
from storage.objects.filesystem import LocalObjects
from storage.store import BlockStore, StoreServices
from tests.servers import postgres
from upkeep.compaction import Compaction
from upkeep.merge_policy import DEFAULT_RULES
from upkeep.worker import Worker

HOUR = 3600 * 10**9
DAY = 24 * HOUR
DAYS, SMALL_TENANTS, BATCH = 30, 200, 20_000
BIG = TenantId("big")


def _row(number: int, rows: int, now: int, small: int) -> BlockRow:
    low = now - DAYS * DAY + number * (DAYS * DAY // rows)
    tenant = BIG if number % 10 < 6 else TenantId(f"small-{number % SMALL_TENANTS:03}")
    return BlockRow(
        block_id=f"{number:032x}",
        tenant=tenant,
        cut_id=f"cut-{number:027x}",
        min_ts=low,
        max_ts=low + 300 * 10**9,
        rows=1000,
        line_bytes=1 << 20 if number // 10 % 100 < small else DEFAULT_RULES.mature_bytes,
        stored_bytes=3_000_000,
        level=1,
        format_version=2,
        created_ns=low,
    )


def _show(name: str, call: Callable[[], object], tries: int = 5) -> None:
    wall, cpu, found = [], [], None
    for _ in range(tries):
        began, used = time.perf_counter(), time.process_time()
        found = call()
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    size = len(found) if isinstance(found, Sequence) else ""
    print(f"{name:40} {min(wall) * 1e3:10.1f} ms {min(cpu) * 1e3:10.1f} ms CPU  {size}", flush=True)


def _publish(catalog: SqlCatalog, block: BlockRow) -> None:
    intent = Intent(
        block_id=block.block_id,
        tenant=block.tenant,
        min_ts=block.min_ts,
        owner="benchmark",
        expires_ns=2**62,
    )
    catalog.intend(intent)
    catalog.publish([block], [])


def _first(catalog: SqlCatalog, tenant: TenantId, low: int, high: int) -> Sequence[BlockRow]:
    """What a process asks that knows nothing yet."""
    return Listing(catalog).blocks(tenant, low, high)


def _measure(url: str, folder: Path, rows: int, small: int) -> None:
    clock = SystemClock()
    now, catalog = clock.now_ns(), SqlCatalog(url, clock)
    for first in range(0, rows, BATCH):
        batch = [_row(k, rows, now, small) for k in range(first, min(first + BATCH, rows))]
        catalog.adopt(batch, [], [])
    if url.startswith("postgresql"):
        with catalog.database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("analyze")
    little, fresh = TenantId("small-006"), iter(range(rows, 2 * rows))
    _show("big tenant, last hour", lambda: catalog.blocks(BIG, now - HOUR, now))
    mid = now - 15 * DAY
    _show("big tenant, an hour 15 days ago", lambda: catalog.blocks(BIG, mid, mid + HOUR))
    _show("big tenant, last 24 h", lambda: catalog.blocks(BIG, now - DAY, now))
    _show("small tenant, last 24 h", lambda: catalog.blocks(little, now - DAY, now))
    _show("tenants", catalog.tenants)
    _show("totals", catalog.totals, 2)
    _show("oldest 100", lambda: catalog.oldest(100))
    _show("intend and publish", lambda: _publish(catalog, _row(next(fresh), rows, now, small)))
    for name, tenant, low, high in (
        ("small tenant", little, mid, mid + HOUR),
        ("big tenant, last hour", BIG, now - HOUR, now),
        ("big tenant, 24 h", BIG, now - DAY, now),
    ):
        listing = Listing(catalog)
        _show(f"listing, {name}, first", partial(_first, catalog, tenant, low, high))
        listing.blocks(tenant, low, high)
        _show(f"listing, {name}, again", partial(listing.blocks, tenant, low, high))
    _publish(catalog, _row(next(fresh), rows, now, small))
    _show("listing, last hour, after a change", lambda: listing.blocks(BIG, now - HOUR, now), 1)
    _show("listing, big tenant, 15 days ago", lambda: listing.blocks(BIG, mid, mid + HOUR), 1)
    services = StoreServices(catalog, LocalObjects(folder / "objects"), clock)
    store = BlockStore(services, 1 << 20)
    worker = Worker(Jobs(catalog.database, clock), catalog, clock, store.owner)
    compaction = Compaction(
        catalog=catalog, store=store, clock=clock, worker=worker, stopping=lambda: small > 0
    )
    _show("compaction, first plan of a process", compaction.run, 1)
    _publish(catalog, _row(next(fresh), rows, now, small))
    _show("compaction, plan after a new block", compaction.run, 1)
    catalog.close()


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--small", type=int, default=0)
    parser.add_argument("--engine", choices=("postgresql", "sqlite"), default="postgresql")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if chosen.engine == "sqlite":
            url = f"sqlite:///{folder}/catalog.db"
        else:
            binaries = postgres.binaries()
            if binaries is None:
                parser.error("there is no PostgreSQL on this machine")
            url = stack.enter_context(postgres.running(binaries)).fresh()
        _measure(url, folder, chosen.rows, chosen.small)


if __name__ == "__main__":
    main()
