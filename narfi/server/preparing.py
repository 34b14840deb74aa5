"""Which blocks does the first query find decoded? The newest of each tenant, as caches have room.

Behind `/ready` and the rehearsal (`rehearsal.py`) what queries remember of blocks is read before
they ask, block by block from the newest one on, until the caches are three quarters full. Each
little step is followed by a pause, so that requests go first. Nothing depends on it: what fails is
told to the log.
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Iterator, Sequence

import structlog

from narfi.core.clock import Clock
from narfi.core.errors import AppError
from narfi.core.tenant import TenantId
from narfi.server.rehearsal import LOOK_BACK
from storage.catalog.base import BlockRow, Catalog
from storage.store import BlockStore

log = structlog.get_logger(__name__)

MOST_TENANTS = 16
"""Those that have the most in blocks."""
MOST_BLOCKS = 256
"""Of a tenant; more of them do not fit, or are too small to matter."""
PAUSE = 1.0
"""After a step, in the time that it took."""
BUSY_PAUSE_S = 0.05
"""While queries run."""


def newest_blocks(catalog: Catalog, clock: Clock) -> list[str]:
    """Ids of the newest blocks of the largest tenants, a block of each tenant in turn."""
    now = clock.now_ns()
    found = [_of_tenant(catalog, tenant, now) for tenant in catalog.largest_tenants(MOST_TENANTS)]
    turns = itertools.zip_longest(*found)
    return [row.block_id for turn in turns for row in turn if row is not None]


def _of_tenant(catalog: Catalog, tenant: TenantId, now: int) -> Sequence[BlockRow]:
    """The newest first; all of the shortest time back in which there are some."""
    for back in LOOK_BACK:
        if rows := catalog.blocks(tenant, now - back, now):
            return heapq.nlargest(MOST_BLOCKS, rows, key=lambda row: row.max_ts)
    return ()


async def prepare(
    store: BlockStore, catalog: Catalog, clock: Clock, is_busy: Callable[[], bool]
) -> None:
    """Read what queries remember of the newest blocks; can be cancelled between two steps."""
    began, steps = time.monotonic(), 0
    try:
        ids = await asyncio.to_thread(newest_blocks, catalog, clock)
        work = store.preparing(ids)
        while (spent_s := await asyncio.to_thread(_step, work)) is not None:
            steps += 1
            await asyncio.sleep(PAUSE * spent_s + (BUSY_PAUSE_S if is_busy() else 0.0))
    except AppError as error:
        log.info("blocks are not prepared", error=str(error))
        return
    except Exception as error:  # noqa: BLE001 - whatever it is, nothing depends on it
        log.error("blocks are not prepared", error=repr(error))
        return
    sizes = {f"{name}_bytes": cache.bytes for name, cache in store.caches.items()}
    spent_s = round(time.monotonic() - began, 2)
    log.info("blocks are prepared", steps=steps, seconds=spent_s, **sizes)


def _step(work: Iterator[None]) -> float | None:
    """Seconds that a step took; None behind the last."""
    began = time.monotonic()
    for _ in work:
        return time.monotonic() - began
    return None
