"""What does a pattern match? `<name>` captures between literals (logql.md §5.1, §6.5)."""

from dataclasses import dataclass
from itertools import pairwise

from narfi.core.errors import InvalidRequestError

WILDCARD = "_"


class PatternSyntaxError(InvalidRequestError):
    """A pattern expression that cannot be used."""


@dataclass(frozen=True, slots=True)
class Capture:
    """`<name>`; the name `_` keeps nothing."""

    name: str


Node = bytes | Capture
"""A literal or a capture; literals never stand side by side."""


def parse_pattern(text: str) -> tuple[Node, ...]:
    """Literals and captures in turn; adjacent captures and repeated names are refused."""
    nodes: list[Node] = []
    literal, at = "", 0
    while at < len(text):
        name = _capture_at(text, at)
        if name is None:
            literal += text[at]
            at += 1
            continue
        if literal:
            nodes.append(literal.encode("utf-8", "surrogateescape"))
            literal = ""
        nodes.append(Capture(name))
        at += len(name) + 2
    if literal:
        nodes.append(literal.encode("utf-8", "surrogateescape"))
    _check(nodes)
    return tuple(nodes)


def _capture_at(text: str, at: int) -> str | None:
    """The name of a capture that begins here."""
    if text[at] != "<":
        return None
    end = text.find(">", at)
    name = text[at + 1 : end] if end > 0 else ""
    first_ok = name[:1] == "_" or (name[:1].isascii() and name[:1].isalpha())
    if not first_ok or not all(c == "_" or (c.isascii() and c.isalnum()) for c in name):
        return None
    return name


def _check(nodes: list[Node]) -> None:
    seen: set[str] = set()
    for left, right in pairwise(nodes):
        if isinstance(left, Capture) and isinstance(right, Capture):
            message = f"found consecutive capture '<{left.name}><{right.name}>': invalid expression"
            raise PatternSyntaxError(message)
    for node in nodes:
        if isinstance(node, Capture) and node.name != WILDCARD:
            if node.name in seen:
                raise PatternSyntaxError(
                    f"duplicate capture name ({node.name}): invalid expression"
                )
            seen.add(node.name)


def compile_parser_pattern(text: str) -> tuple[Node, ...]:
    """For the parser stage: at least one named capture."""
    if not text:
        message = (
            "parse error at line 1, col 1: syntax error: unexpected $end, expecting IDENTIFIER or "
            "LITERAL"
        )
        raise PatternSyntaxError(message)
    nodes = parse_pattern(text)
    if not any(isinstance(node, Capture) and node.name != WILDCARD for node in nodes):
        raise PatternSyntaxError("at least one capture is required")
    return nodes


def compile_filter_pattern(text: str) -> tuple[Node, ...]:
    """For line filters: only `<_>`."""
    nodes = parse_pattern(text)
    for node in nodes:
        if isinstance(node, Capture) and node.name != WILDCARD:
            raise PatternSyntaxError(f"named captures are not allowed: found '<{node.name}>'")
    return nodes


def extract(nodes: tuple[Node, ...], line: bytes) -> list[tuple[str, bytes]]:
    """The named captures of a line; none when it is empty or does not begin with the literal."""
    if not line:
        return []
    found: list[tuple[str, bytes]] = []
    rest = line
    at = 0
    if isinstance(nodes[0], bytes):
        if not rest.startswith(nodes[0]):
            return []
        rest, at = rest[len(nodes[0]) :], 1
    while at < len(nodes):
        capture = nodes[at]
        assert isinstance(capture, Capture)
        literal = nodes[at + 1] if at + 1 < len(nodes) else None
        end = rest.find(literal) if isinstance(literal, bytes) else -1
        value = rest if end < 0 else rest[:end]
        if capture.name != WILDCARD:
            found.append((capture.name, value))
        if end < 0 or not isinstance(literal, bytes):
            break
        rest = rest[end + len(literal) :]
        at += 2
    return found


def matches(nodes: tuple[Node, ...], line: bytes) -> bool:
    """Whether a filter pattern matches; wildcards hold at least one byte, no backtracking."""
    if not nodes:
        return not line
    rest, need_one = line, False
    for place, node in enumerate(nodes):
        if isinstance(node, Capture):
            need_one = True
            continue
        found = rest.find(node)
        if found < 0 or (need_one and found == 0):
            return False
        rest, need_one = rest[found + len(node) :], False
        if place == len(nodes) - 1:
            return not rest
    return bool(rest)
