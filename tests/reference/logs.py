"""Random logs: streams, structured metadata and lines that parsers half understand."""

import json

from hypothesis import strategies as st

STREAM_LABELS = ("app", "env", "level")
FIELDS = ("level", "status", "msg", "dur", "size", "user_id", "method", "path", "app")
VALUES = (
    "error",
    "info",
    "ERROR",
    "preprod",
    "prod",
    "200",
    "404",
    "12ms",
    "1.5s",
    "3KB",
    "10.0.0.7",
    "a b",
    "-7",
    "1e3",
)
NEEDLES = ("level", "error", "GET", "=", "10.0.0.7", "status=200")
NS = 1_000_000_000
START_NS = 1_700_000_000 * NS

LABELS = st.fixed_dictionaries(
    {"app": st.sampled_from(["api", "web"])},
    optional={
        "env": st.sampled_from(["dev", "prod", "é"]),
        "level": st.sampled_from(["info", "error"]),
    },
)
METADATA = st.dictionaries(
    st.sampled_from(["trace", "level", "status", "pod"]), st.sampled_from(VALUES), max_size=2
)
_SCALARS = st.one_of(
    st.sampled_from(VALUES),
    st.sampled_from([0, 1, -1, 200, 404, 1.5, 1e21, True, False, None, "", 'q"uo\\te', "é"]),
)
_NAMES = st.sampled_from([*FIELDS, "user", "a", "list", "x y", "1st", "dotted.name", "é", "_entry"])
_JSON = st.dictionaries(
    _NAMES,
    st.one_of(
        _SCALARS,
        st.dictionaries(st.sampled_from(["id", "b", "level"]), _SCALARS, max_size=2),
        st.lists(_SCALARS, max_size=2),
    ),
    max_size=5,
)


@st.composite
def _json_lines(draw: st.DrawFn) -> bytes:
    text = json.dumps(draw(_JSON), ensure_ascii=draw(st.booleans()))
    damage = draw(st.integers(0, 9))
    if damage == 0:
        text = text[: draw(st.integers(0, len(text)))]
    elif damage == 1:
        text = draw(st.sampled_from(["[1,2]", '"text"', "12", "null", " " + text, text + " x"]))
    return text.encode("utf-8", "surrogatepass")


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text) if " " in text or '"' in text or not text else text


_QUOTED_WORDS = [
    'msg="hello\\\\again\nworld"',
    'level="err\\u006fr"',
    'status="\t\\n\x01\r"',
    'dur="\\/\\\'\\b\\f"',
    'size="\\ud83d\\ude00\n" status=404',
    'msg="\\ud83d\n"',
    'level="\n\\q" level=error',
    'msg="\\u00g0"',
    'msg="raw\ncontrol\x7f"',
]
"""Quoted values with escapes and control characters, right and wrong."""


@st.composite
def _logfmt_lines(draw: st.DrawFn) -> bytes:
    pairs = draw(st.lists(st.tuples(_NAMES, _SCALARS), max_size=6))
    separator = draw(st.sampled_from([" ", " ", "  "]))
    words = [f"{name}={_quoted(value)}" for name, value in pairs]
    odd = ["bare", "a==b", 'x="', "=v", '"q"', "k=", "__error__=fake", *_QUOTED_WORDS]
    words += draw(st.lists(st.sampled_from(odd), max_size=2))
    words = draw(st.permutations(words))
    return separator.join(words).encode()


_FREE = st.sampled_from(
    [
        b"",
        b"GET /index.html status=200 foo",
        b'10.0.0.1 - "GET /a?b=c HTTP/1.1" 200 12',
        b"level=error msg=boom",
        b"\x1b[31mred\x1b[0m error",
        b"\x1b[36mlevel=\x1b[0merror status=\x1b[1m20\x1b[0m0",
        b'{"level":"\x1b[31merr\x1b[0mor","app":"x"}',
        b'{"__error__":"fake","status":"+3s"}',
        b'{"_entry":"level=\\u001b[1merror","msg":"prod"}',
        b"abc error E 2023",
        b"\xff\xfe broken \x00 utf8",
        b'{"_entry":"inner line","level":"warn","app":"packed"}',
        "unicode é ü level=info".encode(),
        b"ERROR foo",
    ]
)
LINES = st.one_of(_json_lines(), _logfmt_lines(), _FREE)

Entry = tuple[dict[str, str], dict[str, str], int, bytes]
"""Stream labels, structured metadata, ts in ns, line."""

ENTRIES: st.SearchStrategy[list[Entry]] = st.lists(
    st.tuples(
        LABELS,
        METADATA,
        st.integers(0, 40).map(lambda k: START_NS + k * NS // 2),
        LINES,
    ),
    max_size=12,
)
