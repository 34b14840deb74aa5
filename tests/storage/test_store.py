"""Does a block that could not be written leave nothing behind?"""

from pathlib import Path

import pytest

from narfi.core.clock import ManualClock
from narfi.core.patience import wanted_while
from narfi.core.tenant import TenantId
from storage.catalog.sql import SqlCatalog
from storage.objects.faulty import Faults, FaultyObjects, InjectedError
from storage.objects.filesystem import LocalObjects
from storage.sorting import merge_batches
from storage.store import BlockStore, StoreServices
from tests.storage.batches import batch_of
from tests.storage.form import FORMS, Form

PUTS = [
    pytest.param(form, step, id=f"{form.version}-{step}")
    for form in FORMS
    for step in range(len(form.objects))
]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("form", "step"), PUTS)
def test_a_failed_put_takes_the_others_back(
    tmp_path: Path, form: Form, step: int, after: bool
) -> None:
    catalog = SqlCatalog(f"sqlite:///{tmp_path}/catalog.db")
    objects = FaultyObjects(LocalObjects(tmp_path / "objects"), Faults(step, after=after))
    services = StoreServices(catalog, objects, ManualClock(1))
    store = BlockStore(services, 1 << 20, layout=form.layout)
    run = merge_batches([batch_of([("a", 5, b"line", {})])])
    with pytest.raises(InjectedError):
        store.write(run, TenantId("t"), "cut")
    assert list(objects.list("")) == []
    store.publish([store.write(run, TenantId("t"), "cut")], [])
    assert len(list(objects.list(""))) == len(form.objects)
    catalog.close()


def test_blocks_are_opened_while_somebody_wants_them(tmp_path: Path) -> None:
    """A question over many that nobody opened before ends at its time; the next one goes on."""
    catalog = SqlCatalog(f"sqlite:///{tmp_path}/catalog.db")
    store = BlockStore(
        StoreServices(catalog, LocalObjects(tmp_path / "objects"), ManualClock(1)), 1 << 20
    )
    for number in range(6):
        run = merge_batches([batch_of([("a", number, b"line", {})])])
        store.publish([store.write(run, TenantId("t"), f"cut {number}")], [])
    left = iter(range(3))

    def check() -> None:
        if next(left, None) is None:
            raise TimeoutError

    with store.reading() as blocks:
        with wanted_while(check), pytest.raises(TimeoutError):
            blocks.found(TenantId("t"), 0, 10)
        left = iter(range(3))
        with wanted_while(check):
            assert len(blocks.found(TenantId("t"), 0, 10).sources) == 6
    catalog.close()
