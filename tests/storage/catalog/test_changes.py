"""Can a reader follow what changes?"""

from narfi.core.clock import ManualClock
from narfi.core.tenant import TenantId
from tests.storage.catalog.conftest import Opener
from tests.storage.catalog.rows import intent, publish, row

OTHER = TenantId("other")


def test_a_follower_learns_every_change_once(opened: Opener, clock: ManualClock) -> None:
    catalog = opened(clock)
    begin = catalog.changes(0)
    assert (begin.visible, begin.gone, begin.complete) == ([], frozenset(), True)
    publish(catalog, row("a", 0, 9))
    publish(catalog, row("b", 0, 9))
    first = catalog.changes(begin.version)
    assert [found.block_id for found in first.visible] == ["a", "b"]
    assert first.gone == frozenset()
    catalog.intend(intent(row("ab", 0, 9)))
    catalog.replace(["a", "b"], [row("ab", 0, 9)])
    second = catalog.changes(first.version)
    assert [found.block_id for found in second.visible] == ["ab"]
    assert second.gone == {"a", "b"}
    assert second.complete
    third = catalog.changes(second.version)
    assert (third.version, third.visible, third.gone) == (second.version, [], frozenset())


def test_a_follower_that_is_too_far_behind_is_told(opened: Opener) -> None:
    catalog = opened()
    publish(catalog, row("a", 0, 9))
    behind = catalog.changes(0).version
    catalog.replace(["a"], [])
    near = catalog.changes(behind).version
    catalog.forget(["a"])
    assert not catalog.changes(behind).complete
    assert catalog.changes(near).complete
