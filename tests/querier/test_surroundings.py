"""Is what is around an entry one piece of all entries, also at equal times?"""

from hypothesis import given, settings
from hypothesis import strategies as st

from logql import ast
from narfi.core.labels import Labels
from querier.executors.local import LocalExecutor
from querier.logs.cursor import Cursor
from querier.query import Direction
from querier.surroundings import SPANS_NS, Place, Side, Surroundings, rows_of
from tests.querier.test_engine import engine_of, options
from tests.querier.test_line_stream import FEW_TIMES, shown_of
from tests.reference.budget import examples
from tests.reference.logs import NS, START_NS, Entry
from tests.reference.ordered import Shown, shown_in_order

EVERYTHING = ast.LogQuery(ast.Selector(()), ())


def around(executor: LocalExecutor, parts: list[list[Entry]], stream: Labels) -> Surroundings:
    """Of one stream, in all time."""
    wanted = options(-(2**61), 2**62, frozenset(), categorize_labels=True)
    return Surroundings(engine_of(parts, executor), wanted, stream, None)


def read(side: Side) -> list[Shown]:
    """Nearest first."""
    return [one for batch in side.batches for one in shown_of(batch)]


def every(side_of: Surroundings, cursor: Cursor | None, at_once: int) -> list[Shown]:
    """All of one side, by its cursors."""
    found: list[Shown] = []
    while cursor is not None:
        side = side_of.side(cursor, at_once)
        assert rows_of(side.batches) <= at_once
        found += read(side)
        cursor = side.cursor
    return found


@settings(max_examples=examples(60))
@given(FEW_TIMES, st.integers(1, 4))
def test_what_is_around_each_entry(
    executor: LocalExecutor, parts: list[list[Entry]], at_once: int
) -> None:
    entries = [entry for part in parts for entry in part]
    for stream in {Labels.of(labels) for labels, *_ in entries}:
        mine = [entry for entry in entries if Labels.of(entry[0]) == stream]
        whole = shown_in_order(EVERYTHING, mine, backward=False)
        looks = around(executor, parts, stream)
        for number, one in enumerate(whole):
            place = Place(stream=stream, ts_ns=one.ts, order=one.order)
            own = looks.own(place)
            assert own is not None
            assert shown_of(own) == [one]
            before = every(looks, place.cursor(Direction.BACKWARD), at_once)
            assert before == whole[:number][::-1]
            assert every(looks, place.cursor(Direction.FORWARD), at_once) == whole[number + 1 :]


def test_a_quiet_stream_is_looked_at_from_end_to_end(executor: LocalExecutor) -> None:
    stream = {"app": "quiet"}
    times = [START_NS, *(START_NS + span + NS for span in SPANS_NS[:2])]
    entries: list[Entry] = [(stream, {}, ts, b"line %d" % ts) for ts in times]
    looks = around(
        executor, [entries, [({"app": "other"}, {}, START_NS, b"no")]], Labels.of(stream)
    )
    place = Place(stream=Labels.of(stream), ts_ns=times[0], order=0)
    assert [one.ts for one in read(looks.side(place.cursor(Direction.FORWARD), 9))] == times[1:]
    last = Place(stream=Labels.of(stream), ts_ns=times[2], order=0)
    assert [one.ts for one in read(looks.side(last.cursor(Direction.BACKWARD), 9))] == times[1::-1]


def test_an_entry_that_is_not_there(executor: LocalExecutor) -> None:
    stream = Labels.of({"app": "api"})
    parts: list[list[Entry]] = [[({"app": "api"}, {}, START_NS + k, b"x") for k in (0, 2)]]
    looks = around(executor, parts, stream)
    place = Place(stream=stream, ts_ns=START_NS + 1, order=0)
    assert looks.own(place) is None
    assert [one.ts for one in read(looks.side(place.cursor(Direction.FORWARD), 1))] == [
        START_NS + 2
    ]
    assert [one.ts for one in read(looks.side(place.cursor(Direction.BACKWARD), 1))] == [START_NS]


def test_streams_that_share_labels(executor: LocalExecutor) -> None:
    streams = [{"app": "api", "pod": pod} for pod in "abc"] + [{"app": "web", "pod": "a"}]
    entries: list[Entry] = [(labels, {}, START_NS, b"same") for labels in streams]
    wanted = options(-(2**61), 2**62, frozenset(), categorize_labels=True)
    own = Labels.of(streams[1])
    looks = Surroundings(engine_of([entries], executor), wanted, own, ["app"])
    place = Place(stream=own, ts_ns=START_NS, order=0)
    before = every(looks, place.cursor(Direction.BACKWARD), 1)
    after = every(looks, place.cursor(Direction.FORWARD), 1)
    itself = looks.own(place)
    assert itself is not None
    found = [*before[::-1], *shown_of(itself), *after]
    mine = shown_in_order(EVERYTHING, entries[:3], backward=False)
    assert found == mine
