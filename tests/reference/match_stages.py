"""What do `match` stages do to one entry? One stage after the other, labels looked at each time."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class MatchRule:
    """Takes entries (of a target `t`) whose label has a value and whose line has a text."""

    label: str
    value: str
    text: str
    sets: tuple[str, str] | None
    """A label and its value; None drops the entry."""

    def as_stage(self) -> dict[str, object]:
        """The stage as a configuration has it."""
        selector = f'{{t=~".+", {self.label}="{self.value}"}} |= "{self.text}"'
        if self.sets is None:
            return {"match": {"selector": selector, "action": "drop"}}
        name, value = self.sets
        stage = {"static_labels": {name: value}} if value else {"labeldrop": [name]}
        return {"match": {"selector": selector, "stages": [stage]}}


def after_all(
    labels: dict[str, str], line: str, rules: Sequence[MatchRule]
) -> dict[str, str] | None:
    """The labels at the end, or None for an entry that was dropped."""
    labels = dict(labels)
    for rule in rules:
        if labels.get(rule.label, "") != rule.value or rule.text not in line:
            continue
        if rule.sets is None:
            return None
        name, value = rule.sets
        if value:
            labels[name] = value
        else:
            labels.pop(name, None)
    return labels
