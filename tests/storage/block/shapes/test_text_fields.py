"""Which holes of texts have one form?"""

import numpy as np
import pytest

from narfi.core.columns import Spans
from storage.block.shapes.cells import cells_of
from storage.block.shapes.cut import cut
from storage.block.shapes.group import Group
from storage.block.shapes.text_fields import ANY, Form, forms


def form_of(values: list[bytes]) -> Form:
    """The form of a hole with these values."""
    found = cut(Spans.of(b"at " + value for value in values), fine=False)
    cells = cells_of(found, [Group(np.arange(len(values)), int(found.how[0]))])
    assert len(cells) == 2
    (form,) = forms(cells, [1])
    return form


NUMBERS = [b"7", b"123", b"9"]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (NUMBERS, [b"10", b"-5"]),
        ([b"1.50", b"2.25"], [b"10.00", b"0.75"]),
        ([b"10.0.0.1", b"9.9.9.9"], [b"192.168.0.1", b"1.2.3.4"]),
        ([b"12ms", b"7ms"], [b"9ms", b"100ms"]),
        ([b"/a/1", b"/b/2"], [b"/x/y", b"/x/z"]),
        ([b"GET", b"POST"], [b"ok", b"failed"]),
        ([b"00ff00aa", b"deadbeef"], [b"abcdef01", b"0a0b0c0d"]),
    ],
)
def test_of_one_form(a: list[bytes], b: list[bytes]) -> None:
    assert form_of(a) == form_of(b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (NUMBERS, [b"GET", b"POST"]),
        (NUMBERS, [b"007", b"123"]),
        (NUMBERS, [b"1.5", b"2.5"]),
        (NUMBERS, [b"7ms", b"12ms"]),
        ([b"12ms", b"7ms"], [b"12s", b"7s"]),
        ([b"/a/1", b"/b/2"], [b"/a", b"/b"]),
        ([b"GET", b"POST"], [b"a-b", b"c-d"]),
        ([b"00ff00aa", b"deadbeef"], [b"00ff-00aa-0a", b"dead-beef-0a"]),
    ],
)
def test_of_two_forms(a: list[bytes], b: list[bytes]) -> None:
    assert form_of(a) != form_of(b)


def test_texts_of_several_kinds_are_any() -> None:
    assert form_of([b"/a/b", b"c-d", b"x"]) == ANY


def test_no_cells_no_forms() -> None:
    found = cut(Spans.of([b"a b"]), fine=False)
    cells = cells_of(found, [Group(np.arange(1), int(found.how[0]))])
    assert forms(cells, []) == []
