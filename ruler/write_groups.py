"""How is a group written as YAML? As the recorded server does: four blanks, keys in one order.

Fields that are not set are left out; an expression keeps its line breaks and comments.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from narfi.core.units import format_prometheus_duration
from ruler.group import Group, Rule


class _Dumper(yaml.SafeDumper):
    """Lists stand deeper than what they belong to, and what an item holds just behind its dash."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """The next multiple of four, or two blanks for the dash of an item."""
        self.indents.append(self.indent)
        if self.indent is None:
            self.indent = 0
        elif self.states[-1] == self.expect_block_sequence_item:
            self.indent += 2
        else:
            self.indent += 4 - self.indent % 4

    def determine_block_hints(self, text: str) -> str:
        """What stands behind `|`: how far a block is indented that begins with a blank."""
        usual = self.best_indent
        self.best_indent = (self.indent or 0) - (self.indents[-1] or 0)
        hints = super().determine_block_hints(text)
        self.best_indent = usual
        return hints


UNUSUAL_BREAKS = frozenset("\r\x85\u2028\u2029")
"""Breaks of lines to YAML: unless they are escaped, it reads a blank or another break for them."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if not UNUSUAL_BREAKS.isdisjoint(text) or _looks_like_another_type(dumper, text):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


def _looks_like_another_type(dumper: yaml.SafeDumper, text: str) -> bool:
    """Whether a reader that guesses types takes it for a number, a time, null or a truth value."""
    tag: str = dumper.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return tag != "tag:yaml.org,2002:str"


_Dumper.add_representer(str, _text)


def namespaces_yaml(namespaces: Mapping[str, Sequence[Group]]) -> bytes:
    """Groups by namespace."""
    found = {name: [_group(g) for g in groups] for name, groups in namespaces.items()}
    return _yaml(found)


def tenants_yaml(tenants: Mapping[str, Mapping[str, Sequence[Group]]]) -> bytes:
    """Groups by tenant and namespace."""
    return _yaml(
        {
            tenant: {name: [_group(g) for g in groups] for name, groups in found.items()}
            for tenant, found in tenants.items()
        }
    )


def group_yaml(group: Group) -> bytes:
    """One group."""
    return _yaml(_group(group))


def _yaml(value: object) -> bytes:
    made = yaml.dump(
        value,
        Dumper=_Dumper,
        indent=4,
        width=2**31,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        encoding="utf-8",
    )
    assert isinstance(made, bytes)
    return made


def _group(group: Group) -> dict[str, Any]:
    found: dict[str, Any] = {"name": group.name}
    if group.interval_ns:
        found["interval"] = format_prometheus_duration(group.interval_ns)
    if group.query_offset_ns:
        found["query_offset"] = format_prometheus_duration(group.query_offset_ns)
    if group.limit:
        found["limit"] = group.limit
    if group.labels:
        found["labels"] = dict(sorted(group.labels.items()))
    if group.source_tenants:
        found["source_tenants"] = list(group.source_tenants)
    return found | {"rules": [_rule(rule) for rule in group.rules]}


def _rule(rule: Rule) -> dict[str, Any]:
    found: dict[str, Any] = {"record": rule.record} if rule.record else {"alert": rule.alert}
    found["expr"] = rule.expr
    if rule.for_ns:
        found["for"] = format_prometheus_duration(rule.for_ns)
    if rule.keep_firing_for_ns:
        found["keep_firing_for"] = format_prometheus_duration(rule.keep_firing_for_ns)
    if rule.labels:
        found["labels"] = dict(sorted(rule.labels.items()))
    if rule.annotations:
        found["annotations"] = dict(sorted(rule.annotations.items()))
    if rule.sample_lines:
        found["sample_lines"] = rule.sample_lines
    return found
