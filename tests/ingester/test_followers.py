"""Does a follower get what its tenant pushes, and never hold up a push?"""

import pytest

from ingester.followers import Follower, Followers
from narfi.core.tenant import TenantId
from tests.storage.batches import batch_of, entries_of

TENANT, OTHER = TenantId("t"), TenantId("u")


def times(follower: Follower) -> list[int]:
    """Of what waits."""
    return [ts for batch in follower.drain() for _, ts, _, _ in entries_of(batch)]


def test_each_follower_gets_the_batches_of_its_tenant() -> None:
    followers = Followers()
    followers.offer(TENANT, batch_of([("a", 0, b"nobody", {})]))
    one, two, other = followers.open(TENANT), followers.open(TENANT), followers.open(OTHER)
    for ts in (1, 2):
        followers.offer(TENANT, batch_of([("a", ts, b"x", {})]))
    assert times(one) == [1, 2]
    assert times(one) == []
    followers.close(TENANT, one)
    followers.offer(TENANT, batch_of([("a", 3, b"x", {})]))
    assert (times(one), times(two), times(other)) == ([], [1, 2, 3], [])
    followers.close(TENANT, two)
    followers.close(OTHER, other)
    assert followers.count() == 0


def test_a_slow_follower_loses_the_oldest_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingester.followers.MAX_WAITING_BYTES", 100)
    follower = Follower()
    for ts in range(5):
        follower.offer(batch_of([("a", ts, b"x" * 40, {}), ("b", ts, b"", {})]))
    assert follower.dropped == 6
    assert set(times(follower)) == {3, 4}
