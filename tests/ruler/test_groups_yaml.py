"""Is a group that is read, kept and written again the group that was meant?"""

import json
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ruler.group import Group, Rule, StoredGroupError, group_of_json
from ruler.read_groups import read_file, read_group, read_namespaces
from ruler.write_groups import group_yaml, namespaces_yaml
from ruler.yaml_nodes import YamlError

S = 10**9
CASES = Path(__file__).parents[1] / "conformance/ruler/cases/rule-api.jsonl"
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
    assert written == (
        "name: full\ninterval: 1m30s\nlimit: 5\nrules:\n"
        "    - alert: A\n      expr: |\n"
        '        sum by (app) (count_over_time({app="r"} |= `x` [5m]))\n'
        "          > 3  # threshold\n"
        "      for: 1m30s\n      labels:\n        severity: page\n"
    )


def test_recorded_answers_are_written_to_the_byte() -> None:
    texts = [
        case["expect"]["text"]
        for case in map(json.loads, CASES.read_text().splitlines())
        if case["compare"] == "yaml" and case["expect"]["status"] == 200
    ]
    assert len(texts) > 20
    for text in texts:
        if text.startswith("name:"):
            assert group_yaml(read_group(text.encode())).decode() == text
        else:
            assert namespaces_yaml(read_namespaces(text.encode())).decode() == text


def test_texts_that_look_like_something_else_are_quoted() -> None:
    labels = {"a": "true", "b": "1.5", "c": "~", "d": "2020-01-01", "e": "", "f": "yes", "g": "x"}
    written = group_yaml(Group(name="1", labels=labels)).decode()
    assert yaml.safe_load(written) == {"name": "1", "labels": labels, "rules": []}
    assert '    a: "true"\n' in written
    assert "    g: x\n" in written


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


def test_merged_maps_may_merge_and_the_first_of_several_is_taken() -> None:
    text = (
        b"x: &x {alert: A, for: 1m}\ny: &y {<<: *x, expr: e}\nname: g\n"
        b"rules:\n- {<<: *y}\n- {<<: [{alert: B}, *y]}\n"
    )
    assert [(r.alert, r.expr, r.for_ns) for r in read_group(text).rules] == [
        ("A", "e", 60 * S),
        ("B", "e", 60 * S),
    ]
    for text in (
        b"name: &a {<<: &b {<<: *a}}",
        b"name: g\nrules:\n- &a {alert: A, <<: *a}",
        b"x0: &x0 {a: b}\n"
        + b"".join(b"x%d: &x%d {<<: *x%d}\n" % (k, k, k - 1) for k in range(1, 100))
        + b"name: g\nrules: [*x99]",
    ):
        with pytest.raises(YamlError):
            read_group(text)


@pytest.mark.parametrize(
    "text",
    [
        "x: &a {alert: A, expr: e}\nname: g\nrules:\n" + "- *a\n" * 200_000,
        "x: &a {"
        + ", ".join(f"a{k}: x" for k in range(1000))
        + "}\nname: g\nrules:\n"
        + "- {alert: A, expr: e, labels: *a}\n" * 1000,
        "x: &a {" + ", ".join(f"a{k}: x" for k in range(1000)) + "}\nname: g\nrules:\n"
        "- <<: [" + ",".join(["*a"] * 10_000) + "]\n",
        "x0: &x0 [x]\n" + "".join(f"x{k + 1}: &x{k + 1} [*x{k}, *x{k}]\n" for k in range(90)),
    ],
    ids=["rules", "labels", "merges", "doubled"],
)
def test_aliases_that_stand_for_too_much_are_refused_at_once(text: str) -> None:
    began = time.process_time()
    with pytest.raises(YamlError, match="aliases stand for more than 500000 values"):
        read_group(text.encode())
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("5", 5),
        ("+5", 5),
        ("-1", -1),
        ("1.5", 1),
        ("1e3", 1000),
        ("0x10", 16),
        ("0o17", 15),
        ("017", 15),
        ("1_000", 1000),
        ("!!int 7", 7),
        ("~", 0),
        ("'5'", None),
        ("five", None),
        ("true", None),
        ("1e400", None),
        ("-.inf", None),
        (".nan", None),
        ("\uff15", None),
    ],
)
def test_limits_are_numbers_in_any_notation(text: str, limit: int | None) -> None:
    body = f"name: g\nlimit: {text}\n".encode()
    if limit is None:
        with pytest.raises(YamlError):
            read_group(body)
    else:
        assert read_group(body).limit == limit


@pytest.mark.parametrize("text", [" a\nb", "\n\n a\n", "  a\n\n", " a\n b\n", "\ta\nb\n", "a\n \n"])
def test_blocks_that_begin_with_blanks_are_kept_at_every_depth(text: str) -> None:
    rule = Rule(alert="A", expr=text, labels={"l": text}, annotations={"a": text})
    group = Group(name=text, labels={"l": text}, rules=(rule,))
    assert read_group(group_yaml(group)) == group
    assert read_namespaces(namespaces_yaml({"ns": [group]})) == {"ns": [group]}


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
