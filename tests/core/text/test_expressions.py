"""Which expressions of `json` and `logfmt` name something, and what is said of the others?"""

import pytest

from narfi.core.errors import AppError
from narfi.core.text.json_path import parse_json_path
from narfi.core.text.logfmt_key import check_logfmt_key

PATHS = {
    "a": ("a",),
    " a\t": ("a",),
    "a.b": ("a", "b"),
    "a . b": ("a", "b"),
    'a["b c"]': ("a", "b c"),
    'a["b\\c"]': ("a", "b\\c"),
    '["a" ]': ("a",),
    '[""]': ("",),
    "[0]": (0,),
    "a[10 ][2].b": ("a", 10, 2, "b"),
    "a[007]": ("a", 7),
}


@pytest.mark.parametrize(("text", "path"), PATHS.items())
def test_paths(text: str, path: tuple[str | int, ...]) -> None:
    assert parse_json_path(text) == path


BEGIN = "syntax error: unexpected $end, expecting LSB or FIELD"
INDEX = "syntax error: unexpected $end, expecting STRING or INDEX"
NO_PATHS = {
    "": BEGIN,
    " ": BEGIN,
    "$": BEGIN,  # what is no token ends the expression, and is told only where that may end
    "ä.b": BEGIN,
    "1": BEGIN,
    "1a": BEGIN,
    "1.5": BEGIN,
    "]": "syntax error: unexpected RSB, expecting LSB or FIELD",
    "a.": "syntax error: unexpected $end, expecting FIELD",
    "a.$": "syntax error: unexpected $end, expecting FIELD",
    "a.0": "syntax error: unexpected $end, expecting FIELD",
    "a.[0]": "syntax error: unexpected LSB, expecting FIELD",
    "a[": INDEX,
    "a[0": INDEX,
    "a[1.5]": INDEX,
    "a[1x]": INDEX,
    "a[-1]": INDEX,
    "a['b']": INDEX,
    "a[99999999999999999999]": INDEX,
    "a[b]": "syntax error: unexpected FIELD, expecting STRING or INDEX",
    '["a': "syntax error: unexpected $end, expecting RSB",
    '["a]': "syntax error: unexpected $end, expecting RSB",
    '["a]b"]': "syntax error: unexpected FIELD, expecting RSB",
    '["a\\"b"]': "syntax error: unexpected FIELD, expecting RSB",
    "a-b": "unexpected char -",
    "aä": "unexpected char ä",
    "a\r": "unexpected char \r",
    "a b": "syntax error: unexpected FIELD",
    'a "b"': "syntax error: unexpected STRING",
    "a 1.5": "cannot use float as array index",
    "a 1x": "non-integer value: x",
    "a 1 ": "syntax error: unexpected INDEX",
}


@pytest.mark.parametrize(("text", "reason"), NO_PATHS.items())
def test_no_paths(text: str, reason: str) -> None:
    with pytest.raises(AppError) as caught:
        parse_json_path(text)
    assert caught.value.message == f"cannot parse expression [{text}]: {reason}"


@pytest.mark.parametrize(
    ("text", "key"),
    {"a": "a", "_a1": "_a1", " a ": "a", '"a b"': "a b", '"user-agent"': "user-agent"}.items(),
)
def test_keys(text: str, key: str) -> None:
    assert check_logfmt_key(text) == key


NO_KEY = "syntax error: unexpected $end, expecting STRING or KEY"
NO_KEYS = {
    "": NO_KEY,
    " ": NO_KEY,
    "1a": NO_KEY,
    "ä": NO_KEY,
    "-": NO_KEY,
    "a-b": "unexpected char -",
    "aä": "unexpected char ä",
    "a b": "syntax error: unexpected KEY",
    'a"b"': "syntax error: unexpected STRING",
    '"a"b': "syntax error: unexpected KEY",
    '"a]b"': "syntax error: unexpected KEY",
}


@pytest.mark.parametrize(("text", "reason"), NO_KEYS.items())
def test_no_keys(text: str, reason: str) -> None:
    with pytest.raises(AppError) as caught:
        check_logfmt_key(text)
    assert caught.value.message == f"cannot parse expression [{text}]: {reason}"
