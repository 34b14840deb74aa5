"""How often is what comes written, in a month of each kind of tenant, and what blocks are left?

The flush counts too. `pytest -s` prints the table.
"""

import random
from collections.abc import Callable

import pytest

from tests.upkeep.simulation import (
    DAY,
    HOUR,
    KB,
    MB,
    MINUTE,
    SECOND,
    Arrival,
    Outcome,
    Simulation,
    cut,
    steady,
)
from upkeep.merge_policy import MergeRules

MONTH = 30
MAX_AMPLIFICATION = 5.0
MAX_DEEPEST = 10
"""Of a single entry."""
MAX_BLOCKS = 25
"""Of a day, and of the last hour, that are not mature."""
MAX_QUIET = 10
"""Of a day that is quiet: each of those that are left is larger than all smaller ones together."""


def tiny() -> list[Arrival]:
    """A few lines in each block that age cuts."""
    return steady(MONTH, 5 * MINUTE, lambda chance: chance.uniform(0.1, 4) * KB)


def small() -> list[Arrival]:
    """288 blocks of 200 KB a day."""
    return steady(MONTH, 5 * MINUTE, lambda _: 200 * KB)


def uneven() -> list[Arrival]:
    """As many, from 2 KB to 2 MB."""
    return steady(MONTH, 5 * MINUTE, lambda chance: 200 * KB * 10 ** chance.uniform(-2, 1))


def medium() -> list[Arrival]:
    """288 blocks of 2 MB a day."""
    return steady(MONTH, 5 * MINUTE, lambda chance: 2 * MB * chance.uniform(0.8, 1.2))


def full() -> list[Arrival]:
    """Blocks that their size cuts, one in two minutes."""
    return steady(MONTH, 2 * MINUTE, lambda chance: chance.uniform(28, 36) * MB)


def by_day() -> list[Arrival]:
    """Almost nothing at night, 10 MB in five minutes at noon."""
    chance = random.Random(3)
    blocks = []
    for at in range(5 * MINUTE, MONTH * DAY, 5 * MINUTE):
        hour = at % DAY / HOUR
        share = max(0.001, 1 - abs(hour - 12) / 6)
        blocks.append(cut(at, int(10 * MB * share * chance.uniform(0.7, 1.3))))
    return blocks


def bursts() -> list[Arrival]:
    """A trickle, and now and then a flood of full blocks."""
    chance = random.Random(5)
    blocks = steady(MONTH, 5 * MINUTE, lambda chance: chance.uniform(1, 50) * KB)
    for _ in range(60):
        begin = chance.randrange(MONTH * DAY)
        for k in range(chance.randrange(5, 60)):
            at = begin + (k + 1) * 10 * SECOND
            blocks.append(cut(at, int(chance.uniform(10, 36) * MB), 10 * SECOND))
    return blocks


def late() -> list[Arrival]:
    """In each block some entries of hours, or a day, ago."""
    chance = random.Random(6)
    return [
        Arrival(one.at_ns, one.min_ts - int(chance.random() ** 6 * 30 * HOUR), one.max_ts, 300 * KB)
        for one in steady(MONTH, 5 * MINUTE, lambda _: 300 * KB)
        if one.min_ts > 2 * DAY
    ]


def backfill() -> list[Arrival]:
    """A month of old days within two days, beside a small stream of new ones."""
    chance = random.Random(8)
    blocks = steady(2, 5 * MINUTE, lambda chance: 100 * KB * chance.random())
    for at in range(MINUTE, 2 * DAY, MINUTE):
        ts = -MONTH * DAY + at * MONTH // 2
        size = int(chance.uniform(0.1, 3) * MB)
        blocks.append(Arrival(at, ts, ts + MONTH // 2 * MINUTE, size))
    return blocks


def trickle_to_old_days() -> list[Arrival]:
    """Each old day gets a block now and then, long after it was quiet."""
    chance = random.Random(9)
    blocks = steady(MONTH, 5 * MINUTE, lambda _: 100 * KB)
    for at in range(3 * DAY, MONTH * DAY, 20 * MINUTE):
        ts = chance.randrange(at // DAY) * DAY + chance.randrange(DAY - MINUTE)
        blocks.append(Arrival(at, ts, ts + MINUTE - 1, int(chance.uniform(1, 200) * KB)))
    return blocks


def three_ingesters() -> list[Arrival]:
    """Each cuts its own 200 KB of the same five minutes."""
    return [cut(one.at_ns + k * SECOND, 200 * KB) for one in small() for k in range(3)]


KINDS = (
    tiny,
    small,
    uneven,
    medium,
    full,
    by_day,
    bursts,
    late,
    backfill,
    trickle_to_old_days,
    three_ingesters,
)


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_is_written_five_times_at_most_on_average(
    kind: Callable[[], list[Arrival]],
) -> None:
    arrivals = kind()
    outcome = Simulation().run(arrivals)
    tell(kind.__name__, arrivals, outcome)
    assert outcome.flushed == sum(one.line_bytes for one in arrivals)
    assert outcome.amplification <= MAX_AMPLIFICATION
    assert outcome.deepest <= MAX_DEEPEST
    assert outcome.end_of_day <= MAX_BLOCKS
    assert outcome.quiet <= MAX_QUIET
    in_an_hour = max_bytes_in_an_hour(arrivals)
    assert outcome.last_hour <= MAX_BLOCKS + in_an_hour // (64 * MB)


def test_an_eager_policy_would_be_noticed() -> None:
    eager = MergeRules(min_blocks=4, growth=1.0, least_growth=1.0, too_many=4)
    outcome = Simulation(eager).run(small())
    tell("small, eager", small(), outcome)
    assert outcome.amplification > 2 * MAX_AMPLIFICATION


def test_a_policy_that_only_waits_would_be_noticed() -> None:
    never = MergeRules(min_blocks=64, growth=64.0, least_growth=64.0, too_many=64)
    outcome = Simulation(never).run(uneven())
    assert outcome.end_of_day > MAX_BLOCKS


def tell(name: str, arrivals: list[Arrival], outcome: Outcome) -> None:
    """A line of the table."""
    print(
        f"{name:20} flushed {len(arrivals):6} blocks, {outcome.flushed / MB:8.0f} MB; "
        f"written {outcome.amplification:4.2f} times (deepest {outcome.deepest}); "
        f"end of day {outcome.end_of_day:2}, quiet {outcome.quiet}, last hour {outcome.last_hour}, "
        f"left {outcome.left} in all"
    )


def max_bytes_in_an_hour(arrivals: list[Arrival]) -> int:
    """The most that came within two hours of the clock."""
    hours: dict[int, int] = {}
    for one in arrivals:
        for hour in (one.at_ns // HOUR, one.at_ns // HOUR + 1):
            hours[hour] = hours.get(hour, 0) + one.line_bytes
    return max(hours.values())
