"""Do old entries go, whole blocks and single streams, and does everything else stay?"""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.matchers import Matcher, MatchOp
from narfi.core.retention import RetentionPolicy, RetentionRule
from narfi.core.tenant import TenantId
from storage.block.reader import BlockSource
from storage.block.shapes.encode import MIN_ROWS
from storage.catalog.base import CatalogError
from storage.objects.base import ObjectError
from storage.objects.faulty import Faults
from tests.reference.budget import examples
from tests.storage.batches import Entry
from tests.storage.form import ORDINARY
from tests.storage.stored import DAY, NOW, TENANT, Stored
from tests.upkeep.fresh import ANY_TWO, compaction_of, retention_of, worker_of
from upkeep.garbage import GarbageCollector
from upkeep.retention import Retention

OTHER = TenantId("other")
FOREVER = RetentionPolicy(0)
MONTH = RetentionPolicy(30 * DAY)
DEBUG_TWO_DAYS = RetentionPolicy(
    30 * DAY, (RetentionRule((Matcher("app", MatchOp.EQ, "debug"),), 1, 2 * DAY),)
)


def retention(stored: Stored, policy: RetentionPolicy, other: RetentionPolicy) -> Retention:
    """Retention with a policy for each of two tenants."""

    def policy_of(tenant: TenantId) -> RetentionPolicy:
        return other if tenant == OTHER else policy

    return retention_of(stored.catalog, stored.store, policy_of)


def entry(app: str, days_ago: float, line: bytes = b"line") -> Entry:
    """An entry of some days ago."""
    return (app, NOW - int(days_ago * DAY), line, {"k": "v"})


def test_old_blocks_expire_whole_by_the_period_of_their_tenant(stored: Stored) -> None:
    for tenant in (TENANT, OTHER):
        stored.add([entry("a", 40), entry("b", 31)], tenant)
        stored.add([entry("a", 40), entry("a", 1)], tenant)
    upkeep = retention(stored, MONTH, FOREVER)
    assert upkeep.run() == 1
    assert stored.entries() == sorted([entry("a", 40), entry("a", 1)], key=repr)
    assert len(stored.entries(OTHER)) == 4
    assert upkeep.run() == 0


def test_streams_of_a_selector_expire_earlier_than_others_of_the_block(stored: Stored) -> None:
    stays = [entry("api", 10), entry("api", 3, b"\xff not utf-8")]
    before = stored.add([*stays, entry("debug", 10), entry("debug", 4)])
    stored.add([entry("debug", 10)])
    upkeep = retention(stored, DEBUG_TWO_DAYS, FOREVER)
    assert upkeep.run() == 2
    assert stored.entries() == sorted(stays, key=repr)
    (row,) = stored.rows()
    assert (row.cut_id, row.level, row.rows) == (before.cut_id, before.level, 2)
    assert upkeep.run() == 0


def test_lines_that_are_stored_as_columns_stay_as_they_were(stored: Stored) -> None:
    def lines(app: str) -> list[Entry]:
        text = '{"status":%d,"path":"/a/%d","took":%d.5}'
        return [
            (app, NOW - 3 * DAY + k, (text % (k % 7, k, k)).encode(), {})
            for k in range(2 * MIN_ROWS)
        ]

    stored.add([*lines("api"), *lines("debug")])
    with stored.store.reading() as blocks:
        for source in blocks.sources(TENANT, 0, NOW):
            assert isinstance(source, BlockSource)
            assert {section.template is None for section in source.index.sections} == {False}
    assert retention(stored, DEBUG_TWO_DAYS, FOREVER).run() == 1
    assert stored.entries() == sorted(lines("api"), key=repr)


