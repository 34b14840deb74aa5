"""Do families hold every line, with columns that print it again? Against slow twins."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from storage.block.metrics import REFUSED_SHAPES
from storage.block.shapes import columns
from storage.block.shapes.family_memory import FamilyMemory
from storage.block.shapes.infer import InferredHole, Part, infer
from storage.block.shapes.least import FLUSHED, MERGED
from storage.lines.holes import IntegerColumn
from tests.reference.budget import examples
from tests.reference.families import check_family, made, slow_lines
from tests.reference.similar import look_alikes, similar_lines, sprinkle, thresholds

LOGHUB = Path("/work/shared/data/loghub")
Streams = Sequence[tuple[dict[str, str], Sequence[bytes]]]


def check(
    streams: Streams, text: int = 1, keyed: int = 1, memory: FamilyMemory | None = None
) -> None:
    """Every line comes back, once."""
    found: dict[int, bytes] = {}
    for family in made(streams, text, keyed, memory):
        check_family(family)
        mine = slow_lines(family)
        assert not set(mine) & set(found)
        found |= mine
    wanted = [line for _, lines in streams for line in lines]
    assert [found[row] for row in range(len(wanted))] == wanted
    assert len(found) == len(wanted)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples(150))
@given(
    lines=st.lists(similar_lines(), min_size=1, max_size=3),
    limits=st.sampled_from([None, (1, 8192, 4), (1, 2, 1), (3, 8192, 1)]),
    text=st.sampled_from([1, 2, 5]),
    constant=st.sampled_from([1, 3, 64]),
    apps=st.sampled_from(["", "a", "ab"]),
)
@example(lines=[[b"{}"], [b""]], limits=None, text=1, constant=64, apps="")
@example(lines=[[b'{"a":1,"a":2}', b'{"a":3,"A":4}']], limits=None, text=1, constant=1, apps="a")
def test_every_line_comes_back(
    lines: list[list[bytes]],
    limits: tuple[int, int, int] | None,
    text: int,
    constant: int,
    apps: str,
) -> None:
    streams = [
        ({"app": apps[n % len(apps)]} if apps else {"n": str(n)}, mine)
        for n, mine in enumerate(lines)
    ]
    before = REFUSED_SHAPES._value.get()
    with pytest.MonkeyPatch.context() as patch, thresholds(limits):
        patch.setattr(columns, "CONSTANT_ROWS", constant)
        check(streams, text)
    assert REFUSED_SHAPES._value.get() == before


@pytest.mark.parametrize("seed", range(3))
def test_known_kinds_of_logs_come_back(seed: int) -> None:
    streams = [({"app": name}, sprinkle(lines, seed)) for name, lines in look_alikes()]
    check(streams, 4)


def test_key_orders_share_columns() -> None:
    """Each order is a shape, each member a column."""
    lines = [
        line % n
        for n in range(30)
        for line in (
            b'{"level":"info","dur":%d}',
            b'{"dur":%d,"level":"warn"}',
            b'{"dur": %d, "level": "debug", "user": {"id": 7}}',
        )
    ]
    (family,) = made([({"app": "a"}, lines)])
    assert [column.name for column in family.columns] == ["level", "dur"]
    assert len(family.shapes) == 3
    assert not len(family.plain_rows)


def test_a_member_that_is_constant_in_many_lines_of_a_shape_is_a_constant_there() -> None:
    many = [b'{"app":"x","n":%d}' % n for n in range(64)]
    few = [b'{"n":%d,"app":"y"}' % n for n in range(63)]
    (family,) = made([({"app": "a"}, many + few)])
    assert [[hole.name for hole in shape.template.holes] for shape in family.shapes] == [
        ["n"],
        ["n"],
    ]
    few[0] = b'{"n":0,"app":"z"}'
    (family,) = made([({"app": "a"}, many + few)])
    assert [[hole.name for hole in shape.template.holes] for shape in family.shapes] == [
        ["n"],
        ["n", "app"],
    ]


def test_texts_share_columns_of_one_form() -> None:
    """Numbers with numbers, whatever the words around them say."""
    lines = [b"request %d took %d ms" % (n, n * 7) for n in range(20)]
    lines += [b"worker %d lost %d jobs of queue" % (n, n * 3) for n in range(20)]
    lines += [b"user %s left <%d>" % (b"abcdefgh"[n % 8 :][:1] * 3, n) for n in range(20)]
    (family,) = made([({"app": "a"}, lines)], 16)
    assert [column.name for column in family.columns] == ["v2", "v4", "v2_2"]


def test_texts_need_many_lines_json_needs_one() -> None:
    lines = [b"took %d ms" % n for n in range(9)] + [b'{"a":1}', b'{"a":2}', b'{"a":3,"b":[1]}']
    (family,) = made([({"app": "a"}, lines)], 10, 1)
    assert len(family.shapes) == 2
    assert family.plain_rows.tolist() == list(range(9))
    (family,) = made([({"app": "a"}, lines)], 9, 2)
    assert len(family.shapes) == 2
    assert family.plain_rows.tolist() == [11]
    assert (FLUSHED.text, MERGED.text) == (64, 32)


def test_keys_that_are_made_up_anew_stay_plain() -> None:
    lines = [b'{"user_%d":%d,"session_%d":1,"x_%d":"a"}' % (n, n, n, n) for n in range(50)]
    (family,) = made([({"app": "a"}, lines)])
    assert family.plain_rows.tolist() == list(range(50))


def test_a_field_is_typed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once a shape: that is what a cell costs."""
    asked: list[str] = []

    def counting(values: object, role: object, name: str, *limits: object) -> Part:
        asked.append(name)
        return infer(values, role, name, *limits)  # type: ignore[arg-type]

    monkeypatch.setattr(columns, "infer", counting)
    keys = [b'"a":%d', b'"b":%d', b'"c":%d', b'"d":%d']
    lines = [
        b"{" + b",".join(keys[(n + k) % 4] % (n + k) for k in range(1 + n % 4)) + b"}"
        for n in range(64)
    ]
    (family,) = made([({"app": "a"}, lines)])
    assert sorted(asked) == ["a", "b", "c", "d"]
    assert len(family.shapes) == 4


