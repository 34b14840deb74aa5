"""Does a block that could not be written leave nothing behind?"""

from pathlib import Path

import pytest

from narfi.core.clock import ManualClock
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
