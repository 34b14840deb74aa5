"""Do line filters keep the lines that they should, whatever is looked at first?"""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logql.ast import LineFilter, LineOp, LineOperand
from narfi.core.columns import Spans
from narfi.core.errors import AppError
from narfi.core.text.ip import compile_ip, contains_ip
from querier.operators.frame import frame_of
from querier.operators.line_filter import (
    LineFilterOperator,
    LineFilters,
    begin_of,
    needles_of_filter,
)
from storage.lines.plain import PlainLines
from tests.core.kernels.test_ip_scan import LINES
from tests.reference.budget import examples
from tests.reference.frames import batch_of
from tests.reference.pipeline import line_passes
from tests.reference.queries import line_filters

PATHS = st.sampled_from(["api", "GET /", "error", "level=", "10.0.0.5", "timeout", "é", '"a"', " "])
STORED = st.lists(
    st.lists(PATHS | st.text(max_size=4), max_size=6).map("".join).map(str.encode),
    min_size=1,
    max_size=12,
)


def is_understood(stage: LineFilter) -> bool:
    """Whether its pattern is one."""
    try:
        LineFilterOperator(stage)
    except AppError:
        return False
    return True


FILTERS = line_filters().filter(is_understood)


@settings(max_examples=examples(300))
@given(STORED, st.lists(FILTERS, min_size=1, max_size=4))
def test_several_filters_keep_what_each_of_them_keeps(
    lines: list[bytes], stages: list[LineFilter]
) -> None:
    wanted = [k for k, line in enumerate(lines) if all(line_passes(line, s) for s in stages)]
    filters = LineFilters([LineFilterOperator(stage) for stage in stages])
    rows = filters.rows(PlainLines(Spans.of(lines)))
    assert (list(range(len(lines))) if rows is None else rows.tolist()) == wanted


@settings(max_examples=examples(300))
@given(STORED, FILTERS)
def test_lines_that_are_kept_hold_the_needles(lines: list[bytes], stage: LineFilter) -> None:
    needles = needles_of_filter(stage)
    assert all(needles), "an empty text is asked of nobody"
    for line in lines:
        if line_passes(line, stage):
            assert all(needle in line for needle in needles)


@pytest.mark.parametrize(
    ("op", "text", "is_ip", "needles"),
    [
        (LineOp.CONTAINS, "GET", False, (b"GET",)),
        (LineOp.CONTAINS, "", False, ()),
        (LineOp.NOT_CONTAINS, "GET", False, ()),
        (LineOp.MATCHES, "id=[0-9]+ done", False, (b" done", b"id=")),
        (LineOp.MATCHES, "a1|b2", False, ()),
        (LineOp.MATCHES, "(?i)GET", False, ()),
        (LineOp.CONTAINS, "10.1.0.0/16", True, (b"10.1.",)),
        (LineOp.PATTERN, "<_>GET <_>done", False, (b"GET ", b"done")),
    ],
)
def test_needles(op: LineOp, text: str, is_ip: bool, needles: tuple[bytes, ...]) -> None:
    assert needles_of_filter(LineFilter(op, (LineOperand(text, is_ip=is_ip),))) == needles


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
