"""Does who writes a block say how far it is, up to the end?"""

from pathlib import Path

import pytest

from narfi.core.clock import ManualClock
from narfi.core.tenant import TenantId
from storage.block.identity import Layout
from storage.block.progress import part_of
from storage.catalog.sql import SqlCatalog
from storage.objects.filesystem import LocalObjects
from storage.store import BlockStore, StoreServices
from tests.storage.batches import batch_of

LINES = [b"GET /item/%d took %d ms" % (n, n % 97) for n in range(300)]
LINES += [b"user %d came from 10.0.%d.%d" % (n, n % 250, n % 7) for n in range(200)]
LINES += [b"%d prose of no shape at all %s" % (n, b"a " * (n % 90)) for n in range(100)]


def test_a_piece_of_work_is_a_part_of_the_whole() -> None:
    told: list[float] = []
    second_half = part_of(told.append, 0.5, 1.0)
    for share in (0.0, 0.5, 1.0):
        second_half(share)
    assert told == [0.5, 0.75, 1.0]


@pytest.mark.parametrize("version", [2, 3])
def test_a_flush_tells_how_far_it_is(tmp_path: Path, version: int) -> None:
    clock = ManualClock(1)
    catalog, objects = SqlCatalog(f"sqlite:///{tmp_path}/c.db", clock), LocalObjects(tmp_path)
    store = BlockStore(StoreServices(catalog, objects, clock), 1 << 20, 100, layout=Layout(version))
    run = batch_of([("a", n, line, {}) for n, line in enumerate(LINES)])
    for cut_id in ("cold", "warm"):
        told: list[float] = []
        store.write(run, TenantId("t"), cut_id, progress=told.append)
        assert told == sorted(told)
        assert told[-1] == 1.0
        assert len(told) >= 3, "after the match, and after each object with lines"
