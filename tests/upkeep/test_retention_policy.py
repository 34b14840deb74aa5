"""Are the right blocks dropped and rewritten, and none again and again? Against a slow twin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.labels import Labels
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.retention import RetentionPolicy, RetentionRule
from storage.batch import StreamTable
from storage.catalog.base import BlockRow
from tests.storage.stored import DAY, HOUR, TENANT
from upkeep.retention_policy import (
    MAX_REWRITE_BYTES,
    NEVER,
    REWRITE_DELAY_NS,
    REWRITE_SHARE,
    Rewrite,
    Verdict,
    decide,
    ends_of,
    first_edge,
    judge,
    next_judgement,
    next_look,
    within_budget,
)

APPS = ("a", "b", "c")


def rule(app: str, priority: int, period: int) -> RetentionRule:
    """A rule for one app, or for all with `.+`."""
    return RetentionRule((Matcher("app", MatchOp.RE, app),), priority, period)


def table_of(streams: list[tuple[str, int, int, int]]) -> StreamTable:
    """Streams of (app, first ts, last ts, bytes)."""
    labels = tuple(Labels.of({"app": app, "n": str(k)}) for k, (app, *_) in enumerate(streams))
    first, last, size = (np.array([s[k] for s in streams], np.int64) for k in (1, 2, 3))
    return StreamTable(
        labels=labels,
        first_row=np.arange(len(streams)),
        rows=np.ones_like(first),
        first_ts=first,
        last_ts=last,
        line_bytes=size,
    )


def row_of(table: StreamTable) -> BlockRow:
    """The catalog's row of a block with these streams."""
    low, high = int(table.first_ts.min()), int(table.last_ts.max())
    size = int(table.line_bytes.sum())
    return BlockRow(
        block_id="b",
        tenant=TENANT,
        cut_id="c",
        min_ts=low,
        max_ts=high,
        rows=len(table),
        line_bytes=size,
        stored_bytes=size,
        level=0,
        format_version=1,
        created_ns=0,
    )


periods = st.integers(0, 10).map(lambda days: days * DAY)
rules = st.builds(rule, st.sampled_from((*APPS, ".+")), st.integers(0, 2), periods)
policies = st.builds(RetentionPolicy, periods, st.lists(rules, max_size=4).map(tuple))
times = st.integers(0, 20 * 24).map(lambda hours: hours * HOUR)
stream = st.tuples(st.sampled_from(APPS), times, times, st.integers(0, 100)).map(
    lambda s: (s[0], min(s[1:3]), max(s[1:3]), s[3])
)
tables = st.lists(stream, min_size=1, max_size=6).map(table_of)


def slow_end(policy: RetentionPolicy, table: StreamTable, ordinal: int) -> int:
    """When a stream expires, rule by rule."""
    app = table.labels[ordinal].get("app")
    found = [r for r in policy.rules if all(m.matches(app) for m in r.matchers)]
    period = policy.period_ns
    if found:
        top = max(r.priority for r in found)
        period = min(r.period_ns for r in found if r.priority == top)
    return int(table.last_ts[ordinal]) + period if period else NEVER


@given(policies, tables)
def test_each_stream_has_the_period_of_its_first_rule(
    policy: RetentionPolicy, table: StreamTable
) -> None:
    expected = [slow_end(policy, table, k) for k in range(len(table))]
    assert ends_of(table, policy).tolist() == expected


@given(policies, tables, times)
def test_the_row_alone_never_tells_what_the_streams_would_not(
    policy: RetentionPolicy, table: StreamTable, now: int
) -> None:
    row = row_of(table)
    told = judge(row, policy, now)
    exact = decide(ends_of(table, policy), table.line_bytes, now)
    if told is not Verdict.LOOK:
        assert told is exact
    edge = first_edge(policy, now)
    if edge is None or row.min_ts >= edge:
        assert exact is Verdict.KEEP


