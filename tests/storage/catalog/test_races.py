"""Two processes change the catalog at once: does one win, and does the other learn it?

On PostgreSQL the second transaction waits for the first one's row; on SQLite for its lock. Each
race runs both ways round, with the second begun while the first is open.
"""

import threading
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from narfi.core.errors import AppError
from storage.catalog import life
from storage.catalog.base import CatalogConflictError, Watermark
from storage.catalog.sql import SqlCatalog
from storage.catalog.tables import INTENTS
from tests.servers.postgres import Postgres
from tests.storage.catalog.conftest import Opener
from tests.storage.catalog.rows import TENANT, intent, publish, row

Step = Callable[[SqlCatalog], Any]


def race(opened: Opener, first: Callable[[sa.Connection], Any], second: Step) -> object:
    """`second` in another process while `first`'s transaction is open; what became of `second`."""
    one, other = opened(), opened()
    began = threading.Event()
    outcome: list[object] = []

    def run() -> None:
        began.set()
        try:
            outcome.append(second(other))
        except AppError as error:
            outcome.append(error)

    thread = threading.Thread(target=run)

    def open_transaction(connection: sa.Connection) -> None:
        first(connection)
        if not thread.is_alive():
            thread.start()
            began.wait(30)
            thread.join(0.3)  # it gets as far as it can while this transaction is open

    one.database.write(open_transaction)
    thread.join(60)
    assert outcome, "the second one came to an end"
    return outcome[0]


def test_a_watermark_never_goes_back(opened: Opener) -> None:
    catalog = opened()
    high = race(
        opened,
        lambda c: life.advance(c, Watermark("j", TENANT, 10)),
        lambda other: other.publish([], [Watermark("j", TENANT, 7)]),
    )
    assert high is None
    assert catalog.watermarks("j") == {TENANT: 10}
    race(
        opened,
        lambda c: life.advance(c, Watermark("j", TENANT, 11)),
        lambda other: other.publish([], [Watermark("j", TENANT, 12)]),
    )
    assert catalog.watermarks("j") == {TENANT: 12}


def test_a_block_is_replaced_once(opened: Opener) -> None:
    catalog = opened()
    publish(catalog, row("a", 0, 9))
    for name in ("one", "other"):
        catalog.intend(intent(row(name, 0, 9)))

    def swap(connection: sa.Connection) -> None:
        life.remove(connection, ["a"], 1)
        life.make_visible(connection, [row("one", 0, 9)])

    lost = race(opened, swap, lambda other: other.replace(["a"], [row("other", 0, 9)]))
    assert isinstance(lost, CatalogConflictError)
    assert [found.block_id for found in catalog.blocks(TENANT, 0, 10)] == ["one"]


def test_a_block_is_published_or_given_up(opened: Opener) -> None:
    catalog = opened()
    catalog.intend(intent(row("a", 0, 9)))
    lost = race(
        opened,
        lambda c: life.give_up(c, INTENTS.c.block_id == "a", 1),
        lambda other: other.publish([row("a", 0, 9)], [Watermark("j", TENANT, 5)]),
    )
    assert isinstance(lost, CatalogConflictError)
    assert catalog.watermarks("j") == {}, "nothing of the loser is committed"
    catalog.intend(intent(row("b", 0, 9)))
    race(
        opened,
        lambda c: life.make_visible(c, [row("b", 0, 9)]),
        lambda other: other.abandon(["b"]),
    )
    assert [found.block_id for found in catalog.blocks(TENANT, 0, 10)] == ["b"]


def test_a_repeated_publish_beside_the_first_one_is_one(opened: Opener) -> None:
    catalog = opened()
    catalog.intend(intent(row("a", 0, 9)))
    again = race(
        opened,
        lambda c: life.make_visible(c, [row("a", 0, 9)]),
        lambda other: other.publish([row("a", 0, 9)], []),
    )
    assert again is None
    assert len(catalog.blocks(TENANT, 0, 10)) == 1


def test_a_swap_whose_outcome_was_lost_can_be_repeated(opened: Opener) -> None:
    catalog = opened()
    publish(catalog, row("a", 0, 9))
    catalog.intend(intent(row("b", 0, 9)))
    for _ in range(2):
        catalog.replace(["a"], [row("b", 0, 9)])
    assert [found.block_id for found in catalog.blocks(TENANT, 0, 10)] == ["b"]
    assert [found.block_id for found in catalog.removed(10)] == ["a"]


def test_many_processes_may_open_a_new_database_at_once(opened: Opener) -> None:
    errors: list[BaseException] = []

    def open_one() -> None:
        try:
            opened()
        except BaseException as error:  # noqa: BLE001 - told by the assertion
            errors.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert opened().tenants() == []


def test_a_lost_connection_is_noticed_and_the_next_statement_works(
    postgres_server: Postgres,
) -> None:
    opened = Opener(postgres_server.fresh())
    catalog, administrator = opened(), opened()
    publish(catalog, row("a", 0, 9))
    with administrator.database.reading() as connection:
        connection.execute(
            sa.text(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where pid <> pg_backend_pid() and datname = current_database()"
            )
        )
    assert len(catalog.blocks(TENANT, 0, 10)) == 1
    publish(catalog, row("b", 0, 9))
    assert len(catalog.blocks(TENANT, 0, 10)) == 2
    opened.close()
