"""Which constants and holes do the captures of a pattern take? (reference/logql.md §6.5)

A literal that stands in a constant is found there in every line when it can stand nowhere before;
the stamps of the holes tell. Invariant: None is answered whenever that is not certain.
"""

from collections.abc import Sequence

from narfi.core.text.pattern import Capture, Node
from storage.lines.contains import Pieces, plan_pieces
from storage.lines.template import Hole, Template


def capture_pieces(nodes: Sequence[Node], template: Template) -> dict[str, Pieces] | None:
    """What each capture takes in every line; captures behind a missing literal are left out."""
    rest = template.pieces
    if not template.constant_bytes:
        return None  # a line may be empty
    at = 0
    if isinstance(nodes[0], bytes):
        first = rest[0]
        if not isinstance(first, bytes) or not first.startswith(nodes[0]):
            return None
        rest, at = _cut(rest, 0, len(nodes[0]))[1], 1
    found: dict[str, Pieces] = {}
    while at < len(nodes):
        capture = nodes[at]
        assert isinstance(capture, Capture)
        literal = nodes[at + 1] if at + 1 < len(nodes) else None
        if not isinstance(literal, bytes):
            found[capture.name] = rest
            return found
        parts = _parted(rest, template.holes, literal)
        if parts is None:
            return None
        found[capture.name] = parts[0]
        if parts[1] is None:
            return found
        rest, at = parts[1], at + 2
    return found


def _parted(
    pieces: Pieces, holes: Sequence[Hole], literal: bytes
) -> tuple[Pieces, Pieces | None] | None:
    """What stands before and behind the first literal, in every line; None: not certain.

    Without a literal in any line, everything stands before it.
    """
    for place, piece in enumerate(pieces):
        if not isinstance(piece, bytes):
            continue
        offset = piece.find(literal)
        if offset >= 0:
            before, behind = _cut(pieces, place, offset)
            earlier = _cut(pieces, place, offset + len(literal) - 1)[0]
            if plan_pieces(earlier, holes, literal) != ():
                return None
            return before, _cut(behind, 0, len(literal))[1]
    return (pieces, None) if plan_pieces(pieces, holes, literal) == () else None


def _cut(pieces: Pieces, place: int, offset: int) -> tuple[Pieces, Pieces]:
    """The pieces before and behind a place within a constant."""
    piece = pieces[place]
    assert isinstance(piece, bytes)
    left, right = piece[:offset], piece[offset:]
    before = (*pieces[:place], *((left,) if left else ()))
    return before, (*((right,) if right else ()), *pieces[place + 1 :])
