"""Do lines of many shapes answer as their bytes would, all together or some of them?"""

from dataclasses import replace
from random import Random
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narfi.core.columns import Spans
from narfi.core.errors import AppError
from storage.block.prune import shapes_that_may_hold
from storage.lines import mixed, shape_set
from storage.lines.base import LineColumn
from storage.lines.mixed import MixedLines
from tests.reference.budget import examples
from tests.reference.families import made, mixed_lines, slow_lines
from tests.reference.similar import THRESHOLDS, similar_lines, thresholds
from tests.storage.lines.test_shaped import Limits, needles, patterns, slow_matches

Mixed = tuple[MixedLines, list[bytes]]
"""Lines and what they are."""
LINES = st.lists(similar_lines(), min_size=1, max_size=3)
LEAST = st.sampled_from([1, 2, 5])
SEED = st.integers(0, 1 << 16)
SLOW = [HealthCheck.too_slow]


def families(lines: list[list[bytes]], least: int, limits: Limits) -> list[Mixed]:
    """The lines as families; what is in few lines is plain."""
    with thresholds(limits):
        found = made([({"n": str(n)}, mine) for n, mine in enumerate(lines)], least)
    result = []
    for family in found:
        known = slow_lines(family)
        result.append((mixed_lines(family), [known[row] for row in family.rows().tolist()]))
    return result


def some_of(
    found: LineColumn, wanted: list[bytes], random: Random
) -> tuple[LineColumn, list[bytes]]:
    """All of the lines, or some: ascending, or in any order."""
    kind = random.choice(["all", "mask", "mask", "run", "order"])
    if kind == "all":
        return found, wanted
    rows = [row for row in range(len(wanted)) if random.random() < 0.6]
    if kind == "run":
        low = random.randrange(len(wanted) + 1)
        rows = list(range(low, random.randrange(low, len(wanted) + 1)))
    if kind == "order":
        random.shuffle(rows)
    mine = [wanted[row] for row in rows]
    if kind == "mask":
        return found.take(np.isin(np.arange(len(wanted)), rows)), mine
    return found.take(np.array(rows, np.int64)), mine


@settings(max_examples=examples(100), deadline=None, suppress_health_check=SLOW)
@given(LINES, LEAST, THRESHOLDS, SEED)
def test_texts(lines: list[list[bytes]], least: int, limits: Limits, seed: int) -> None:
    random = Random(seed)
    everything = [line for mine in lines for line in mine]
    for whole, known in families(lines, least, limits):
        for _ in range(3):
            found, wanted = some_of(whole, known, random)
            found, wanted = some_of(found, wanted, random)
            for needle in needles(everything, random):
                mask = [needle in line for line in wanted]
                assert found.contains(needle).tolist() == mask, needle
                if isinstance(found, MixedLines) and needle:
                    small = [needle.lower() in line.lower() for line in wanted]
                    assert found.contains_folded(needle.lower()).tolist() == small, needle
        for needle in needles(everything, random):
            may = shapes_that_may_hold(whole._rows.shapes, [needle, b""], None)
            held = np.array([needle in line for line in known], np.bool_)
            shapes = np.repeat(np.arange(len(may)), whole._rows.counts)
            assert may[shapes[held[: len(shapes)]]].all(), needle


@settings(max_examples=examples(100), deadline=None, suppress_health_check=SLOW)
@given(LINES, LEAST, THRESHOLDS, SEED)
def test_lines_and_sizes(lines: list[list[bytes]], least: int, limits: Limits, seed: int) -> None:
    random = Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixed, "MANY_DECODED", random.choice([1, 3, 10, 1000]))
        check_lines_and_sizes(lines, least, limits, random)


def check_lines_and_sizes(
    lines: list[list[bytes]], least: int, limits: Limits, random: Random
) -> None:
    for whole, known in families(lines, least, limits):
        for _ in range(4):
            found, wanted = some_of(whole, known, random)
            found, wanted = some_of(found, wanted, random)
            assert len(found) == len(wanted)
            if random.random() < 0.5:
                assert found.spans().to_list() == wanted
            assert found.lengths().tolist() == [len(line) for line in wanted]
            assert found.nbytes() == sum(map(len, wanted))
            assert found.spans().to_list() == wanted
            shape = found.shape()
            if shape is not None and isinstance(found, MixedLines):
                values = [shape.column(k).spans() for k in range(len(shape.template.holes))]
                assert all(len(column) == len(wanted) for column in values)
                assert found.shape().spans().to_list() == wanted  # type: ignore[union-attr]


@settings(max_examples=examples(50), deadline=None, suppress_health_check=SLOW)
@given(LINES, LEAST, THRESHOLDS, SEED)
def test_sizes_are_told_without_reading_a_column(
    lines: list[list[bytes]], least: int, limits: Limits, seed: int
) -> None:
    random = Random(seed)
    for whole, known in families(lines, least, limits):
        found, wanted = some_of(whole, known, random)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MixedLines, "column", unread)
            size = found.about_bytes(7.5)
        if not isinstance(found, MixedLines):
            assert size in (round(7.5 * len(wanted)), sum(map(len, wanted)))
            continue
        shaped = int(found.bounds[-2])
        if 2 * shaped >= len(wanted):
            assert size == round(7.5 * len(wanted))
        else:
            assert size == round(7.5 * shaped) + sum(map(len, wanted[shaped:]))


