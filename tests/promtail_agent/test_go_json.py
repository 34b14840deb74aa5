"""Is JSON read and written as Go does it?"""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from promtail_agent.go_json import json_text, read_json


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert read_json(b'{"a":"\xff x"}') == {"a": "\ufffd x"}
    assert read_json(b'{"a":"\\udc00\\ud83d\\ude00"}') == {"a": "\ufffd\U0001f600"}


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b'{"\\u12":1}', b'{"a":"\xff', b"plain"])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"line 1"):
        read_json(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
@example(4.802806044469471e16)  # written with digits only
def test_what_is_written_is_read_again(value: object) -> None:
    text = json_text(value)
    assert text is not None
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text, parse_int=float) == value  # every number is one, as in Go


def test_what_is_nested_without_end_is_no_value() -> None:
    value: object = 1
    for _ in range(5000):
        value = [value]
    assert json_text(value) is None
