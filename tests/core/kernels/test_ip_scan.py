"""Do the compiled searches equal the functions over one line?"""

import ipaddress

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from narfi.core.columns import Spans
from narfi.core.kernels.ip_scan import contains_address
from narfi.core.kernels.mask_scan import KINDS, mask_hashes
from narfi.core.text.ip import compile_ip, contains_ip
from narfi.core.text.masks import mask
from tests.reference.budget import examples

ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
TEXTS = st.one_of(
    ADDRESSES.map(str),
    ADDRESSES.map(lambda a: a.exploded),
    st.text("0123456789abcdefABF:. x", max_size=30),
    st.sampled_from(
        ["10.0.0.1", "::1", "1::2::3", "01.2.3.4", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8"]
    ),
)
LINES = st.lists(TEXTS, max_size=4).map(" ".join)


def halves(address: int) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    """The high and low 64 bits."""
    return np.array([address >> 64, address & (1 << 64) - 1], np.uint64)


@settings(max_examples=examples(400))
@given(st.lists(LINES, max_size=5), ADDRESSES, ADDRESSES)
@example(["::ffff:1.2.3.4"], ipaddress.ip_address("::"), ipaddress.ip_address("::"))
@example(["1:2:3:4:5:6:7::"], ipaddress.ip_address("::"), ipaddress.ip_address("::"))
def test_addresses(
    lines: list[str],
    first: ipaddress.IPv4Address | ipaddress.IPv6Address,
    second: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if first.version != second.version:
        second = first
    low, high = sorted([int(first), int(second)])
    for text in (str(first), f"{type(first)(low)}-{type(first)(high)}", f"{first}/9"):
        wanted = compile_ip(text)
        spans = Spans.of(line.encode() for line in lines)
        out = np.empty(len(lines), np.bool_)
        low_half, high_half = halves(wanted.low), halves(wanted.high)
        version = wanted.version
        contains_address(spans.data, spans.start, spans.length, version, low_half, high_half, out)
        assert out.tolist() == [contains_ip(wanted, line.encode()) for line in lines]


@settings(max_examples=examples(300))
@given(st.lists(st.binary(max_size=20) | st.text(max_size=20).map(str.encode), max_size=8))
def test_equal_masks_have_equal_hashes(lines: list[bytes]) -> None:
    spans = Spans.of(lines)
    hashes = np.empty(len(lines), np.uint64)
    mask_hashes(spans.data, spans.start, spans.length, np.frombuffer(KINDS, np.uint8), hashes)
    for a, one in zip(hashes.tolist(), lines, strict=True):
        for b, other in zip(hashes.tolist(), lines, strict=True):
            if a == b:
                assert mask(one) == mask(other)
