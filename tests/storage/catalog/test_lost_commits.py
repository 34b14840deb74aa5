"""Does the catalog say the same after a COMMIT that was lost, on its way there or back?

A real PostgreSQL behind a proxy: nobody learns whether such a transaction was done, so it is done
again.
"""

from collections.abc import Callable, Iterator
from itertools import product

import pytest

from narfi.core.clock import ManualClock
from storage.catalog.base import CatalogError, Watermark
from storage.catalog.database import TRIES
from storage.catalog.jobs import Job, Jobs
from storage.catalog.leases import JournalState, Leases
from storage.catalog.sql import SqlCatalog
from tests.servers import database_proxy
from tests.servers.database_proxy import DatabaseProxy, Lost
from tests.servers.postgres import Postgres
from tests.storage.catalog.rows import TENANT, intent, row

FOR_NS = 10**9
LOST = [commits for times in (1, TRIES - 1) for commits in product(Lost, repeat=times)]


@pytest.fixture
def proxy(postgres_server: Postgres) -> Iterator[DatabaseProxy]:
    """Before the server."""
    with database_proxy.before(postgres_server.port) as found:
        yield found


@pytest.fixture
def catalog(
    postgres_server: Postgres, proxy: DatabaseProxy, clock: ManualClock
) -> Iterator[SqlCatalog]:
    """An empty one, reached through the proxy."""
    name = postgres_server.fresh().rpartition("/")[2]
    found = SqlCatalog(Postgres(proxy.port, postgres_server.log).url(name), clock)
    yield found
    found.close()


@pytest.mark.parametrize("lost", LOST)
def test_every_step_of_a_block_is_done_once(
    catalog: SqlCatalog, proxy: DatabaseProxy, lost: tuple[Lost, ...]
) -> None:
    first, second = row("a", 0, 9), row("b", 0, 9)
    steps: tuple[Callable[[], object], ...] = (
        lambda: catalog.intend(intent(first)),
        lambda: catalog.publish([first], [Watermark("j", TENANT, 7)]),
        lambda: catalog.intend(intent(second)),
        lambda: catalog.replace(["a"], [second]),
        lambda: catalog.forget(["a"]),
    )
    for number, step in enumerate(steps, 1):
        proxy.lose(*lost)
        step()
        assert proxy.lost == number * len(lost)
    assert [one.block_id for one in catalog.blocks(TENANT, 0, 10)] == ["b"]
    assert catalog.watermarks("j") == {TENANT: 7}
    assert catalog.known(["a", "b"]) == {"b"}


@pytest.mark.parametrize("lost", LOST)
def test_a_lease_and_its_ends(
    catalog: SqlCatalog, proxy: DatabaseProxy, lost: tuple[Lost, ...]
) -> None:
    leases = Leases(catalog.database)
    proxy.lose(*lost)
    fence = leases.begin("j", "me", "a", 60_000)
    proxy.lose(*lost)
    assert leases.renew(fence, 60_000, 3, "b")
    (found,) = leases.open()
    assert (found.fence, found.forgotten, found.address) == (fence, 3, "b")
    proxy.lose(*lost)
    assert leases.release(fence)
    assert leases.open()[0].state is JournalState.ORPHANED
    assert proxy.lost == 3 * len(lost)


@pytest.mark.parametrize("lost", Lost)
def test_who_takes_a_lease_and_never_learns_it_loses_nothing_but_time(
    catalog: SqlCatalog, proxy: DatabaseProxy, lost: Lost
) -> None:
    """It was taken by one whom nobody told: when it runs out, it is taken again."""
    leases = Leases(catalog.database)
    leases.begin("j", "me", "a", 0)
    proxy.lose(lost)
    taken = leases.take("other", "b", 0)
    if taken is None:
        taken = leases.take("other", "b", 0)
    assert taken is not None
    assert taken.epoch == (3 if lost is Lost.UNANSWERED else 2)
    assert leases.renew(taken.fence, 60_000, 0)


@pytest.mark.parametrize("lost", LOST)
def test_a_job_is_held_by_who_took_it(
    catalog: SqlCatalog, proxy: DatabaseProxy, clock: ManualClock, lost: tuple[Lost, ...]
) -> None:
    jobs = Jobs(catalog.database, clock)
    job = Job(job_id="merge-1", kind="merge", tenant=TENANT, blocks=("a",))
    proxy.lose(*lost)
    taken = jobs.take(job, "me", FOR_NS)
    assert taken is not None
    assert jobs.take(job, "you", FOR_NS) is None
    proxy.lose(*lost)
    jobs.finish(taken)
    assert jobs.all() == []


def test_a_database_that_loses_every_commit_is_an_error(
    catalog: SqlCatalog, proxy: DatabaseProxy
) -> None:
    proxy.lose(*[Lost.UNSENT] * TRIES)
    with pytest.raises(CatalogError, match="cannot be written"):
        catalog.intend(intent(row("a", 0, 9)))
    catalog.intend(intent(row("a", 0, 9)))
