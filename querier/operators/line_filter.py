"""`|= != |~ !~ |> !>`: which lines stay (reference/logql.md §5)."""

from collections.abc import Sequence

import numpy as np

from logql.ast import LineFilter, LineOp, LineOperand
from narfi.core.columns import I64, Mask, Spans
from narfi.core.kernels.ip_scan import contains_address
from narfi.core.kernels.pattern_scan import match_pattern
from narfi.core.text.ip import IpSet, compile_ip
from narfi.core.text.pattern import Capture, Node, compile_filter_pattern
from querier.operators.frame import Frame
from storage.lines.base import LineColumn
from storage.lines.literals import required

_NEGATIVE = (LineOp.NOT_CONTAINS, LineOp.NOT_MATCHES, LineOp.NOT_PATTERN)
IPV4 = 4
FEW = 2
"""Of so many lines one: then the rest of the filters looks at those alone."""
_META = frozenset("\\.+*?()|[]{}^$")


class LineFilterOperator:
    """Keeps rows whose line satisfies any operand (none, for the negative operators)."""

    def __init__(self, stage: LineFilter) -> None:
        self._negative = stage.op in _NEGATIVE
        operands = stage.operands
        if stage.op in (LineOp.CONTAINS, LineOp.MATCHES) and len(operands) > 1:
            # what every line satisfies is passed over in an or chain (a quirk)
            operands = tuple(o for o in operands if not _takes_all(stage.op, o)) or operands
        self._tests = [_test_of(stage.op, operand) for operand in operands]

    def apply(self, frame: Frame) -> Frame:
        """The rows that stay."""
        keep = self.keep(frame.lines)
        return frame if keep.all() else frame.take(np.flatnonzero(keep))

    def keep(self, lines: LineColumn) -> Mask:
        """Which lines stay."""
        found: Mask | None = None
        for test in self._tests:
            hit = test(lines)
            found = hit if found is None else found | hit
        assert found is not None
        return ~found if self._negative else found

    @property
    def cost(self) -> tuple[bool, bool, int]:
        """What is asked first of several filters: long needles, which few lines hold."""
        plain = all(isinstance(test, _Contains) for test in self._tests)
        shortest = min(test.size for test in self._tests)
        return not plain, self._negative, -shortest


class LineFilters:
    """Filters one behind the other that see the same lines: whose order does not count."""

    def __init__(self, filters: Sequence[LineFilterOperator]) -> None:
        self._filters = sorted(filters, key=lambda one: one.cost)

    def rows(self, lines: LineColumn) -> I64 | None:
        """The lines that all of them keep; None: every one."""
        rows: I64 | None = None
        for number, one in enumerate(self._filters):
            if rows is not None and (not len(rows) or len(rows) * FEW < len(lines)):
                return _kept_of(rows, self._filters[number:], lines)
            keep = one.keep(lines)
            if rows is not None:
                rows = rows[keep[rows]]
            elif not keep.all():
                rows = np.flatnonzero(keep)
        return rows


def _kept_of(rows: I64, filters: Sequence[LineFilterOperator], lines: LineColumn) -> I64:
    """The rows that the filters keep; each looks at few lines."""
    lines = lines.take(rows)
    for one in filters:
        if not len(rows):
            break
        keep = one.keep(lines)
        if not keep.all():
            kept = np.flatnonzero(keep)
            rows, lines = rows[kept], lines.take(kept)
    return rows


def _takes_all(op: LineOp, operand: LineOperand) -> bool:
    return operand.value == "" or (op is LineOp.MATCHES and operand.value == ".*")


class _Contains:
    def __init__(self, needle: bytes) -> None:
        self._needle, self.size = needle, len(needle)

    def __call__(self, lines: LineColumn) -> Mask:
        return lines.contains(self._needle)


class _Matches:
    size = 0

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def __call__(self, lines: LineColumn) -> Mask:
        return lines.matches(self._pattern)


