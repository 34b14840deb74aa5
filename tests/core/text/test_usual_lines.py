"""Fields of usual lines are what the readers byte by byte find; of other lines nothing is said."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from narfi.core.text.json_fields import json_members
from narfi.core.text.label_names import sanitise
from narfi.core.text.logfmt import parse_logfmt_line
from narfi.core.text.usual_lines import MOST_DEPTH, usual_json, usual_logfmt

_ODD = st.binary(max_size=3) | st.sampled_from([b"\\", b'"', b'\\"', b"=", b" ", b"\0", b"\xff"])
_WORD = st.sampled_from([b"a", b"level", b"msg_x", b"9", b"k.v", b"", "é".encode()])
_LOGFMT = st.lists(
    st.builds(
        lambda gap, key, equals, value: gap + key + equals + value,
        st.sampled_from([b" ", b"", b"\t", b"  "]),
        _WORD,
        st.sampled_from([b"=", b"=", b"=", b"", b"=="]),
        _WORD | _WORD.map(lambda word: b'"' + word + b' x"') | _ODD,
    ),
    max_size=6,
).map(b"".join)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
_JSON = st.builds(
    lambda value, ascii_only, cut, tail: (
        json.dumps(value, ensure_ascii=ascii_only)[cut:].encode() + tail
    ),
    st.dictionaries(st.sampled_from(["a", "b.c", "", "é", "9"]), _VALUES, max_size=4),
    st.booleans(),
    st.sampled_from([0, 0, 0, 1]),
    st.sampled_from([b"", b"", b" ", b"x", b"}"]),
)


@given(_LOGFMT | st.binary(max_size=12))
@example(b'a=1 b="x y" c= d="" level=info')
@example(b'a="x"b=c')
@example(b'a="\\\\" b="\\q" c="\\""')
@example(b'a="\n\\n" b="\\')
@example(b'a=b"c" d=e')
@example(b"=x a=1")
@example("a=\ufffd b=\xe9".encode())
def test_usual_logfmt_is_logfmt(line: bytes) -> None:
    found = usual_logfmt(line)
    if found is None:
        return
    parsed = parse_logfmt_line(line, strict=True, keep_empty=False)
    assert parsed.error == ""
    assert tuple((sanitise(key.decode()), value) for key, value in found) == parsed.pairs


@given(_JSON)
@example(b'{"a": 01}')
@example(b'{"a": 1.50, "b": -0, "c": 1E5, "a": "x", "d": {"e": [1, {"f": 2}], "g": {"h": true}}}')
@example(b'{"a": NaN}')
@example(b'{"a": 1,}')
@example(b' {"a":"\x7f"} ')
@example(b"[1]")
@example(b'{"a\\n":"\\/\\\\","b":"\\\\u00e9"}')
@example(b'{"a":' * (MOST_DEPTH + 3) + b"1" + b"}" * (MOST_DEPTH + 3))
def test_usual_json_is_json(line: bytes) -> None:
    found = usual_json(line)
    if found is None:
        return
    members = json_members(line)
    assert members is not None
    assert [(list(path), value) for path, value in found] == members


def test_usual_lines_are_taken() -> None:
    assert usual_logfmt(b'ts=2026 level=info msg="it is" took=1.5ms empty=') == [
        (b"ts", "2026"),
        (b"level", "info"),
        (b"msg", "it is"),
        (b"took", "1.5ms"),
    ]
    assert usual_json(b'{"a":{"b":1.50,"c":null},"d":[1],"e":false}') == [
        (("a", "b"), "1.50"),
        (("e",), "false"),
    ]
    assert usual_logfmt(b'a="x\\"y" b="\\n\\u00e9"') == [(b"a", 'x"y'), (b"b", "\n\u00e9")]
    assert usual_json(b'{"a":"\\n\\""}') == [(("a",), '\n"')]
    assert usual_logfmt(b'a="\\q"') is None
    assert usual_json(b'{"a":"\\u00e9"}') is None
