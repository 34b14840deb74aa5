"""Do relabelling rules mean what they mean in Prometheus? Every action; expectations by hand."""

from typing import Any

import pytest
import yaml

from narfi.core.relabel import RelabelRule, relabel

LABELS = {"a": "foo", "b": "bar", "c": "baz", "__meta_x_one": "1", "__meta_x_two": "2"}
CASES: list[tuple[str, dict[str, str] | None]] = [
    ("{source_labels: [a], target_label: d}", {"d": "foo"}),
    ("{source_labels: [a, b], target_label: d}", {"d": "foo;bar"}),
    ("{source_labels: [a, b], separator: '', target_label: d}", {"d": "foobar"}),
    ("{source_labels: [a], regex: 'f(.*)', target_label: d, replacement: 'x${1}y'}", {"d": "xooy"}),
    ("{source_labels: [a], regex: 'f(.*)', target_label: '${1}', replacement: v}", {"oo": "v"}),
    ("{source_labels: [a], regex: 'f', target_label: d, replacement: v}", {}),  # anchored
    ("{source_labels: [a], regex: 'f(?P<n>.*)', target_label: d, replacement: '$n'}", {"d": "oo"}),
    ("{source_labels: [a], regex: 'f(.*)', target_label: d, replacement: '$1x'}", {"d": "absent!"}),
    ("{source_labels: [a], target_label: a, replacement: ''}", {"a": "absent!"}),
    ("{target_label: d, replacement: static}", {"d": "static"}),
    ("{source_labels: [none], regex: '', target_label: d, replacement: v}", {"d": "v"}),
    ("{source_labels: [a], target_label: d, replacement: '$$1'}", {"d": "$1"}),
    ("{replacement: a-b, target_label: d}", {"d": "a-b"}),
    ("{source_labels: [a], regex: 'f(.*)', target_label: '${1}_x', replacement: v}", {"oo_x": "v"}),
    ("{action: labelmap, regex: '__meta_x_(.*)', replacement: '${1}_m'}", {"one_m": "1"}),
    ("{source_labels: [a], regex: fo., action: keep}", {}),
    ("{source_labels: [a], regex: fo, action: keep}", None),
    ("{source_labels: [a], regex: fo., action: drop}", None),
    ("{source_labels: [a], regex: fo, action: drop}", {}),
    ("{source_labels: [none], regex: .+, action: keep}", None),
    ("{source_labels: [a], target_label: b, action: keepequal}", None),
    ("{source_labels: [a], target_label: a, action: keepequal}", {}),
    ("{source_labels: [a], target_label: a, action: dropequal}", None),
    ("{source_labels: [a], target_label: b, action: dropequal}", {}),
    # MD5 of "foo" is acbd18db4cc2f85cedef654fccc4a4d8; 0xedef654fccc4a4d8 mod 1000 = 696
    ("{source_labels: [a], target_label: d, modulus: 1000, action: hashmod}", {"d": "696"}),
    ("{regex: '__meta_x_(.*)', action: labelmap}", {"one": "1", "two": "2", "__meta_x_one": "1"}),
    ("{regex: '__meta_x_(.*)', replacement: 'y_$1', action: labelmap}", {"y_one": "1"}),
    ("{regex: '[ab]', action: labeldrop}", {"a": "absent!", "b": "absent!", "c": "baz"}),
    ("{regex: '[ab]', action: labelkeep}", {"a": "foo", "c": "absent!", "__meta_x_one": "absent!"}),
    ("{source_labels: [a, b], target_label: d, action: uppercase}", {"d": "FOO;BAR"}),
    ("{source_labels: [a], target_label: d, action: Lowercase}", {"d": "foo"}),
]


def rules(text: str) -> list[RelabelRule]:
    """Rules of YAML."""
    found = yaml.safe_load(text)
    return [RelabelRule.model_validate(r) for r in (found if isinstance(found, list) else [found])]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_action(text: str, expected: dict[str, str] | None) -> None:
    found = relabel(LABELS, rules(text))
    if expected is None:
        assert found is None
        return
    assert found is not None
    for name, value in expected.items():
        assert found.get(name, "absent!") == value
    if "label" not in text or "target_label" in text:
        others = {n: v for n, v in LABELS.items() if n not in expected}
        assert {n: v for n, v in found.items() if n not in expected} == others


def test_hashmod_is_the_last_eight_bytes_of_md5() -> None:
    assert 0xEDEF654FCCC4A4D8 % 1000 == 696


def test_rules_see_what_rules_before_them_did() -> None:
    text = """
- {source_labels: [a], target_label: __tmp}
- {source_labels: [__tmp, b], separator: '-', target_label: a}
- {source_labels: [a], regex: foo-bar, action: keep}
- {source_labels: [a], regex: never, action: drop}
"""
    found = relabel(LABELS, rules(text))
    assert found is not None
    assert found["a"] == "foo-bar"


def test_dot_matches_a_newline_and_empty_labels_are_absent() -> None:
    found = relabel({"a": "x\ny", "e": ""}, rules("{source_labels: [a], target_label: d}"))
    assert found == {"a": "x\ny", "d": "x\ny"}


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"action": "replace"}, "needs target_label"),
        ({"action": "hashmod", "target_label": "x"}, "needs a modulus"),
        ({"action": "labeldrop", "regex": "x", "target_label": "y"}, "takes only regex"),
        ({"action": "labelkeep", "source_labels": ["x"]}, "takes only regex"),
        ({"action": "keepequal", "source_labels": ["x"]}, "needs target_label"),
        ({"regex": "(", "target_label": "x"}, "missing"),
        ({"action": "nope"}, "Input should be"),
        ({"target_label": "x", "nope": 1}, "nope"),
        ({"target_label": "a-b"}, "\"a-b\" is invalid 'target_label' for replace action"),
        ({"target_label": "${1}", "action": "lowercase"}, "invalid 'target_label' for lowercase"),
        (
            {"replacement": "a-$1", "action": "labelmap"},
            "invalid 'replacement' for labelmap action",
        ),
    ],
)
def test_rules_that_are_refused(rule: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        RelabelRule.model_validate(rule)


@pytest.mark.parametrize("name", ["a-b", "1a", "", "a b", "é"])
def test_what_no_label_may_be_called_is_not_set(name: str) -> None:
    """A server refuses a whole push for one such name."""
    rule = RelabelRule(source_labels=("n",), target_label="${1}", replacement="v", regex="(.*)")
    assert relabel({"n": name}, [rule]) == ({"n": name} if name else {})
