"""Are profiles, parsers and printers of values those of the obvious functions?"""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from narfi.core.columns import Spans
from narfi.core.kernels import shape_values as sv
from narfi.core.units import parse_float
from storage.block.shapes.infer import infer, time_layout
from storage.lines.holes import BytesColumn, HexColumn, HoleColumn, IntegerColumn
from storage.lines.template import HoleKind, HoleType, Role
from tests.reference import shape_kernels as slow
from tests.reference.budget import examples
from tests.reference.similar import (
    ADDRESSES,
    HEX,
    NUMBERS,
    RAW,
    THRESHOLDS,
    TIMES,
    WORDS,
    thresholds,
)

_DIGITS = st.text("0123456789", min_size=1, max_size=19)
DECIMALS = st.builds(
    lambda sign, whole, dot, fraction: (sign + whole + dot + (fraction if dot else "")).encode(),
    st.sampled_from(["", "", "-"]),
    _DIGITS,
    st.sampled_from(["", "."]),
    st.text("0123456789", max_size=18),
)
TEXTS = st.one_of(
    st.sampled_from([*NUMBERS, *HEX, *ADDRESSES, *TIMES, *WORDS, *RAW, b""]),
    DECIMALS,
    DECIMALS,
    st.binary(max_size=6),
    st.text("0123456789.-", max_size=8).map(str.encode),
)
VALUES = st.one_of(
    st.lists(TEXTS, min_size=1, max_size=6),
    st.lists(DECIMALS, min_size=1, max_size=6),
    st.lists(st.integers(-(10**18), 10**18).map(lambda n: b"%d" % n), min_size=1, max_size=6),
    st.tuples(
        st.binary(max_size=3), st.lists(TEXTS, min_size=1, max_size=4), st.binary(max_size=3)
    ).map(lambda found: [found[0] + text + found[2] for text in found[1]]),
)
SPREAD = st.integers(0, 3)
"""Bytes between the values in their buffer: the answer must not depend on what stands there."""


def spread(values: list[bytes], gap: int) -> Spans:
    """The values in one buffer with other bytes around."""
    parts = [b"09-.:a"[:gap] + value for value in values]
    packed = Spans.of([*parts, b"00"[:gap]])
    count = len(values)
    length = np.array([len(value) for value in values], np.int32)
    return Spans(packed.data, packed.start[:count] + gap, length)


@settings(max_examples=examples(300))
@given(VALUES, SPREAD)
def test_profile(values: list[bytes], gap: int) -> None:
    spans = spread(values, gap)
    found = np.zeros(sv.PROFILE_SIZE, np.int64)
    sv.profile(spans.data, spans.start, spans.length, found)
    wanted = slow.profile(values)
    assert bool(found[sv.SAME]) == wanted.same
    assert (found[sv.MIN_LENGTH], found[sv.MAX_LENGTH]) == wanted.lengths
    assert found[sv.CLASSES] == wanted.classes
    assert bool(found[sv.IS_DECIMAL]) == (wanted.decimal is not None)
    if wanted.decimal is not None:
        least, most, zeros, whole = wanted.decimal
        assert found[[sv.MIN_SCALE, sv.MAX_SCALE, sv.ZERO_SCALE, sv.MAX_WHOLE]].tolist() == [
            least,
            most,
            zeros,
            whole,
        ]
    assert found[sv.PREFIX] == wanted.prefix
    assert found[sv.SUFFIX] == wanted.suffix


@settings(max_examples=examples(250))
@given(
    st.lists(st.integers(-(10**18) + 1, 10**18 - 1), min_size=1, max_size=5),
    st.integers(0, 17),
    st.integers(0, 17),
    st.integers(1, 18),
)
@example([0, -1, 10, 100], 2, 1, 1)
def test_decimals_print_as_they_should(
    values: list[int], scale: int, least: int, width: int
) -> None:
    least = min(least, scale)
    column = IntegerColumn(
        np.array(values, np.int64),
        HoleType(kind=HoleKind.NUMBER, scale=scale, least=least, width=width),
    )
    wanted = [slow.print_decimal(value, scale, least, width) for value in values]
    assert column.spans().to_list() == wanted
    assert column.lengths().tolist() == [len(text) for text in wanted]


@settings(max_examples=examples(250))
@given(
    st.lists(
        st.sampled_from(ADDRESSES)
        | st.ip_addresses(v=4).map(lambda a: str(a).encode())
        | st.text("0123456789.", max_size=16).map(str.encode),
        min_size=1,
        max_size=4,
    ),
    SPREAD,
)
def test_addresses(values: list[bytes], gap: int) -> None:
    spans = spread(values, gap)
    out = np.empty(len(values), np.int64)
    good = sv.parse_ipv4(spans.data, spans.start, spans.length, out)
    wanted = [slow.parse_address(value) for value in values]
    assert good == (None not in wanted)
    if good:
        assert out.tolist() == wanted
        assert IntegerColumn(out, HoleType(kind=HoleKind.IPV4)).spans().to_list() == values