def test_a_small_gain_waits_a_day_and_no_entry_goes_singly(stored: Stored) -> None:
    large = [entry("api", 3, b"x" * 1000)]
    stored.add([*large, entry("debug", 9), entry("debug", 2.5)])
    stored.add([entry("debug", 9), entry("debug", 1)])
    upkeep = retention(stored, DEBUG_TWO_DAYS, FOREVER)
    assert upkeep.run() == 0
    stored.clock.advance(DAY * 6 // 10)
    assert upkeep.run() == 1
    assert stored.entries() == sorted([*large, entry("debug", 9), entry("debug", 1)], key=repr)


def test_a_new_policy_is_heeded(stored: Stored) -> None:
    stored.add([entry("api", 3), entry("debug", 3)])
    policies = [RetentionPolicy(30 * DAY, DEBUG_TWO_DAYS.rules[:0]), DEBUG_TWO_DAYS]
    upkeep = retention_of(stored.catalog, stored.store, lambda _: policies[0])
    assert upkeep.run() == 0
    policies.pop(0)
    assert upkeep.run() == 1
    assert stored.entries() == [entry("api", 3)]


def test_a_block_that_cannot_be_read_stops_no_other(stored: Stored) -> None:
    broken = stored.add([entry("api", 3), entry("debug", 3)])
    stored.add([entry("api", 3), entry("debug", 3)])
    stored.add([entry("api", 90)])
    for key in stored.objects.list("blocks/"):
        if broken.block_id in key and key.endswith(f"/{ORDINARY.opening}"):
            stored.objects.put(key, b"nonsense")
    upkeep = retention(stored, DEBUG_TWO_DAYS, FOREVER)
    with pytest.raises(ObjectError, match="is damaged"):
        upkeep.run()
    assert sorted(row.rows for row in stored.rows()) == [1, 2]
    stored.clock.advance(30 * DAY)
    upkeep.run()  # whole blocks go without being read
    assert stored.rows() == []


def test_objects_stay_for_readers_of_other_processes(stored: Stored) -> None:
    stored.add([entry("api", 3), entry("debug", 3)])
    with stored.store.reading() as blocks:
        sources = blocks.sources(TENANT, 0, NOW)
    retention(stored, DEBUG_TWO_DAYS, FOREVER).run()
    collector = GarbageCollector(stored.services, DAY, worker_of(stored.catalog, stored.store))
    collector.collect()
    assert sources[0].table.rows.tolist() == [1, 1]
    stored.clock.advance(DAY)
    assert collector.collect() == 1
    assert stored.folders() == {row.block_id for row in stored.rows()}


READS = ("tenants", "version", "changes", "blocks", "begun_within", "first_begun", "visible")


def run_with_an_outage(stored: Stored, upkeep: Retention, after: int) -> None:
    """A round; the catalog cannot be read any more after so many reads of it."""
    left = after

    def failing(read: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise CatalogError("the catalog cannot be read: broken")
            return read(*arguments)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in READS:
            patch.setattr(stored.catalog, name, failing(getattr(stored.catalog, name)))
        with contextlib.suppress(CatalogError):
            upkeep.run()


@given(data=st.data())
@settings(max_examples=examples(25), deadline=None)
def test_one_that_runs_on_does_what_one_that_has_just_started_would(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Blocks come, are merged and go, days pass, the policy changes, rounds break off."""
    draw = data.draw
    stored = Stored(tmp_path_factory.mktemp("retention"), Faults())
    policies = [MONTH, DEBUG_TWO_DAYS, FOREVER]
    current = [draw(st.sampled_from(policies))]
    upkeep = retention_of(stored.catalog, stored.store, lambda _: current[0])

    def an_entry(number: int) -> Entry:
        app, days_ago = draw(st.sampled_from(["api", "debug"])), draw(st.integers(0, 40))
        return (app, stored.clock.now_ns() - days_ago * DAY, b"line %d" % number, {})

    for number in range(draw(st.integers(1, 8))):
        match draw(st.sampled_from(["add", "merge", "pass", "policy", "broken", "run"])):
            case "add":
                stored.add([an_entry(number), an_entry(number + 100)])
            case "merge":
                compaction_of(stored.catalog, stored.store, ANY_TWO).run()
            case "pass":
                stored.clock.advance(draw(st.integers(1, 10 * 24)) * DAY // 24)
            case "policy":
                current[0] = draw(st.sampled_from(policies))
            case "broken":
                run_with_an_outage(stored, upkeep, draw(st.integers(0, 8)))
            case "run":
                upkeep.run()
        if draw(st.booleans()):
            upkeep.run()
    upkeep.run()
    left = stored.entries()
    fresh = retention_of(stored.catalog, stored.store, lambda _: current[0])
    assert fresh.run() == 0, "nothing was left to do"
    assert stored.entries() == left
    stored.close()
