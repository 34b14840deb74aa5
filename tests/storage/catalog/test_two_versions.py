"""May processes of the version before go on while a new one brings the schema up to date?

The older version is this one with the migrations that it had, so what its statements were before is
not shown: `python -m tests.servers.mixed_versions FOLDER` does that with a checkout.
"""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from narfi.core.clock import ManualClock
from storage.catalog import database, tables
from storage.catalog.base import NewerCatalogError, Watermark
from storage.catalog.leases import Leases
from storage.catalog.sql import SqlCatalog
from tests.storage.catalog.conftest import Opener
from tests.storage.catalog.rows import TENANT, every_block, intent, publish, row


@contextmanager
def version_before(folder: Path) -> Iterator[None]:
    """Catalogs that are opened meanwhile know all migrations but the newest."""
    migrations, newest = folder / "migrations", tables.SCHEMA
    if not migrations.exists():
        shutil.copytree(database.MIGRATIONS, migrations)
        (script,) = (migrations / "versions").glob(f"{newest}_*.py")
        script.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", migrations)
        patch.setattr(database, "SCHEMA", f"{int(newest) - 1:04}")
        patch.setattr(database, "make_newest", lambda connection: False)  # as it migrated
        yield


def test_a_process_of_the_version_before_goes_on_and_starts_no_more(
    opened: Opener, tmp_path: Path, clock: ManualClock
) -> None:
    with version_before(tmp_path):
        old = opened(clock)
    assert old.database._schema() != tables.SCHEMA
    publish(old, row("a", 0, 9), Watermark("j", TENANT, 1))
    fence = Leases(old.database).begin("j", "old process", "127.0.0.1:9", 60_000)
    new = opened(clock)
    assert new.database._schema() == tables.SCHEMA
    assert [found.block_id for found in every_block(new)] == ["a"]
    for name, one, other in (("b", old, new), ("c", new, old)):
        seen = other.version()
        publish(one, row(name, 10, 19), Watermark("j", TENANT, ord(name)))
        assert [found.block_id for found in other.changes(seen).visible] == [name]
        assert other.watermarks("j") == {TENANT: ord(name)}
    merged = row("merged", 0, 19)
    new.intend(intent(merged))
    new.replace(["a", "b"], [merged])
    old.replace(["c"], [])
    for one in (old, new):
        assert [found.block_id for found in every_block(one)] == ["merged"]
        assert [(total.level, total.blocks) for total in one.totals()] == [(0, 1)]
    assert new.removed_total().blocks == 3
    assert Leases(old.database).renew(fence, 0, 0), "it may renew its lease"
    taken = Leases(new.database).take("new process", "127.0.0.1:10", 60_000)
    assert taken is not None
    assert not Leases(old.database).renew(fence, 60_000, 0), "and is fenced by a new process"
    with version_before(tmp_path), pytest.raises(NewerCatalogError, match="newer version"):
        opened(clock)


def test_new_processes_start_beside_each_other_while_an_old_one_writes(
    opened: Opener, tmp_path: Path, clock: ManualClock
) -> None:
    with version_before(tmp_path):
        old = opened(clock)
    publish(old, row("a", 0, 9))
    for number in range(3):
        with closing(SqlCatalog(opened.url, clock)) as new:
            publish(old, row(f"old {number}", 0, 9))
            publish(new, row(f"new {number}", 0, 9))
    assert len(list(every_block(old))) == 7
