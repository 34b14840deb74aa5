"""How does a YAML text become groups? One group of a request, or the groups of a file.

A request may hold keys that are not known, which are left out as the recorded server does; a file
may not, since a misspelt `for:` would be lost without a word. Nothing is validated here.
"""

from collections.abc import Iterable

import yaml

from ruler.group import Group, Rule
from ruler.yaml_nodes import (
    YamlError,
    duration_of,
    first_document,
    int_of,
    is_null,
    list_of,
    map_of,
    place_of,
    text_of,
    texts_of,
)

GROUP_KEYS = ("name", "interval", "query_offset", "limit", "labels", "source_tenants", "rules")
FOREIGN_KEYS = ("evaluation_delay", "align_evaluation_time_on_interval")
"""Of other servers' groups: tools put them into files for all servers."""
RULE_KEYS = (
    "alert",
    "record",
    "expr",
    "for",
    "keep_firing_for",
    "labels",
    "annotations",
    "sample_lines",
)


def read_group(text: bytes) -> Group:
    """The group of a request; one without a name where there is nothing. Raises `YamlError`."""
    node = first_document(text)
    return Group(name="") if node is None else _group(node, strict=False)


def read_file(text: bytes) -> list[Group]:
    """The groups of a file, in order; raises `YamlError`, which names the line."""
    return read_file_of_namespace(text)[1]


def read_file_of_namespace(text: bytes) -> tuple[str, list[Group]]:
    """The namespace that a file gives itself, "" for none, and its groups; raises `YamlError`."""
    node = first_document(text)
    if node is None:
        return "", []
    found = map_of(node)
    _refuse_others(found, node, ("groups", "namespace"))
    if "groups" not in found:
        raise YamlError(f"{place_of(node)}: there is no `groups`")
    namespace = text_of(found["namespace"]) if "namespace" in found else ""
    return namespace, [_group(one, strict=True) for one in list_of(found["groups"])]


def read_namespaces(text: bytes) -> dict[str, list[Group]]:
    """The answer of a server that was asked for all rules; raises `YamlError`."""
    node = first_document(text)
    found = {} if node is None else map_of(node)
    return {
        name: [_group(one, strict=False) for one in list_of(groups)]
        for name, groups in found.items()
    }


def _refuse_others(found: Iterable[str], node: yaml.Node, known: tuple[str, ...]) -> None:
    for name in found:
        if name not in known:
            raise YamlError(f"{place_of(node)}: unknown key {name!r}")


def _group(node: yaml.Node, *, strict: bool) -> Group:
    found = map_of(node)
    if strict:
        _refuse_others(found, node, GROUP_KEYS + FOREIGN_KEYS)
    nothing = yaml.ScalarNode("tag:yaml.org,2002:null", "", node.start_mark)
    value = {name: found.get(name, nothing) for name in GROUP_KEYS}
    return Group(
        name=text_of(value["name"]),
        interval_ns=duration_of(value["interval"]),
        query_offset_ns=duration_of(value["query_offset"]),
        limit=int_of(value["limit"]),
        labels=texts_of(value["labels"]),
        source_tenants=tuple(text_of(one) for one in list_of(value["source_tenants"])),
        rules=tuple(
            _rule(one, strict=strict) for one in list_of(value["rules"]) if not is_null(one)
        ),
    )


def _rule(node: yaml.Node, *, strict: bool) -> Rule:
    found = map_of(node)
    if strict:
        _refuse_others(found, node, RULE_KEYS)
    nothing = yaml.ScalarNode("tag:yaml.org,2002:null", "", node.start_mark)
    value = {name: found.get(name, nothing) for name in RULE_KEYS}
    return Rule(
        alert=text_of(value["alert"]),
        record=text_of(value["record"]),
        expr=text_of(value["expr"]),
        for_ns=duration_of(value["for"]),
        keep_firing_for_ns=duration_of(value["keep_firing_for"]),
        labels=texts_of(value["labels"]),
        annotations=texts_of(value["annotations"]),
        sample_lines=int_of(value["sample_lines"]),
    )