def test_a_column_that_prints_other_values_costs_space_not_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wrong(values: object, role: object, name: str, *limits: object) -> Part:
        part = infer(values, role, name, *limits)  # type: ignore[arg-type]
        holes = tuple(
            InferredHole(found.hole, IntegerColumn(found.column.values + 1, found.column.type))
            for found in part.holes
            if isinstance(found.column, IntegerColumn)
        )
        if not holes:
            return part
        return Part(part.constants, holes)

    monkeypatch.setattr(columns, "infer", wrong)
    before = REFUSED_SHAPES._value.get()
    numbers = [b"took %d ms" % n for n in range(100)]
    words = [b"GET [%s]" % word for word in (b"a", b"b", b"c")] * 3
    streams = [({"app": "a"}, numbers + words)]
    (family,) = made(streams)
    assert REFUSED_SHAPES._value.get() == before + 1
    texts = [shape.template.text() for shape in family.shapes]
    assert texts == ["GET [a]", "GET [b]", "GET [c]"]
    assert family.plain_rows.tolist() == list(range(100))
    assert [slow_lines(family)[row] for row in range(109)] == numbers + words


def test_a_crash_costs_space_not_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(columns, "infer", fail)
    before = REFUSED_SHAPES._value.get()
    lines = [b"took %d ms" % n for n in range(9)]
    (family,) = made([({"app": "a"}, lines)])
    assert REFUSED_SHAPES._value.get() == before + 1
    assert list(slow_lines(family).values()) == lines


def test_no_lines_no_families() -> None:
    assert made([]) == []


@pytest.mark.skipif(not LOGHUB.exists(), reason="real logs are not part of the project")
def test_real_logs_come_back() -> None:
    streams = [
        ({"app": file.stem}, file.read_bytes().splitlines())
        for file in sorted(LOGHUB.glob("*.log"))
    ]
    check(streams, 16)
