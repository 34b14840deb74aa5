"""What is a rule group? Rules that are evaluated together, as a user wrote them.

Durations are nanoseconds. `to_json` and `group_of_json` are how the catalog keeps a group: whole,
with every field, so that nothing that a user wrote is lost.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from narfi.core.errors import InternalError


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """An alerting or a recording rule: exactly one of `alert` and `record` is set."""

    alert: str = ""
    record: str = ""
    expr: str  # as it was written
    for_ns: int = 0
    keep_firing_for_ns: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)  # "" removes one
    annotations: Mapping[str, str] = field(default_factory=dict)
    sample_lines: int = 0  # log lines that an alert brings along, in an annotation of this name

    @property
    def name(self) -> str:
        """Of the alert or of the recorded metric."""
        return self.alert or self.record


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rules with an interval of their own."""

    name: str
    interval_ns: int = 0  # 0: `ruler.evaluation_interval`
    query_offset_ns: int = 0
    limit: int = 0  # alerts or series of a rule; none when it is not above 0
    labels: Mapping[str, str] = field(default_factory=dict)  # of every rule that has not its own
    source_tenants: tuple[
        str, ...
    ] = ()  # whose logs rules look at; empty: the group's own tenant's
    rules: tuple[Rule, ...] = ()

    def labels_of(self, rule: Rule) -> dict[str, str]:
        """The group's labels under the rule's."""
        return {**self.labels, **rule.labels}

    def to_json(self) -> str:
        """As the catalog keeps it; equal groups have equal texts."""
        return json.dumps(asdict(self), sort_keys=True)


class StoredGroupError(InternalError):
    """A stored group cannot be read: it was written by a newer version, or changed by hand."""


def group_of_json(body: str) -> Group:
    """The group that `to_json` wrote; raises `StoredGroupError`."""
    try:
        values: dict[str, Any] = json.loads(body)
        rules = tuple(Rule(**rule) for rule in values.pop("rules"))
        values["source_tenants"] = tuple(values.get("source_tenants", ()))
        return Group(**values, rules=rules)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoredGroupError(f"a stored rule group cannot be read: {error}") from error
