"""Do deletes leave each block old or new at whichever step they fail, and finish later?"""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.columns import I64
from narfi.core.errors import AppError
from narfi.core.limits import Limits
from querier.budget import Budget
from querier.executors.deleted_rows import DeletedRows
from querier.reading.deletes import DeleteRequests, Deletion
from querier.result import QueryStats
from storage.catalog.base import BlockRow
from storage.catalog.delete_log import PROCESSED, DeleteLog
from storage.catalog.jobs import FIRST_BACKOFF_NS
from storage.objects.base import ObjectError
from storage.objects.faulty import Faults
from storage.scan import LogSource
from tests.reference.budget import examples
from tests.storage.batches import Entry
from tests.storage.stored import DAY, NOW, TENANT, Stored
from tests.upkeep.fresh import worker_of
from upkeep import deletes as module
from upkeep.deletes import RECEIPTS_KEPT_NS, Deletes
from upkeep.worker import Kind

BLOCKS = 3
DOOMED = b"secret"


def deletes_of(stored: Stored) -> Deletes:
    """Deletes without a waiting time; everything is flushed already."""
    log = DeleteLog(stored.catalog)
    return Deletes(
        log=log,
        catalog=stored.catalog,
        store=stored.store,
        clock=stored.clock,
        flush=lambda: None,
        worker=worker_of(stored.catalog, stored.store),
        find=DeletedRows().find,
        cancel_period_ns=0,
    )


def requests_of(stored: Stored) -> DeleteRequests:
    """What was asked for."""
    return DeleteRequests(DeleteLog(stored.catalog), stored.clock, lambda _: Limits())


def fill(folder: Path) -> list[Entry]:
    """Blocks with a doomed line and a good one, one with doomed lines only; what shall stay."""
    stored = Stored(folder)
    good: list[Entry] = []
    for number in range(BLOCKS):
        good.append(("a", NOW - number * DAY, b"good", {"k": "v"}))
        stored.add([good[-1], ("a", NOW - number * DAY, DOOMED, {})])
    stored.add([("b", NOW, DOOMED, {}), ("a", NOW + 1, DOOMED, {})])
    requests_of(stored).create(TENANT, '{app=~"a|b"} |= "secret"', 0, NOW + DAY)
    stored.close()
    return sorted(good, key=repr)


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
def test_old_or_new_at_every_step(tmp_path: Path, after: bool) -> None:
    at, finished = 0, False
    while not finished:
        folder = tmp_path / str(at)
        folder.mkdir()
        good = fill(folder)
        stored = Stored(folder, Faults(at, after=after, dead=True))
        try:
            deletes_of(stored).execute()
            finished = True
        except AppError:
            (request,) = DeleteLog(stored.catalog).requests()
            assert request.status != PROCESSED
        stored.close()
        restarted = Stored(folder)
        found = restarted.entries()
        doomed = [entry for entry in found if entry[2] == DOOMED]
        assert [entry for entry in found if entry[2] != DOOMED] == good
        assert not doomed or not finished
        (request,) = requests_of(restarted).requests(TENANT)
        assert request.deleted_rows <= BLOCKS + 2 - len(doomed), "a receipt for too much"
        deletes_of(restarted).execute()
        assert restarted.entries() == good
        (request,) = requests_of(restarted).requests(TENANT)
        assert request.status == PROCESSED
        restarted.close()
        at += 1
    assert at > 3 * BLOCKS, "each rewrite has four steps"


