"""A value is taken from where it begins just as the obvious functions take the whole text."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from narfi.core.kernels.shape_times import NO_TIME, time_value
from narfi.core.kernels.shape_values_at import NOT_HEX, hex8_at, hex_at, ipv4_at, number_at
from storage.block.shapes.infer import time_layout
from tests.reference import shape_kernels as slow
from tests.reference.similar import ADDRESSES, HEX, NUMBERS, TIMES

TEXT = st.one_of(
    st.sampled_from(NUMBERS),
    st.text("0123456789", min_size=1, max_size=20).map(str.encode),
    st.from_regex(rb"\A-?[0-9]{1,9}(\.[0-9]{1,9})?\Z"),
    st.text("0123456789.-", max_size=8).map(str.encode),
)
BEHIND = st.sampled_from([b"", b" ", b"x", b".", b".x", b"ms", b","])


def address(text: bytes) -> tuple[int, NDArray[np.uint8]]:
    """Where a text lies; the array keeps it there."""
    data = np.frombuffer(text or b"\0", np.uint8).copy()
    return data.ctypes.data, data


def number(text: bytes, kind: tuple[int, int, int]) -> tuple[int, int] | None:
    """(value, bytes taken)."""
    at, _data = address(text)
    value, behind = number_at(at, at + len(text), *kind)
    return None if behind == 0 else (int(value), int(behind) - at)


KINDS = st.one_of(
    st.tuples(st.integers(0, 9), st.integers(0, 4), st.just(1)).filter(lambda k: k[1] <= k[0]),
    st.tuples(st.just(0), st.just(0), st.integers(2, 9)),
)


@given(TEXT, BEHIND, KINDS)
@example(b"12.50", b"", (2, 2, 1))
@example(b"12.5", b".", (2, 0, 1))
@example(b"-0", b"", (0, 0, 1))
@example(b"9999999999999999999", b"", (0, 0, 1))
@example(b"0123", b"", (0, 0, 3))
def test_a_number_prints_back_as_it_was(
    text: bytes, behind: bytes, kind: tuple[int, int, int]
) -> None:
    found = number(text + behind, kind)
    if found is not None:
        value, size = found
        assert slow.print_decimal(value, *kind) == (text + behind)[:size]
        assert not (text + behind)[size : size + 1].isdigit()


@given(st.integers(-(10**12), 10**12), KINDS, st.sampled_from([b"", b" 1", b".", b"ms"]))
def test_what_is_printed_is_taken_whole(
    value: int, kind: tuple[int, int, int], behind: bytes
) -> None:
    if value < 0 and kind[2] > 1:
        return  # no padded number is negative
    text = slow.print_decimal(value, *kind)
    if len(text.strip(b"-").replace(b".", b"")) + kind[0] <= 18:
        assert number(text + behind, kind) == (value, len(text))


@given(st.one_of(st.sampled_from(ADDRESSES), st.text("0123456789.", max_size=15).map(str.encode)))
def test_addresses(text: bytes) -> None:
    at, _data = address(text)
    value, behind = ipv4_at(at, at + len(text))
    wanted = slow.parse_address(text)
    if wanted is not None:
        assert (value, behind - at) == (wanted, len(text))
    elif behind:
        assert slow.parse_address(text[: behind - at]) == value


@given(st.binary(min_size=8, max_size=8))
@example(b"0123abcf")
@example(b"0123abcF")
@example(b"\xb0123abc")
@example(b"/:`g0000")
def test_eight_digits(text: bytes) -> None:
    at, _data = address(text)
    found = hex8_at(at)
    if all(byte in b"0123456789abcdef" for byte in text):
        assert found == int.from_bytes(bytes.fromhex(text.decode()), "little")
    else:
        assert found == NOT_HEX


@pytest.mark.parametrize("text", [text for text in HEX if b"x" not in text])
def test_hex_by_a_layout(text: bytes) -> None:
    layout = bytes(ord("x") if byte in b"0123456789abcdef" else byte for byte in text)
    out = np.zeros(32, np.uint8)
    at, _text = address(text)
    where, _layout = address(layout)
    assert hex_at(at, where, len(text), out, 1)
    digits = "".join(chr(byte) for byte in text if byte in b"0123456789abcdef")
    whole = bytes.fromhex(digits[: len(digits) // 2 * 2])
    assert out[1 : 1 + len(whole)].tobytes() == whole
    other, _other = address(text.replace(b"0", b"G").replace(b"-", b"+").replace(b"d", b"D"))
    if _other.tobytes() != text:
        assert not hex_at(other, where, len(text), out, 1)


@given(st.sampled_from(TIMES), st.integers(0, 40), st.integers(0, 255))
def test_times(text: bytes, place: int, byte: int) -> None:
    layout = time_layout(text)
    if layout is None:
        return
    changed = bytearray(text)
    if place < len(text):
        changed[place] = byte
    at, _text = address(bytes(changed))
    where, _layout = address(layout)
    wanted = slow.parse_time(bytes(changed), layout)
    assert time_value(at, where, len(layout)) == (NO_TIME if wanted is None else wanted)