def unread(_lines: MixedLines, _number: int) -> NoReturn:
    """No column is asked for."""
    raise AssertionError("a column was read")


@settings(max_examples=examples(50), deadline=None, suppress_health_check=SLOW)
@given(LINES, LEAST, THRESHOLDS, SEED)
def test_matches(lines: list[list[bytes]], least: int, limits: Limits, seed: int) -> None:
    random = Random(seed)
    everything = [line for mine in lines for line in mine]
    for whole, known in families(lines, least, limits):
        found, wanted = some_of(whole, known, random)
        for pattern in patterns(everything, random):
            try:
                mask = slow_matches(wanted, pattern)
            except AppError:
                continue
            assert found.matches(pattern).tolist() == mask, pattern


@settings(max_examples=examples(50), deadline=None, suppress_health_check=SLOW)
@given(LINES, LEAST, st.sampled_from([1, 2, 10]), SEED)
def test_parts_have_each_row_once(
    lines: list[list[bytes]], least: int, many: int, seed: int
) -> None:
    random = Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixed, "MANY_ROWS", many)
        for whole, known in families(lines, least, None):
            found, wanted = some_of(whole, known, random)
            parts = [np.arange(len(found))[rows] for rows in found.parts()]
            assert sorted(np.concatenate(parts).tolist()) == list(range(len(found)))
            for rows in parts:
                part = found.take(rows)
                assert part.spans().to_list() == [wanted[row] for row in rows.tolist()]
                if len(parts) > 1 and rows is not parts[-1]:
                    assert part.shape() is not None


def test_plans_are_bounded() -> None:
    ((found, wanted),) = families(
        [[b"user %d took %d ms" % (n, n * 7) for n in range(50)]], 1, None
    )
    for n in range(2 * shape_set.MAX_REMEMBERED):
        needle = b"%d took" % n
        assert found.contains(needle).tolist() == [needle in line for line in wanted]
    assert len(found._rows.shapes.stamps._plans) <= shape_set.MAX_REMEMBERED


def test_a_shape_that_cannot_be_planned_is_decoded() -> None:
    """Holes that may hold what stands between them: more ways than are worth trying."""
    values = [b"x" + rb"\" \"" * 60 * (n % 2) + b"%d" % n for n in range(4)]
    lines = [b" ".join(b'"' + value + b'"' for _ in range(24)) for value in values]
    for found, wanted in families([lines], 1, None):
        for count in (1, 12, 40):
            needle = b'" "' * count + b"~"
            assert found.contains(needle).tolist() == [needle in line for line in wanted]


def test_no_rows() -> None:
    ((found, _),) = families([[b"a=%d b=%d" % (n, n % 3) for n in range(20)]], 1, None)
    nothing = found.take(np.zeros(0, np.int64))
    assert len(nothing) == 0
    assert nothing.spans().to_list() == []
    assert nothing.contains(b"a").tolist() == []
    assert nothing.matches("a|b").tolist() == []
    assert nothing.lengths().tolist() == []


def test_what_is_decoded_is_told_once() -> None:
    shaped = [b'{"id":%d,"user":"u%d"}' % (k, k % 3) for k in range(20)]
    ((whole, known),) = families([[*shaped, b"only once", b"and so this"]], 10, None)
    told: list[tuple[int, int]] = []
    rows = replace(whole._rows, decoded=lambda rows, size: told.append((rows, size)))
    plain = [line for line in known if not line.startswith(b"{")]
    assert len(plain) == 2
    lines = MixedLines(rows)
    assert not lines.contains(b"nowhere").any()
    assert sum(lines.lengths().tolist()) == sum(map(len, known))
    assert told == [(2, sum(map(len, plain)))]
    assert lines.take(np.arange(10, 22)).spans().to_list() == known[10:]
    assert [sum(column) for column in zip(*told, strict=True)] == [12, sum(map(len, known[10:]))]
    told.clear()
    assert MixedLines(rows).take(np.array([21])).spans().to_list() == known[21:]
    assert MixedLines(rows).spans().to_list() == known
    assert [sum(column) for column in zip(*told, strict=True)] == [
        23,
        sum(map(len, known)) + len(known[21]),
    ]


def test_no_rows_of_lines_without_plain_ones() -> None:
    shaped = [b'{"id":%d,"user":"u%d"}' % (k, k % 3) for k in range(20)]
    ((whole, _),) = families([shaped], 10, None)

    def plain() -> Spans:
        raise KeyError("there is no such column")

    lines = MixedLines(replace(whole._rows, plain=plain))
    assert len(lines.take(np.zeros(0, np.int64))) == 0
    assert len(lines.take(np.zeros(20, np.bool_))) == 0
    assert len(lines.spans()) == 20