@given(policies, tables, times, st.lists(st.integers(0, 20 * DAY), max_size=20))
def test_what_is_kept_is_kept_until_it_is_judged_next(
    policy: RetentionPolicy, table: StreamTable, now: int, drawn: list[int]
) -> None:
    row = row_of(table)
    if judge(row, policy, now) is not Verdict.KEEP:
        return
    coming = next_judgement(row, policy, now)
    assert coming > now
    between = [now + ahead for ahead in drawn if now + ahead < coming]
    assert all(judge(row, policy, time) is Verdict.KEEP for time in (*between, coming - 1))


@given(policies, tables, st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_over_time_nothing_young_goes_nothing_old_stays_and_rewrites_are_few(
    policy: RetentionPolicy, table: StreamTable, hours: list[int]
) -> None:
    ends, sizes, now = ends_of(table, policy), table.line_bytes, 0
    rewritten: list[int] = []
    quiet_until = 0
    for step in hours:
        now += step * HOUR
        verdict = decide(ends, sizes, now)
        assert verdict is Verdict.KEEP or now >= quiet_until, "a look came too late"
        if verdict is Verdict.DROP:
            assert (ends < now).all()
            return
        if verdict is Verdict.REWRITE:
            share = sizes[ends < now].sum() / max(int(sizes.sum()), 1)
            if rewritten and now - rewritten[-1] < REWRITE_DELAY_NS:
                assert share >= REWRITE_SHARE
            rewritten.append(now)
            ends, sizes = ends[ends >= now], sizes[ends >= now]
        assert ends.min() > now - REWRITE_DELAY_NS, "a stream is overdue"
        quiet_until = next_look(ends, now)
        assert quiet_until > now


def test_times_at_the_end_of_time_do_not_wrap() -> None:
    table = table_of([("a", 0, NEVER - 1, 1), ("a", 0, 5, 1)])
    assert ends_of(table, RetentionPolicy(10 * DAY)).tolist() == [NEVER, 5 + 10 * DAY]
    assert judge(row_of(table), RetentionPolicy(10 * DAY), NEVER - 1) is Verdict.LOOK


@pytest.mark.parametrize(
    ("ends", "sizes", "verdict"),
    [
        ([-1, -2], [1, 1], Verdict.DROP),
        ([0, 5], [1, 1], Verdict.KEEP),  # at its end a stream is still kept
        ([-1, 5 * DAY], [1, 9], Verdict.KEEP),  # too small a gain
        ([-1, 5 * DAY], [3, 9], Verdict.REWRITE),
        ([-1, DAY], [3, 9], Verdict.KEEP),  # the rest goes within a day
        ([-DAY, 5 * DAY], [1, 999], Verdict.REWRITE),  # waited long enough
        ([-1, NEVER], [0, 0], Verdict.KEEP),
    ],
)
def test_when_a_block_is_rewritten(ends: list[int], sizes: list[int], verdict: Verdict) -> None:
    assert decide(np.array(ends), np.array(sizes), 0) is verdict


def test_a_run_has_a_budget_and_does_one_job_at_least() -> None:
    def job(name: str, size: int, overdue: int) -> Rewrite:
        row = BlockRow(
            block_id=name,
            tenant=TENANT,
            cut_id="c",
            min_ts=0,
            max_ts=1,
            rows=1,
            line_bytes=size,
            stored_bytes=size,
            level=0,
            format_version=1,
            created_ns=0,
        )
        return Rewrite(row, np.ones(1, np.bool_), overdue)

    half = MAX_REWRITE_BYTES // 2
    jobs = [job("a", half, 1), job("b", half, 3), job("c", half, 2)]
    assert [j.row.block_id for j in within_budget(jobs)] == ["b", "c"]
    large = [job("a", 3 * MAX_REWRITE_BYTES, 1), job("b", 1, 0)]
    assert [j.row.block_id for j in within_budget(large)] == ["a"]
    assert within_budget([]) == []
