"""`|= != |~ !~ |> !>`: which lines stay (reference/logql.md §5)."""

import numpy as np

from logql.ast import LineFilter, LineOp, LineOperand
from narfi.core.columns import Mask, Spans
from narfi.core.kernels.ip_scan import contains_address
from narfi.core.kernels.pattern_scan import match_pattern
from narfi.core.text.ip import IpSet, compile_ip
from narfi.core.text.pattern import Capture, Node, compile_filter_pattern
from querier.operators.frame import Frame
from storage.lines.base import LineColumn

_NEGATIVE = (LineOp.NOT_CONTAINS, LineOp.NOT_MATCHES, LineOp.NOT_PATTERN)
IPV4 = 4
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
        found: Mask | None = None
        for test in self._tests:
            hit = test(frame.lines)
            found = hit if found is None else found | hit
        assert found is not None
        keep = ~found if self._negative else found
        return frame if keep.all() else frame.take(np.flatnonzero(keep))


def _takes_all(op: LineOp, operand: LineOperand) -> bool:
    return operand.value == "" or (op is LineOp.MATCHES and operand.value == ".*")


class _Contains:
    def __init__(self, needle: bytes) -> None:
        self._needle = needle

    def __call__(self, lines: LineColumn) -> Mask:
        return lines.contains(self._needle)


class _Matches:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def __call__(self, lines: LineColumn) -> Mask:
        return lines.matches(self._pattern)


class _Pattern:
    """Literals in turn, wildcards between them."""

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self._leading = bool(nodes) and isinstance(nodes[0], Capture)
        self._trailing = bool(nodes) and isinstance(nodes[-1], Capture)
        self._literals = Spans.of(node for node in nodes if isinstance(node, bytes))

    def __call__(self, lines: LineColumn) -> Mask:
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


def needle_of(stage: LineFilter) -> bytes | None:
    """A literal that every line kept by the stage contains."""
    if len(stage.operands) != 1 or stage.operands[0].is_ip:
        return None
    if stage.op is LineOp.CONTAINS:
        return stage.operands[0].value.encode("utf-8", "surrogateescape")
    if stage.op is LineOp.MATCHES:
        return regex_literal(stage.operands[0].value)
    return None
