"""Does an address filter keep the lines that hold an address, whatever it looks at first?"""

import ipaddress

from hypothesis import given, settings
from hypothesis import strategies as st

from logql.ast import LineFilter, LineOp, LineOperand
from narfi.core.text.ip import compile_ip, contains_ip
from querier.operators.frame import frame_of
from querier.operators.line_filter import LineFilterOperator, begin_of
from tests.core.kernels.test_ip_scan import LINES
from tests.reference.budget import examples
from tests.reference.frames import batch_of

V4 = st.ip_addresses(v=4)


@settings(max_examples=examples(200))
@given(st.lists(LINES, min_size=1, max_size=5), V4, V4, st.integers(1, 32))
def test_addresses(
    lines: list[str], first: ipaddress.IPv4Address, second: ipaddress.IPv4Address, size: int
) -> None:
    low, high = sorted([first, second])
    network = ipaddress.ip_network(f"{first}/{size}", strict=False)
    told = [*lines, f"from {low}", f"x{network[-1]}:80 - {network[0]}", "::1"]
    for text in (str(first), f"{low}-{high}", f"{first}/{size}", "::/1"):
        stage = LineFilter(LineOp.CONTAINS, (LineOperand(text, is_ip=True),))
        batch = batch_of([({"app": "a"}, {}, 1, line.encode()) for line in told])
        kept = LineFilterOperator(stage).apply(frame_of(batch)).rows.tolist()
        wanted = compile_ip(text)
        assert kept == [k for k, line in enumerate(told) if contains_ip(wanted, line.encode())]


@settings(max_examples=examples(200))
@given(V4, st.integers(0, 32), st.integers(0, (1 << 32) - 1))
def test_addresses_of_a_block_begin_alike(
    first: ipaddress.IPv4Address, size: int, other: int
) -> None:
    wanted = compile_ip(f"{first}/{size}")
    begin = begin_of(wanted).decode()
    inside = str(ipaddress.IPv4Address(wanted.low + other % (wanted.high - wanted.low + 1)))
    assert inside.startswith(begin)
    assert begin.count(".") == (3 if size == 32 else size // 8)
