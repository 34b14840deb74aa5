"""Which row groups can hold all needles of a request? By constants, stamps and Bloom filters.

May keep too much, never too little: a group is left out only when every way to lay some needle over
its lines is refuted (storage/lines/contains.py).
"""

from collections.abc import Callable, Iterable

from storage.block.bloom import Bloom
from storage.lines.contains import Alternative, HoleTest, Where, plan_contains
from storage.lines.template import Hole, HoleKind, Template

BloomOf = Callable[[int], Bloom | None]
"""The filter of a hole (by its number) in a row group; None: there is none."""


def may_hold(template: Template | None, needles: Iterable[bytes], bloom_of: BloomOf | None) -> bool:
    """Whether a line could hold every needle; without `bloom_of` by constants and stamps only."""
    if template is None:
        return True
    for needle in needles:
        if not needle:
            continue
        plan = plan_contains(template, needle)
        if plan is None:
            continue
        if not any(_possible(template, ways, bloom_of) for ways in plan):
            return False
    return True


def _possible(template: Template, ways: Alternative, bloom_of: BloomOf | None) -> bool:
    if bloom_of is None:
        return True
    for test in ways:
        value = stored_value(template.holes[test.hole], test)
        if value is None:
            continue
        bloom = bloom_of(test.hole)
        if bloom is not None and not bloom.may_hold(value):
            return False
    return True


def stored_value(hole: Hole, test: HoleTest) -> bytes | None:
    """The whole value, as stored, that a test asks for; None when it asks for a part of one."""
    fixed = hole.min_length == hole.max_length == len(test.text)
    if test.where is not Where.WHOLE and not fixed:
        return None
    if hole.type.kind is HoleKind.BYTES:
        return test.text
    if hole.type.kind is HoleKind.HEX:
        layout = hole.type.layout
        pairs = zip(layout, test.text, strict=True) if len(layout) == len(test.text) else ()
        digits = bytes(byte for mark, byte in pairs if mark == ord("x"))
        try:
            return bytes.fromhex(digits.decode("ascii")) if digits else None
        except ValueError:
            return None
    return None
