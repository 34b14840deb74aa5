"""How is a group written as YAML? As the recorded server does: four blanks, keys in one order.

Fields that are not set are left out; an expression keeps its line breaks and comments.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from narfi.core.units import format_prometheus_duration
from ruler.group import Group, Rule


class _Dumper(yaml.SafeDumper):
    """Lists stand deeper than what they belong to."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Never at the indentation of the key."""
        super().increase_indent(flow, False)


UNUSUAL_BREAKS = frozenset("\r\x85\u2028\u2029")
"""Breaks of lines to YAML: unless they are escaped, it reads a blank or another break for them."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if text.endswith("\n") else None
    if not UNUSUAL_BREAKS.isdisjoint(text):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


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