def test_a_label_filter_deletes_what_it_matches_as_a_whole(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    entries: list[Entry] = [
        ("a", NOW + k, b"x", {"env": env})
        for k, env in enumerate(["prod", "preprod", "nonprod", "production"])
    ]
    stored.add([*entries, ("a", NOW + 4, b"x", {})])
    deletes, asked = deletes_of(stored), requests_of(stored)
    asked.create(TENANT, '{app="a"} | env=~"prod|preprod"', 0, NOW + DAY)
    assert deletes.execute() == 2
    assert stored.entries() == [*entries[2:], ("a", NOW + 4, b"x", {})]
    asked.create(TENANT, '{app="a"} | env=~"nonprod|"', 0, NOW + DAY)
    assert deletes.execute() == 2
    assert stored.entries() == entries[3:]
    stored.close()


def test_a_request_that_fails_waits_and_stops_no_other(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    stored.add([("a", NOW, b"one", {}), ("a", NOW + 1, b"two", {}), ("a", NOW + 2, b"stays", {})])
    requests = requests_of(stored)
    for line in ("one", "two"):
        requests.create(TENANT, f'{{app="a"}} |= "{line}"', NOW, NOW + 10)
    broken, flushes = ["one"], list[int]()
    deletes, find = deletes_of(stored), DeletedRows().find

    def find_or_fail(
        source: LogSource, deletion: Deletion, budget: Budget, _stats: QueryStats
    ) -> I64:
        if broken and "one" in str(deletion):
            raise ObjectError("input/output error")
        return find(source, deletion, budget)

    deletes._find = find_or_fail
    deletes._flush = lambda: flushes.append(1)
    with pytest.raises(ObjectError, match="input/output"):
        deletes.execute()
    assert [entry[2] for entry in stored.entries()] == [b"one", b"stays"]
    (job,) = stored.jobs.all()
    assert (job.kind, job.attempts, job.error) == (Kind.DELETE, 1, "input/output error")
    flushed = len(flushes)
    assert deletes.execute() == 0
    assert len(flushes) == flushed, "nothing is flushed for a request that waits"
    broken.clear()
    stored.clock.advance(FIRST_BACKOFF_NS)
    assert deletes.execute() == 1
    assert [entry[2] for entry in stored.entries()] == [b"stays"]
    assert stored.jobs.all() == []
    assert {request.status for request in requests.requests(TENANT)} == {PROCESSED}
    stored.close()


def test_a_request_that_failed_and_was_cancelled_is_no_failed_job_any_more(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    stored.add([("a", NOW, b"one", {})])
    requests = requests_of(stored)
    requests.create(TENANT, '{app="a"}', NOW, NOW + 10)
    deletes = deletes_of(stored)

    def fail(*_arguments: object) -> I64:
        raise ObjectError("no")

    deletes._find = fail
    with pytest.raises(ObjectError):
        deletes.execute()
    (request,) = requests.requests(TENANT)
    assert deletes._log.remove(request, begun=True)
    assert deletes.execute() == 0
    assert stored.jobs.all() == []
    stored.close()


def test_receipts_are_forgotten_after_a_while(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    stored.add([("a", NOW, b"one", {})])
    requests, deletes = requests_of(stored), deletes_of(stored)
    requests.create(TENANT, '{app="a"}', NOW, NOW + 10)
    assert deletes.execute() == 1
    stored.clock.advance(RECEIPTS_KEPT_NS)
    deletes.execute()
    (receipt,) = requests.requests(TENANT)
    assert (receipt.status, receipt.deleted_rows) == (PROCESSED, 1)
    stored.clock.advance(1)
    deletes.execute()
    assert requests.requests(TENANT) == []
    stored.close()


def test_a_round_leaves_requests_for_the_next_when_it_took_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ROUND_S", -1.0)
    stored = Stored(tmp_path)
    for k in range(4):
        stored.add([("a", NOW + k, b"%d" % k, {})])
    requests, deletes = requests_of(stored), deletes_of(stored)
    for k in range(3):
        requests.create(TENANT, f'{{app="a"}} |= "{k}"', NOW + k, NOW + k)
        stored.clock.advance(1)
    for left in (2, 1, 0):
        assert deletes.execute() == 1
        assert len(deletes._log.pending(TENANT)) == left
    assert [entry[2] for entry in stored.entries()] == [b"3"]
    stored.close()


class Opened:
    """What is read and written of a store's blocks."""

    def __init__(self, stored: Stored, patch: pytest.MonkeyPatch) -> None:
        self.blocks: list[str] = []
        self.rewrites = 0
        opened, rewrite = stored.store.opened, stored.store.rewrite

        def counted_opened(rows: Sequence[BlockRow]) -> object:
            self.blocks += [row.block_id for row in rows]
            return opened(rows)

        def counted_rewrite(*arguments: object) -> BlockRow | None:
            self.rewrites += 1
            return rewrite(*arguments)  # type: ignore[arg-type]

        patch.setattr(stored.store, "opened", counted_opened)
        patch.setattr(stored.store, "rewrite", counted_rewrite)


def test_requests_of_a_tenant_share_the_reading_and_writing_of_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = Stored(tmp_path)
    for number in range(3):
        at = NOW + 100 * number
        stored.add([("a", at + k, b"line %d of %d" % (k, number), {}) for k in range(8)])
    requests, deletes = requests_of(stored), deletes_of(stored)
    for k in range(5):
        requests.create(TENANT, f'{{app="a"}} |= "line {k}"', 0, NOW + 1000)
        stored.clock.advance(1)
    requests.create(TENANT, '{app="a"} |= "of 2"', NOW + 200, NOW + 206)  # the last block alone
    stored.clock.advance(1)
    requests.create(TENANT, '{app="a"} |= "nothing"', 0, NOW + 1000)
    counted = Opened(stored, monkeypatch)
    assert deletes.execute() == 3 * 5 + 2
    assert len(counted.blocks) == len(set(counted.blocks)) == 3
    assert counted.rewrites == 3
    found = {one.query: one for one in requests.requests(TENANT)}
    assert {one.status for one in found.values()} == {PROCESSED}
    assert [one.deleted_rows for one in found.values()] == [3, 3, 3, 3, 3, 2, 0]
    size = len(b"line 0 of 0")
    assert [one.deleted_bytes for one in found.values()] == [3 * size] * 5 + [2 * size, 0]
    assert [entry[2] for entry in stored.entries()] == [
        b"line %d of %d" % (k, number)
        for number in range(3)
        for k in (5, 6, 7)
        if (number, k) not in ((2, 5), (2, 6))
    ]
    stored.close()


def test_one_that_fails_leaves_those_beside_it_alone(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    for number in range(2):
        stored.add([("a", NOW + 10 * number + k, b"%d" % k, {}) for k in range(4)])
    requests, deletes = requests_of(stored), deletes_of(stored)
    for k in (1, 2):
        requests.create(TENANT, f'{{app="a"}} |= "{k}"', 0, NOW + 100)
        stored.clock.advance(1)
    find, failing = DeletedRows().find, requests.requests(TENANT)[1].request_id

    def find_or_fail(source: LogSource, deletion: Deletion, budget: Budget, _: QueryStats) -> I64:
        if deletion.request_id == failing:
            raise ObjectError("input/output error")
        return find(source, deletion, budget)

    deletes._find = find_or_fail
    with pytest.raises(ObjectError):
        deletes.execute()
    assert sorted(entry[2] for entry in stored.entries()) == sorted([b"0", b"2", b"3"] * 2)
    assert [one.status for one in requests.requests(TENANT)] == [PROCESSED, "0% Complete"]
    (job,) = stored.jobs.all()
    assert job.attempts == 1
    stored.close()


def test_one_that_is_cancelled_by_force_stops_at_the_block_where_that_is_seen(
    tmp_path: Path,
) -> None:
    stored = Stored(tmp_path)
    for number in range(3):
        stored.add([("a", NOW + 10 * number + k, b"%d" % k, {}) for k in range(3)])
    requests, deletes = requests_of(stored), deletes_of(stored)
    for k in (1, 2):
        requests.create(TENANT, f'{{app="a"}} |= "{k}"', 0, NOW + 100)
        stored.clock.advance(1)
    other = requests.requests(TENANT)[1].request_id
    replace, swaps = stored.catalog.replace, list[int]()

    def replace_and_cancel(removed: Sequence[str], added: Sequence[BlockRow]) -> None:
        replace(removed, added)
        swaps.append(1)
        if len(swaps) == 1:
            requests.cancel(TENANT, other, force=True)

    stored.catalog.replace = replace_and_cancel  # type: ignore[method-assign]
    deletes.execute()
    assert sorted(entry[2] for entry in stored.entries()) == [b"0", b"0", b"0", b"2", b"2"]
    assert [one.status for one in requests.requests(TENANT)] == [PROCESSED]
    stored.close()


WORDS = ("red", "green", "blue")
TIMES = st.integers(0, 30)


@settings(max_examples=examples(30), deadline=None)
@given(
    blocks=st.lists(
        st.lists(st.tuples(TIMES, st.lists(st.sampled_from(WORDS), max_size=3)), min_size=1),
        max_size=4,
    ),
    asked=st.lists(st.tuples(st.sampled_from(WORDS), TIMES, TIMES), min_size=1, max_size=4),
)
def test_receipts_add_up_to_what_is_gone(
    tmp_path_factory: pytest.TempPathFactory,
    blocks: list[list[tuple[int, list[str]]]],
    asked: list[tuple[str, int, int]],
) -> None:
    stored = Stored(tmp_path_factory.mktemp("deletes"))
    unique = 0
    for block in blocks:
        entries: list[Entry] = []
        for at, words in block:
            unique += 1  # so that none is an exact duplicate
            entries.append(("a", NOW + at, " ".join([*words, f"n{unique}"]).encode(), {}))
        stored.add(entries)
    requests = requests_of(stored)
    before = stored.entries()
    for word, first, last in asked:
        low, high = min(first, last), max(first, last)
        requests.create(TENANT, f'{{app="a"}} |= "{word}"', NOW + low, NOW + high)
        stored.clock.advance(1)
    removed = deletes_of(stored).execute()
    doomed = [
        entry
        for entry in before
        if any(
            word.encode() in entry[2] and min(a, b) <= entry[1] - NOW <= max(a, b)
            for word, a, b in asked
        )
    ]
    assert stored.entries() == [entry for entry in before if entry not in doomed]
    receipts = requests.requests(TENANT)
    assert {one.status for one in receipts} == {PROCESSED}
    assert removed == len(doomed) == sum(one.deleted_rows for one in receipts)
    assert sum(one.deleted_bytes for one in receipts) == sum(len(entry[2]) for entry in doomed)
    stored.close()
