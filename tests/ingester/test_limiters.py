"""Do the limiters judge as entry by entry, in time that is linear in the push, and forget?"""

import time
from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from ingester.accepted import Accepted
from ingester.metrics import IDLE_NS, TenantCounts
from ingester.ordering import OrderingWindow
from ingester.rates import IngestionRates
from ingester.refusals import Refusals
from ingester.stream_limits import ACTIVE_NS, StreamLimits
from ingester.streams import StreamResolver
from ingester.validate import MAX_REPORTED, validate
from narfi.core.clock import ManualClock
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from narfi.core.wire.push_encode import PushEntry, encode_push_request
from narfi.core.wire.push_protobuf import decode_push_protobuf
from tests.reference.limiters import SlowOrdering, SlowStreamLimits

TENANT = TenantId("t")
NOW = 10**18
WINDOW = 5
LIMITS = Limits(
    out_of_order_window_ns=WINDOW,
    discover_service_name=(),
    max_global_streams_per_user=3,
    per_stream_rate_limit=50,
    per_stream_rate_limit_burst=100,
    max_structured_metadata_entries_count=2,
)
Streams = Sequence[tuple[str, Sequence[tuple[int, int]]]]
"""Streams as a push names them, by app: (time, bytes of the line)."""

entries = st.lists(st.tuples(st.integers(0, 30), st.integers(16, 60)), max_size=6)
pushes = st.lists(st.lists(st.tuples(st.sampled_from("abcde"), entries), max_size=6), max_size=4)


def accepted(streams: Streams) -> Accepted:
    """A push of which nothing was refused yet."""
    timed: list[tuple[str, list[PushEntry]]] = [
        (f'{{app="{app}"}}', [(NOW + ts, b"x" * size, []) for ts, size in found])
        for app, found in streams
    ]
    push = decode_push_protobuf(encode_push_request(timed))
    return Accepted(push, StreamResolver().resolve(push.labels, LIMITS), whole=True)


@given(pushes)
def test_entries_behind_are_found_as_one_by_one(many: list[Streams]) -> None:
    window, slow = OrderingWindow(), SlowOrdering()
    for streams in many:
        found, error = window.check(TENANT, accepted(streams), LIMITS, NOW)
        twin = slow.behind([(app, ts, size) for app, es in streams for ts, size in es], WINDOW)
        assert found.tolist() == twin
        assert (error is not None) == any(twin)


@given(pushes, st.lists(st.integers(0, 2 * 10**9), min_size=4, max_size=4))
def test_streams_are_limited_as_one_by_one(many: list[Streams], steps: list[int]) -> None:
    limiter, slow = StreamLimits(), SlowStreamLimits()
    now = NOW
    for streams, step in zip(many, steps, strict=False):
        now += step
        found, error = limiter.check(TENANT, accepted(streams), LIMITS, now)
        groups = [(app, es) for app, es in streams if es]
        sizes = [(app, sum(size for _, size in es)) for app, es in groups]
        twin = slow.refused(sizes, LIMITS, now)
        assert found.tolist() == [
            refused for (_, es), refused in zip(groups, twin, strict=True) for _ in es
        ]
        assert (error is not None) == any(twin)


def test_only_the_last_streams_error_is_told() -> None:
    limiter = StreamLimits()
    _, error = limiter.check(TENANT, accepted([(app, [(1, 200)]) for app in "ab"]), LIMITS, NOW)
    assert error is not None
    assert 'ignored: 1 out of 1 for stream: {app="b"}' in error.message.replace('\\"', '"')
    assert "totaling 200B" in error.message


def thread_seconds(work: Callable[[], object]) -> float:
    """CPU time of this thread; the best of three."""
    best = float("inf")
    for _ in range(3):
        began = time.thread_time()
        work()
        best = min(best, time.thread_time() - began)
    return best


def judge(count: int) -> Callable[[], object]:
    """Everything that looks at streams, for a push of which each one breaks every limit."""
    labels = ", ".join(f'l{k}="v"' for k in range(17))
    metadata = [("name", "value")]
    streams: list[tuple[str, list[PushEntry]]] = [
        (f'{{app="{k}", {labels}}}', [(NOW, b"line", metadata * (3 + k % 40))])
        for k in range(count)
    ]
    for number in range(0, count, 2):
        streams[number] = (f'{{app="{number}"}}', [(NOW + number, b"x" * 200, [])])
    push = decode_push_protobuf(encode_push_request(streams))
    resolver = StreamResolver()
    resolver.resolve(push.labels, LIMITS)
    few = accepted([(f"{k}", [(k, 200), (0, 16)]) for k in range(count)])

    def work() -> None:
        refusals = Refusals()
        found = validate(push, LIMITS, NOW, resolver, refusals)
        assert not found.whole
        assert len(refusals.messages) <= 2 * MAX_REPORTED
        assert sum(refusals.entries.values()) == count // 2
        StreamLimits().check(TENANT, few, LIMITS, NOW)
        OrderingWindow().check(TENANT, few, LIMITS, NOW)

    return work


def test_time_is_linear_in_the_streams() -> None:
    """A look at all entries for each stream would take 64 times as long for 8 times the streams."""
    small, large = judge(1_000), judge(8_000)
    assert thread_seconds(large) < 24 * thread_seconds(small)


def test_idle_tenants_are_forgotten() -> None:
    clock = ManualClock(NOW)
    rates, limiter, window = IngestionRates(clock), StreamLimits(), OrderingWindow()
    push = accepted([("a", [(1, 20)])])
    tenants = [TenantId(f"t{k}") for k in range(50)]
    for tenant in tenants:
        rates.spend(tenant, LIMITS, 1, 6 * 2**20)
        limiter.check(tenant, push, LIMITS, NOW)
        window.check(tenant, push, LIMITS, NOW)
    for one in (rates, limiter, window):
        assert one.sweep(NOW) == 0
        assert len(one) == 50
    limiter.check(tenants[0], push, LIMITS, NOW + ACTIVE_NS)
    window.check(tenants[0], push, LIMITS, NOW + ACTIVE_NS)
    for one in (limiter, window):
        assert one.sweep(NOW + ACTIVE_NS + 1) == 49
        assert len(one) == 1
    clock.advance(10**9)
    assert rates.sweep(clock.now_ns()) == 0, "4 MB a second, 6 MB were taken"
    clock.advance(10**9)
    assert rates.sweep(clock.now_ns()) == 50
    rates.spend(tenants[0], LIMITS, 1, 6 * 2**20)


def test_counters_of_idle_tenants_are_left_out() -> None:
    counts, tenant = TenantCounts(), {"tenant": "swept"}

    def received() -> float | None:
        return REGISTRY.get_sample_value("loki_distributor_lines_received_total", tenant)

    def refused(reason: str) -> float | None:
        name = "loki_discarded_samples_total"
        return REGISTRY.get_sample_value(name, {**tenant, "reason": reason})

    counts.received(TenantId("swept"), 3, 30, NOW)
    counts.discarded(TenantId("swept"), {"one": 1, "two": 2}, {"one": 1, "two": 2}, NOW)
    assert (received(), refused("one"), refused("two")) == (3, 1, 2)
    assert counts.sweep(NOW + IDLE_NS) == 0
    assert received() == 3
    assert counts.sweep(NOW + IDLE_NS + 1) == 1
    assert (received(), refused("one"), refused("two")) == (None, None, None)