class _Pattern:
    """Literals in turn, wildcards between them."""

    size = 0

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self._leading = bool(nodes) and isinstance(nodes[0], Capture)
        self._trailing = bool(nodes) and isinstance(nodes[-1], Capture)
        texts = [node for node in nodes if isinstance(node, bytes)]
        self._literals, self._longest = Spans.of(texts), max(texts, key=len, default=b"")

    def __call__(self, lines: LineColumn) -> Mask:
        """The longest literal is looked for in all lines, the pattern where it is."""
        found = lines.contains(self._longest)
        rows = np.flatnonzero(found)
        if len(rows):
            found[rows] = self._matched(lines if len(rows) == len(lines) else lines.take(rows))
        return found

    def _matched(self, lines: LineColumn) -> Mask:
        spans, literals = lines.spans(), self._literals
        out = np.empty(len(spans), np.bool_)
        match_pattern(
            spans.data,
            spans.start,
            spans.length,
            literals.data,
            literals.start,
            literals.length,
            self._leading,
            self._trailing,
            out,
        )
        return out


class _Address:
    """Lines with an address of a set."""

    size = 0

    def __init__(self, addresses: IpSet) -> None:
        self._version, self._begin = addresses.version, begin_of(addresses)
        self._low, self._high = _halves(addresses.low), _halves(addresses.high)

    def __call__(self, lines: LineColumn) -> Mask:
        found = lines.contains(self._begin)
        rows = np.flatnonzero(found)
        if len(rows):
            spans = lines.take(rows).spans()
            out = np.empty(len(rows), np.bool_)
            contains_address(
                spans.data, spans.start, spans.length, self._version, self._low, self._high, out
            )
            found[rows] = out
        return found


def begin_of(addresses: IpSet) -> bytes:
    """The text with which every address of the set begins; empty when they have none in common.

    Only one text is read as an IPv4 address: that with four numbers without leading zeros.
    """
    if addresses.version != IPV4:
        return b""
    low, high = (address.to_bytes(4, "big") for address in (addresses.low, addresses.high))
    same = next((k for k in range(4) if low[k] != high[k]), 4)
    return "".join(f"{octet}." for octet in low[:same]).encode()[: None if same < 4 else -1]


def _halves(address: int) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    return np.array([address >> 64, address & (1 << 64) - 1], np.uint64)


def _test_of(op: LineOp, operand: LineOperand) -> _Contains | _Matches | _Pattern | _Address:
    if operand.is_ip:
        return _Address(compile_ip(operand.value))
    if op in (LineOp.CONTAINS, LineOp.NOT_CONTAINS):
        return _Contains(operand.value.encode("utf-8", "surrogateescape"))
    if op in (LineOp.PATTERN, LineOp.NOT_PATTERN):
        return _Pattern(compile_filter_pattern(operand.value))
    literal = regex_literal(operand.value)
    return _Matches(without_empty_words(operand.value)) if literal is None else _Contains(literal)


def without_empty_words(pattern: str) -> str:
    """`f|` as `f`: the recorded server passes over empty words of an alternation (a quirk)."""
    words = pattern.split("|")
    if len(words) == 1 or any(char in _META - {"|"} for char in pattern):
        return pattern
    return "|".join(word for word in words if word) or pattern


def regex_literal(pattern: str) -> bytes | None:
    """The bytes that a regex without any operator looks for; None when it has one."""
    if any(char in _META for char in pattern):
        return None
    return pattern.encode("utf-8", "surrogateescape")


def needles_of_filter(stage: LineFilter) -> tuple[bytes, ...]:
    """Literals that every line kept by the stage contains; none is empty."""
    if len(stage.operands) != 1:
        return ()
    operand = stage.operands[0]
    if operand.is_ip:
        begin = begin_of(compile_ip(operand.value)) if stage.op is LineOp.CONTAINS else b""
        return (begin,) if begin else ()
    if stage.op is LineOp.CONTAINS:
        text = operand.value.encode("utf-8", "surrogateescape")
        return (text,) if text else ()
    if stage.op is LineOp.MATCHES:
        need = required(without_empty_words(operand.value))
        return () if need.folded else tuple(one[0] for one in need.clauses if len(one) == 1)
    if stage.op is LineOp.PATTERN:
        return tuple(n for n in compile_filter_pattern(operand.value) if isinstance(n, bytes) and n)
    return ()
