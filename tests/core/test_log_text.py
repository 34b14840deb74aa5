"""Can a text from outside forge a line of the log, fill it, or leave a secret in it?"""

import json
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.access.secret import new_token
from narfi.core.log import REQUEST_ID, LineFormatter
from narfi.core.log_text import HIDDEN, MOST, bounded, printable, without_secrets

FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^ "]*)(?: |$)')
FORGED = 'x"\r\nts=2026-01-01T00:00:00Z level=error logger=a msg="forged" \x1b[2J\u2028\u202e\x85'
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLXRoYXQtaXMtbG9uZw"


def record(message: str, **pairs: object) -> logging.LogRecord:
    found = logging.LogRecord("storage.thing", 30, "f", 1, message, None, None)
    found.pairs = pairs
    return found


@pytest.mark.parametrize("form", ["logfmt", "json", "text"])
def test_no_text_forges_a_line_or_moves_the_cursor(form: str) -> None:
    line = LineFormatter(form).format(record(FORGED, path=FORGED, nested=[FORGED]))
    assert line.isprintable()
    if form == "json":
        found = json.loads(line)
        assert (found["msg"], found["path"]) == (FORGED, FORGED)
    if form == "logfmt":
        assert FIELD.sub("", line) == ""
        fields = dict(FIELD.findall(line))
        assert fields["level"] == "warn"
        assert json.loads(fields["path"]) == FORGED


def test_an_error_forges_no_line_of_a_terminal() -> None:
    found = record("failed")
    try:
        raise ValueError(FORGED)
    except ValueError as error:
        found.exc_info = (type(error), error, error.__traceback__)
    first, *others = LineFormatter("text").format(found).split("\n")
    assert first.isprintable()
    assert all(line.startswith("    ") and line.isprintable() for line in others)


@given(st.text(max_size=60), st.sampled_from(["logfmt", "json", "text"]))
def test_any_text_stays_on_its_line(text: str, form: str) -> None:
    line = LineFormatter(form).format(record(text, value=text))
    assert line.isprintable()
    line.encode()  # no half of a character either


@given(st.text())
def test_what_is_escaped_is_json_still(text: str) -> None:
    assert json.loads(printable(json.dumps(text, ensure_ascii=False))) == text


def test_long_texts_are_cut() -> None:
    line = LineFormatter("logfmt").format(record("m" * 10**6, path="p" * 10**6))
    assert len(line) < 3 * MOST
    assert f"({10**6} characters)" in line
    assert bounded("x" * MOST) == "x" * MOST


TOKEN = new_token()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"a {TOKEN.text}.", TOKEN.secret),
        (f"Authorization: Bearer {'0123456789abcdef' * 2}", "0123456789abcdef"),
        ("basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
        (f"token={JWT}&x", JWT[20:]),
        ("postgresql://narfi:hush@db/narfi", "hush"),
    ],
    ids=["token", "bearer", "basic", "jwt", "password"],
)
def test_secrets_are_left_out(text: str, secret: str) -> None:
    for form in ("logfmt", "json", "text"):
        line = LineFormatter(form).format(record(text, value=text, nested={"a": text}))
        assert secret not in line
        assert HIDDEN in line


@pytest.mark.parametrize("text", ["Basic authentication", "narfi_blocks", "http://a:3100/x", "eyJ"])
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


@given(st.integers(0, 3 * MOST), st.integers(0, 40))
def test_no_part_of_a_secret_is_left_where_a_text_is_cut(before: int, tokens: int) -> None:
    text = " " * before + f"{TOKEN.text} " * tokens + "x" * 3 * MOST
    found = bounded(text)
    assert TOKEN.secret[:6] not in found
    assert len(found) < MOST + 40


def test_records_have_the_id_of_their_request() -> None:
    before = REQUEST_ID.set("abc")
    try:
        assert " request_id=abc" in LineFormatter("logfmt").format(record("x"))
        assert " request_id=own" in LineFormatter("logfmt").format(record("x", request_id="own"))
    finally:
        REQUEST_ID.reset(before)
    assert "request_id" not in LineFormatter("logfmt").format(record("x"))
