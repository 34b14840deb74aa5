"""Are the members of many JSON lines those of each line, whatever the lines before had?"""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from narfi.core.columns import Spans
from narfi.core.kernels.json_scan import ERRORS
from narfi.core.text.json_fields import parse_json_line
from querier.operators.json_parser import JsonWanted, scan_members
from tests.reference.budget import examples

KEYS = st.sampled_from(
    [b"a", b"ab", b"a_b", b"b", b"", b" ", b"9", b"\xc2\xa0", b"\xff", b"a\\u0062", b"\\n", b"\\q"]
)
SCALARS = st.sampled_from(
    [
        b"1",
        b"-1e999999999999999999999",
        b'"x"',
        b'"x\\"y"',
        b'"\xff12345678"',
        b'"12345678\xef\xbf\xbd"',
        b'"eight by"',
        b'"long enough for two words"',
        b'"\\ud83d\\ude00"',
        b'"\\ud83d"',
        b'"1234567\\\\"',
        b'"open',
        b"true",
        b"null",
        b"[1,{}]",
        b'["]"]',
        b"nul",
        b"[",
        b"",
    ]
)


def object_of(members: list[tuple[bytes, bytes]]) -> bytes:
    """An object; keys may come again."""
    return b"{%s}" % b",".join(b'"%s":%s' % member for member in members)


VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(st.tuples(KEYS, inner), max_size=4).map(object_of),
    max_leaves=8,
)
LINES = st.one_of(
    st.lists(st.tuples(KEYS, VALUES), max_size=5).map(object_of),
    st.tuples(st.lists(st.tuples(KEYS, VALUES), max_size=3).map(object_of), st.integers(0, 30)).map(
        lambda cut: cut[0][: cut[1]]
    ),
    st.sampled_from([b"", b" { } x", b'{"a" 1}', b'{"a":1,}', b'{"a":1 "b":2}', b"[]"]),
    st.integers(60, 70).map(lambda deep: b'{"a":' * deep + b"1" + b"}" * deep),
    st.integers(60, 70).map(lambda many: object_of([(b"k%d" % k, b"1") for k in range(many)])),
)
SAME_KEY_ELSEWHERE = [b'{"a":{"b":1},"b":2}', b'{"a":{"b":3,"b":4}}', b'{"b":{"b":5},"a_b":6}']


@settings(max_examples=examples(800))
@given(st.lists(LINES, min_size=1, max_size=8))
@example(SAME_KEY_ELSEWHERE)
@example([b'{"a":1', b'{"a":1}', b'{"a\\u0062":1}', b'{"ab":1}'])
def test_members_of_lines(lines: list[bytes]) -> None:
    found = scan_members(Spans.of(lines))
    names = found.key_names()
    told: list[list[tuple[str, str]]] = [[] for _ in lines]
    keys, values = found.pair_key.tolist(), found.values.to_list()
    for row, key, value in zip(found.pair_row.tolist(), keys, values, strict=True):
        if names[key]:
            told[row].append((names[key], (value or b"").decode()))
    for row, line in enumerate(lines):
        wanted = parse_json_line(line)
        assert told[row] == list(wanted.pairs), line
        assert ERRORS[found.error[row]] == wanted.details, line


@settings(max_examples=examples(800))
@given(
    st.lists(LINES, min_size=1, max_size=8),
    st.sets(st.sampled_from(["a", "ab", "a_b", "a_a_b", "b", "_9", "b_b", "_", "k65"]), min_size=1),
)
@example(SAME_KEY_ELSEWHERE, {"a_b", "b"})
@example(SAME_KEY_ELSEWHERE, {"b_b"})
def test_few_members_of_lines(lines: list[bytes], names: set[str]) -> None:
    few = JsonWanted(tuple(sorted(names)), True)
    found = few._scan(Spans.of(lines), stop_early=False)
    for row, line in enumerate(lines):
        wanted = parse_json_line(line)
        if wanted.error:
            continue
        first = dict(reversed(wanted.pairs))
        told = {
            name: found.data[start : start + length].tobytes().decode()
            for name, start, length in zip(
                few.names, found.start[:, row].tolist(), found.length[:, row].tolist(), strict=True
            )
            if length >= 0
        }
        assert told == {name: first[name] for name in names if name in first}, line
