"""Is everything pushed, or told as refused, whatever the target answers?"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.wire.push_encode import PushEntry
from narfi.history.errors import TargetError
from narfi.history.pace import Pace
from narfi.history.page import Streams, entry_bytes
from narfi.history.patience import Patience
from narfi.history.pushing import Pusher, bodies, halves
from promtail_agent.client.transport import Answer
from tests.history.fake_target import FakeTarget
from tests.reference.budget import examples

ENTRY = st.tuples(st.integers(0, 99), st.binary(max_size=40), st.just(()))
STREAMS: st.SearchStrategy[Streams] = st.dictionaries(
    st.sampled_from(['{a="1"}', '{a="2"}', '{b="1"}']), st.lists(ENTRY, min_size=1, max_size=30)
)


def pusher_of(
    target: FakeTarget, waits: list[float] | None = None, most_refused: int = 0
) -> Pusher:
    """Pushes there; waits are noted, not waited."""
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds
        if waits is not None:
            waits.append(seconds)

    patience = Patience(600, lambda _: None, lambda: clock[0], sleep)
    return Pusher(target, patience, Pace(0), body_bytes=1000, most_refused=most_refused)


def flat(streams: Streams) -> list[tuple[str, PushEntry]]:
    """Entries with their labels, in order."""
    return [(labels, entry) for labels, entries in streams.items() for entry in entries]


@given(STREAMS, st.integers(1, 2000))
def test_bodies_are_bounded_and_together_everything(streams: Streams, most: int) -> None:
    found = list(bodies(streams, most))
    assert [one for body, _ in found for one in flat(body)] == flat(streams)
    for body, told in found:
        size = sum(entry_bytes(entry) for _, entry in flat(body))
        assert told == size
        assert size + 32 * len(flat(body)) <= most or len(flat(body)) == 1


@given(STREAMS.filter(lambda s: sum(map(len, s.values())) > 1))
def test_halves(streams: Streams) -> None:
    first, second = halves(streams)
    assert flat(first) + flat(second) == flat(streams)
    assert abs(len(flat(first)) - len(flat(second))) <= 1


def lines(*texts: str) -> Streams:
    """One stream, a ns apart."""
    return {'{app="a"}': [(k, text.encode(), ()) for k, text in enumerate(texts)]}


@settings(max_examples=examples(50))
@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_refused_entries_are_told_and_the_others_are_there(bad: list[bool]) -> None:
    texts = [f"{'bad' if one else 'good'} {k}" for k, one in enumerate(bad)]
    target = FakeTarget(lambda line: line.startswith(b"bad"))
    refused = pusher_of(target).push("t", lines(*texts))
    assert [one.entry[1].decode() for one in refused] == [t for t in texts if t.startswith("bad")]
    assert all(one.reason == "no such line" for one in refused)
    assert [one[3].decode() for one in target.order] == [t for t in texts if t.startswith("good")]


def test_too_many_refused_entries_end_it() -> None:
    target = FakeTarget(lambda _: True)
    with pytest.raises(TargetError, match=r"more than 5 entries.*no such line"):
        pusher_of(target, most_refused=5).push("t", lines(*map(str, range(100))))
    assert target.pushes < 100


def test_a_busy_target_is_waited_for() -> None:
    target, waits = FakeTarget(), []  # type: FakeTarget, list[float]
    target.answers = [Answer(429, "slow down", 3.0), Answer(503, "away"), Answer(0, "refused")]
    assert pusher_of(target, waits).push("t", lines("x")) == []
    assert waits[0] == 3.0
    assert len(waits) == 3
    assert len(target.stored) == 1


def test_what_is_above_the_burst_is_halved() -> None:
    target = FakeTarget()
    target.answers = [Answer(429, "burst")] * 3
    assert pusher_of(target).push("t", lines("x", "y")) == []
    assert len(target.stored) == 2


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(401, "no"), "does not let us push .*tenant 't'"),
        (Answer(403, "no"), "does not let us push"),
        (Answer(404, "not found"), "is this the address"),
        (Answer(200), "answered 200 to a push, not 204"),
        (Answer(260, "blocked"), "answered 260"),
        (Answer(302), "answered 302"),
    ],
)
def test_what_waiting_does_not_help_ends_it(answer: Answer, told: str) -> None:
    target = FakeTarget()
    target.answers = [answer]
    with pytest.raises(TargetError, match=told):
        pusher_of(target).push("t", lines("x"))


def test_an_end_of_patience_has_the_last_words() -> None:
    target = FakeTarget()
    target.answers = [Answer(503, "not today")] * 1000
    with pytest.raises(TargetError, match="the last answer was: not today"):
        pusher_of(target).push("t", lines("x"))
