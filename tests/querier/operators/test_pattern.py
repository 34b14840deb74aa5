"""Do captures of a pattern stand where a slow reading finds them, whichever of them are wanted?"""

import re

from hypothesis import given
from hypothesis import strategies as st

from logql.ast import PatternParser
from querier.operators.base import Demand
from querier.operators.frame import frame_of
from querier.operators.pattern import PatternOperator
from tests.querier.operators.test_regexp import texts
from tests.reference.frames import batch_of

NAMES = "abcd"
LITERALS = st.text("x- ", min_size=1, max_size=2)
LINES = st.lists(st.text("x- yz", max_size=12), min_size=1, max_size=8)


@st.composite
def patterns(draw: st.DrawFn) -> list[str]:
    """Literals and captures in turn; some captures have no name."""
    count = draw(st.integers(1, len(NAMES)))
    named = draw(st.integers(0, count - 1))
    parts = [draw(LITERALS)] if draw(st.booleans()) else []
    for number in range(count):
        has_name = number == named or draw(st.booleans())
        parts += [f"<{NAMES[number]}>" if has_name else "<_>", draw(LITERALS)]
    return parts if draw(st.booleans()) else parts[:-1]


def captured(parts: list[str], line: str) -> dict[str, str]:
    """Each capture reaches to the next literal, or takes the rest where that is missing."""
    found: dict[str, str] = {}
    if not line:
        return found
    if not parts[0].startswith("<"):
        if not line.startswith(parts[0]):
            return found
        line, parts = line[len(parts[0]) :], parts[1:]
    while parts:
        name, literal, parts = parts[0][1:-1], parts[1] if len(parts) > 1 else None, parts[2:]
        before, there, behind = line.partition(literal) if literal else (line, "", "")
        found[name] = before
        if not there:
            break
        line = behind
    found.pop("_", None)
    return found


@given(patterns(), LINES, st.none() | st.frozensets(st.sampled_from(NAMES)))
def test_wanted_captures_are_those_of_a_slow_reading(
    parts: list[str], lines: list[str], wanted: frozenset[str] | None
) -> None:
    frame = frame_of(batch_of([({"app": "x"}, {}, 1, line.encode()) for line in lines]))
    found = PatternOperator(PatternParser("".join(parts)), Demand(wanted)).apply(frame)
    slow = [captured(parts, line) for line in lines]
    named = {name for part in parts for name in re.findall("<([a-d])>", part)}
    read = named if wanted is None else named & wanted
    for name in read:
        assert texts(found, name) == [one.get(name) for one in slow]
    assert set(found.parsed) <= read
