"""Is the promised rate held over any time, and is what is allowed also used?"""

from hypothesis import given
from hypothesis import strategies as st

from narfi.history.pace import Pace
from narfi.history.patience import LONGEST_S, Patience


class Clock:
    """Goes on when somebody sleeps, or works."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self.slept.append(seconds)


@given(
    st.floats(1, 1e6),
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 2)), min_size=1, max_size=60),
)
def test_never_faster_over_any_time(rate: float, steps: list[tuple[float, float]]) -> None:
    clock = Clock()
    pace = Pace(rate, clock, clock.sleep)
    taken: list[tuple[float, float]] = []
    for work_s, share in steps:
        clock.now += work_s
        pace.take(share * rate)
        taken.append((clock.now, share * rate))
    for first in range(len(taken)):
        total = 0.0
        for at, amount in taken[first:]:
            total += amount
            spent_s = at - taken[first][0]
            allowed = rate * (spent_s + 1) + taken[first][1]
            assert total <= allowed * (1 + 1e-6) + 1e-6


def test_what_is_allowed_is_used() -> None:
    clock = Clock()
    pace = Pace(100.0, clock, clock.sleep)
    for _ in range(100):
        pace.take(10.0)
    assert 8.9 <= clock.now <= 9.1  # a thousand, a hundred of them at once


def test_no_limit() -> None:
    clock = Clock()
    Pace(0, clock, clock.sleep).take(1e12)
    assert clock.slept == []


def test_pauses_grow_up_to_an_end() -> None:
    clock = Clock()
    told: list[str] = []
    patience = Patience(600, told.append, clock, clock.sleep)
    while patience.wait("away"):
        assert clock.now <= 600
    assert clock.now > 500
    assert clock.slept[0] < 1 < clock.slept[2]
    assert LONGEST_S * 0.8 <= max(clock.slept) <= LONGEST_S * 1.2
    assert told[-1].startswith("away; again in ")


def test_what_goes_well_begins_anew() -> None:
    clock = Clock()
    patience = Patience(10, lambda _: None, clock, clock.sleep)
    for _ in range(20):
        assert patience.wait("away", 7.0)
        patience.went_well()
    assert patience.wait("away", 7.0)
    assert not patience.wait("away", 7.0)
