"""Is a group that is read, kept and written again the group that was meant?"""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ruler.group import Group, Rule, StoredGroupError, group_of_json
from ruler.read_groups import read_file, read_group
from ruler.write_groups import group_yaml
from ruler.yaml_nodes import YamlError

S = 10**9
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
lines = st.one_of(
    texts, st.sampled_from(["a\nb\n", " a\n", "a \n", "\n", "1", "true", "~", "x: y"])
)
pairs = st.dictionaries(texts, lines, max_size=3)
spans = st.integers(0, 10**6).map(lambda ms: ms * 10**6)
rules = st.builds(
    Rule,
    alert=texts.filter(bool),
    expr=lines,
    for_ns=spans,
    keep_firing_for_ns=spans,
    labels=pairs,
    annotations=pairs,
)
groups = st.builds(
    Group,
    name=texts,
    interval_ns=spans,
    query_offset_ns=spans,
    limit=st.integers(-(2**62), 2**62),
    labels=pairs,
    rules=st.lists(rules, max_size=3).map(tuple),
)


@given(groups)
@settings(deadline=None)
def test_a_group_is_written_and_read_again(group: Group) -> None:
    assert group_of_json(group.to_json()) == group
    assert read_group(group_yaml(group)) == group


def test_layout_as_recorded() -> None:
    expr = 'sum by (app) (count_over_time({app="r"} |= `x` [5m]))\n  > 3  # threshold\n'
    group = Group(
        name="full",
        interval_ns=90 * S,
        limit=5,
        rules=(Rule(alert="A", expr=expr, for_ns=90 * S, labels={"severity": "page"}),),
    )
    written = group_yaml(group).decode()
    assert written.startswith("name: full\ninterval: 1m30s\nlimit: 5\nrules:\n    -")
    assert "expr: |\n" in written
    assert yaml.safe_load(written)["rules"][0]["for"] == "1m30s"


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 200_000,
        b"a: &a [*a]",
        b"name: \xff",
        b'name: "\\ud800"',
        b"name: {a: b}",
        b"rules: {a: b}",
        b"rules: [1]",
        b"limit: [1]",
        b"limit: 99999999999999999999",
        b"limit: .inf",
        b"name: x\n<<: [y]",
        b"\tname: x",
        b"x" * (5 << 20),
    ],
)
def test_what_is_no_group_is_refused(text: bytes) -> None:
    if text.startswith(b"a: &a"):
        assert read_group(text) == Group(name="")
        return
    with pytest.raises(YamlError):
        read_group(text)


def test_merge_keys_and_the_first_document() -> None:
    text = b"name: g\nrules:\n- &r {alert: A, expr: x, for: 1m}\n- {<<: *r, alert: B}\n---\n["
    group = read_group(text)
    assert [(rule.alert, rule.expr, rule.for_ns) for rule in group.rules] == [
        ("A", "x", 60 * S),
        ("B", "x", 60 * S),
    ]


def test_a_file_is_read_strictly_and_errors_name_the_line() -> None:
    text = b"groups:\n- name: g\n  rules:\n  - alert: A\n    exprr: x\n"
    with pytest.raises(YamlError, match="line 4: unknown key 'exprr'"):
        read_file(text)
    assert read_file(b"") == []


def test_a_stored_group_that_is_damaged_is_told() -> None:
    for body in ("", "{}", "[]", '{"rules": [{}]}', '{"rules": [], "name": "x", "new": 1}'):
        with pytest.raises(StoredGroupError):
            group_of_json(body)


def test_breaks_of_lines_that_are_unusual_are_kept() -> None:
    for text in "\x85", "a\x85b\n", "\u2028", "a\u2029", "\r", "a\r\n", "a\nb":
        group = Group(name=text, labels={text: text})
        assert read_group(group_yaml(group)) == group