LAYOUTS = [layout for text in TIMES if (layout := time_layout(text)) is not None]
YEARS = ["1970", "2000", "1900", "2024", "2023", "1700", "1699", "2250", "2251"]
ODD = ["00", "02", "13", "24", "29", "30", "31", "32", "60", "Feb", "feb", "x"]


@st.composite
def times_of(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A layout and texts that are nearly of it."""
    layout = draw(st.sampled_from(LAYOUTS))
    when = st.datetimes().map(lambda t: t.strftime("%Y%m%d%H%M%S%f000|%b").rjust(27, "0"))
    texts = []
    for text in draw(st.lists(when, min_size=1, max_size=4)):
        digits, _, name = text.partition("|")
        year = draw(st.sampled_from([digits[:4], *YEARS]))
        fields = {"Y": year, "M": digits[4:6], "D": digits[6:8], "h": digits[8:10]}
        fields["m"] = digits[10:12]
        fields |= {"s": digits[12:14], "f": digits[14:23], "b": name}
        if draw(st.integers(0, 3)) == 0:
            odd = draw(st.sampled_from(ODD)).ljust(3, "0")
            fields[draw(st.sampled_from("MDhmsb"))] = odd
        made, used = "", dict.fromkeys(fields, 0)
        for char in layout.decode():
            if char in fields:
                made += fields[char][used[char] : used[char] + 1] or "0"
                used[char] += 1
            else:
                made += char
        texts.append(made.encode())
    return layout, texts


@settings(max_examples=examples(300))
@given(times_of(), SPREAD)
def test_times(found: tuple[bytes, list[bytes]], gap: int) -> None:
    layout, values = found
    spans = spread(values, gap)
    out = np.empty(len(values), np.int64)
    marks = np.frombuffer(layout, np.uint8)
    good = sv.parse_times(spans.data, spans.start, spans.length, marks, out)
    wanted = [slow.parse_time(value, layout) for value in values]
    assert good == (None not in wanted), values
    if good:
        assert out.tolist() == wanted
        kind = HoleType(kind=HoleKind.TIME, layout=layout)
        assert IntegerColumn(out, kind).spans().to_list() == values


def columns_of(values: list[bytes], limits: tuple[int, int, int] | None) -> list[HoleColumn]:
    """What the values are stored as."""
    with thresholds(limits):
        part = infer(Spans.of(values), Role.STRING, "v")
    texts = [b""] * len(values)
    for constant, hole in zip(part.constants, [*part.holes, None], strict=True):
        texts = [text + constant for text in texts]
        if hole is not None:
            more = hole.column.spans().to_list()
            texts = [text + (value or b"") for text, value in zip(texts, more, strict=True)]
    assert texts == values
    assert all(part.constants[1:-1])
    return [hole.column for hole in part.holes]


@settings(max_examples=examples(250))
@given(VALUES, THRESHOLDS)
def test_typed_values_are_the_texts(
    values: list[bytes], limits: tuple[int, int, int] | None
) -> None:
    for column in columns_of(values, limits):
        texts = [text or b"" for text in column.spans().to_list()]
        for needle in {text[a:b] for text in texts for a in (0, 1) for b in (2, 3, 99)} | {
            b"F",
            b"-",
        }:
            if needle:
                assert column.contains(needle).tolist() == [needle in text for text in texts]
        if isinstance(column, IntegerColumn):
            codes, distinct = column.encoded()
            assert [distinct.to_list()[code] for code in codes.tolist()] == texts
            assert len(set(distinct.to_list())) == len(distinct)
            numbers = column.numbers()
            if numbers is not None:
                assert numbers.tolist() == [float(text) for text in texts]
                assert numbers.tolist() == [parse_float(text.decode()) for text in texts]
                assert not np.signbit(numbers[numbers == 0]).any()


def test_every_type_is_found() -> None:
    kinds = {
        b"1 22 -3": HoleKind.NUMBER,
        b"0.5 1.25 3": HoleKind.NUMBER,
        b"007 123": HoleKind.NUMBER,
        b"10.0.0.1 255.255.255.255": HoleKind.IPV4,
        b"2023-11-14T22:13:20Z 2024-02-29T00:00:00Z": HoleKind.TIME,
    }
    for texts, kind in kinds.items():
        (column,) = columns_of(texts.split(), None)
        assert isinstance(column, IntegerColumn)
        assert column.type.kind is kind
    (column,) = columns_of([b"%08x" % (0xA0000000 + n * 977) for n in range(300)], None)
    assert isinstance(column, HexColumn)
    (column,) = columns_of([b"-0", b"0"], (1, 2, 9))
    assert isinstance(column, BytesColumn)
