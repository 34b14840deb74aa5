"""Is a text found in the lines of a shape in letters of any case?"""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from storage.lines.folded import contains_folded
from tests.reference.budget import examples
from tests.reference.shapes import shaped_lines, shapes_of
from tests.reference.similar import THRESHOLDS, similar_lines
from tests.storage.lines.test_shaped import Limits, needles

LINES = similar_lines()


@settings(max_examples=examples(100))
@given(LINES, THRESHOLDS, st.integers(0, 1 << 16))
def test_letters_of_any_case(lines: list[bytes], limits: Limits, seed: int) -> None:
    random = Random(seed)
    for shape in shapes_of(lines, 1, limits):
        found = shaped_lines(shape)
        wanted = [lines[row].lower() for row in shape.rows.tolist()]
        for needle in {text.lower() for text in needles(lines, random)} - {b""}:
            mask = contains_folded(found.template, needle, found.column, len(found))
            if mask is not None:
                assert mask.tolist() == [needle in line for line in wanted], needle
