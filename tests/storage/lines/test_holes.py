"""Do typed columns answer about their texts as the texts would?"""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from storage.lines.holes import HexColumn, IntegerColumn
from storage.lines.template import Hole, HoleKind, HoleType, Role, fits_layout, longest_digits
from tests.reference.budget import examples

LAYOUTS = (b"YYYY-MM-DD hh:mm:ss,fff", b"DD/bbb/YYYY:hh:mm:ss +0000")
NUMBERS = st.lists(
    st.one_of(st.integers(-(10**18) + 1, 10**18 - 1), st.integers(-2000, 2000)),
    min_size=1,
    max_size=30,
)


@settings(max_examples=examples(300))
@given(NUMBERS, st.data())
@example([0, 10, 100, 1001, 10**17, -5], None)
def test_digits_are_found_without_printing(numbers: list[int], data: st.DataObject | None) -> None:
    column = IntegerColumn(np.array(numbers, np.int64), HoleType(kind=HoleKind.NUMBER))
    texts = [str(number).encode() for number in numbers]
    needles = [b"0", b"00", b"1", b"10", b"000000", b"999999999999999"]
    if data is not None:
        text = data.draw(st.sampled_from(texts)).lstrip(b"-")
        first = data.draw(st.integers(0, len(text) - 1))
        needles.append(text[first : data.draw(st.integers(first + 1, len(text)))])
        needles.append(b"%d" % data.draw(st.integers(0, 10**15)))
    for needle in needles:
        assert column.contains(needle).tolist() == [needle in text for text in texts]


@settings(max_examples=examples(200))
@given(st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=20), st.data())
def test_hex_digits_are_found_at_any_place(values: list[bytes], data: st.DataObject) -> None:
    column = HexColumn(np.frombuffer(b"".join(values), np.uint8).reshape(-1, 8), b"x" * 16)
    texts = [value.hex().encode() for value in values]
    text = data.draw(st.sampled_from(texts))
    first = data.draw(st.integers(0, 15))
    needle = text[first : data.draw(st.integers(first + 1, 16))]
    for wanted in (needle, needle[::-1], needle[:-1] + b"0", b"00", b"0g"):
        assert column.contains(wanted).tolist() == [wanted in text for text in texts]


@given(st.integers(0, 2 * 10**9), st.sampled_from(LAYOUTS), st.data())
def test_what_is_in_a_time_fits_its_layout(
    seconds: int, layout: bytes, data: st.DataObject
) -> None:
    kind = HoleType(kind=HoleKind.TIME, layout=layout)
    column = IntegerColumn(np.array([seconds * kind.time_factor], np.int64), kind)
    (text,) = column.spans().to_list()
    assert text is not None
    first = data.draw(st.integers(0, len(text)))
    assert fits_layout(text[first : data.draw(st.integers(first, len(text)))], layout)
    assert not fits_layout(text + b"0", layout)
    assert not fits_layout(b"zzz", layout)
    assert not fits_layout(b"55555", layout)


@given(st.integers(0, 10**9), st.integers(1, 4), st.integers(0, 3))
def test_no_value_has_more_digits_side_by_side(number: int, scale: int, least: int) -> None:
    least = min(least, scale)
    kind = HoleType(kind=HoleKind.NUMBER, scale=scale, least=least)
    (text,) = IntegerColumn(np.array([number], np.int64), kind).spans().to_list()
    assert text is not None
    hole = Hole(
        name="n", type=kind, role=Role.WORD, classes=65, min_length=len(text), max_length=len(text)
    )
    assert longest_digits(text) <= hole.longest_digits


@given(
    st.sampled_from([0, -3, 2**62, -(2**63), 2**63 - 41]),
    st.lists(st.integers(0, 40) | st.sampled_from([0, 40])),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
)
@example(-(2**63), [0], [2**63 - 1])
@settings(max_examples=examples(100), deadline=None)
def test_equal_numbers_have_one_code(base: int, near: list[int], far: list[int]) -> None:
    """Whether they lie close together, where the table is small, or as far apart as they can."""
    numbers = [base + number for number in near] + far
    column = IntegerColumn(np.array(numbers, np.int64), HoleType(kind=HoleKind.NUMBER))
    codes, texts = column.encoded()
    printed = column.spans().to_list()
    assert [texts.to_list()[code] for code in codes.tolist()] == printed
    assert texts.to_list() == list(dict.fromkeys(printed))
