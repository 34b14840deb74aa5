"""How is a form taken apart? By the rules of Go's `net/url`."""

import pytest

from querier.http_api.form import FormError, is_form, parse_form, parse_form_leniently

FORMS = {
    b"": [],
    b"&&": [],
    b"a=1&b=2&a=3": [("a", "1"), ("b", "2"), ("a", "3")],
    b"a": [("a", "")],
    b"=x": [("", "x")],
    b"a=b=c": [("a", "b=c")],
    b"a+b=c%20d%2B": [("a b", "c d+")],
    b"%c3%A4=%ff": [("ä", "\udcff")],
    "q=ä".encode(): [("q", "ä")],
    b"a=%3b": [("a", ";")],
}
BAD = {
    b"query=%zz": 'invalid URL escape "%zz"',
    b"query=%z": 'invalid URL escape "%z"',
    b"query=%": 'invalid URL escape "%"',
    b"query=%4": 'invalid URL escape "%4"',
    b"query=%41%4g": 'invalid URL escape "%4g"',
    b"%x=1": 'invalid URL escape "%x"',
    b'a=%"1': 'invalid URL escape "%\\"1"',
    b"a=%q1&b=%q2": 'invalid URL escape "%q1"',
    b"a=1;b=2": "invalid semicolon separator in query",
    b"a=%zz&b=1;c=2": "invalid semicolon separator in query",
}


@pytest.mark.parametrize(("form", "pairs"), FORMS.items())
def test_forms(form: bytes, pairs: list[tuple[str, str]]) -> None:
    assert parse_form(form) == parse_form_leniently(form) == pairs


@pytest.mark.parametrize(("form", "message"), BAD.items())
def test_bad_forms(form: bytes, message: str) -> None:
    with pytest.raises(FormError) as caught:
        parse_form(form)
    assert caught.value.message == message


def test_what_is_badly_written_can_be_left_out() -> None:
    assert parse_form_leniently(b"a=1&b=%zz&c=3;d=4&e=5") == [("a", "1"), ("e", "5")]


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/x-www-form-urlencoded", True),
        ("Application/X-WWW-Form-URLencoded; charset=utf-8", True),
        ("application/x-www-form-urlencoded2", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_content_types(content_type: str, expected: bool) -> None:
    assert is_form(content_type) is expected
