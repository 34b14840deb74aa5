"""How are labels changed, and what is dropped by them? Prometheus' relabelling rules (agent.md §9).

For targets of the agent, alerts, and series that are written to others.
Invariant: rules run in order on one set of labels; what is dropped ends the run with None.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from narfi.core.errors import AppError
from narfi.core.labels import quote
from narfi.core.regex import compile_regex
from narfi.core.text.expand import expand

Action = Literal[
    "replace",
    "keep",
    "drop",
    "keepequal",
    "dropequal",
    "hashmod",
    "labelmap",
    "labeldrop",
    "labelkeep",
    "lowercase",
    "uppercase",
]
_NEEDS_TARGET = frozenset(
    ("replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal")
)
_TARGET = r"^(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+$"
"""A name, or what may become one when its parts are put in."""
_NAMES_ONLY = frozenset(("labeldrop", "labelkeep"))


class RelabelRule(BaseModel):
    """One rule; unknown keys and impossible combinations are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    source_labels: tuple[str, ...] = ()
    separator: str = ";"
    regex: str = "(.*)"
    modulus: int = Field(default=0, ge=0)
    target_label: str = ""
    replacement: str = "$1"
    action: Action = "replace"

    @model_validator(mode="before")
    @classmethod
    def _keys_with_values(cls, value: object) -> object:
        """A key without a value is as if it were not there."""
        if not isinstance(value, dict):
            return value
        return {key: item for key, item in value.items() if item is not None}

    @field_validator("action", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("regex")
    @classmethod
    def _valid_regex(cls, value: str) -> str:
        try:
            compile_regex(_anchored(value))
        except AppError as error:
            raise ValueError(error.message) from error
        return value

    def change(self, labels: dict[str, str]) -> bool:
        """Change the labels in place; False drops what they belong to."""
        return _apply(labels, self)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.action in _NEEDS_TARGET and not self.target_label:
            raise ValueError(f"relabel action {self.action} needs target_label")
        named = self.replacement if self.action == "labelmap" else self.target_label
        is_open = self.action in ("replace", "labelmap")  # parts of what was found may stand there
        fits = compile_regex(_TARGET).search(named) is not None if is_open else _is_name(named)
        if named and not fits:
            key = "replacement" if self.action == "labelmap" else "target_label"
            raise ValueError(f"{quote(named)} is invalid '{key}' for {self.action} action")
        if self.action == "hashmod" and self.modulus == 0:
            raise ValueError("relabel action hashmod needs a modulus above 0")
        if self.action in _NAMES_ONLY and self.model_fields_set - {"action", "regex"}:
            raise ValueError(f"relabel action {self.action} takes only regex")
        return self


def _anchored(pattern: str) -> str:
    return f"^(?s:{pattern})$"


def relabel(labels: Mapping[str, str], rules: Sequence[RelabelRule]) -> dict[str, str] | None:
    """The labels after all rules, or None when a rule drops what they belong to."""
    current = {name: value for name, value in labels.items() if value}
    for rule in rules:
        if not rule.change(current):
            return None
    return current


def _apply(labels: dict[str, str], rule: RelabelRule) -> bool:
    """Change `labels` in place; False drops the target."""
    joined = rule.separator.join(labels.get(name, "") for name in rule.source_labels)
    match rule.action:
        case "keep":
            return _matches(rule, joined) is not None
        case "drop":
            return _matches(rule, joined) is None
        case "keepequal":
            return joined == labels.get(rule.target_label, "")
        case "dropequal":
            return joined != labels.get(rule.target_label, "")
        case _:
            _change(labels, rule, joined)
    return True


def _change(labels: dict[str, str], rule: RelabelRule, joined: str) -> None:
    match rule.action:
        case "replace":
            _replace(labels, rule, joined)
        case "hashmod":
            digest = hashlib.md5(joined.encode(), usedforsecurity=False).digest()
            _put(labels, rule.target_label, str(int.from_bytes(digest[8:], "big") % rule.modulus))
        case "lowercase":
            _put(labels, rule.target_label, joined.lower())
        case "uppercase":
            _put(labels, rule.target_label, joined.upper())
        case "labelmap":
            _map_names(labels, rule)
        case "labeldrop":
            _keep_names(labels, rule, keep=False)
        case "labelkeep":
            _keep_names(labels, rule, keep=True)


def _matches(rule: RelabelRule, text: str) -> Any:
    return compile_regex(_anchored(rule.regex)).search(text)


def _replace(labels: dict[str, str], rule: RelabelRule, joined: str) -> None:
    found = _matches(rule, joined)
    if found is not None:
        _put(labels, expand(rule.target_label, found), expand(rule.replacement, found))


def _is_name(name: str) -> bool:
    """A letter or `_`, then digits too."""
    return name.isascii() and name.isidentifier()


def _put(labels: dict[str, str], name: str, value: str) -> None:
    """Set or remove a label; under a name that none may have there is nothing to set."""
    if not _is_name(name):
        return
    if value:
        labels[name] = value
    else:
        labels.pop(name, None)


def _map_names(labels: dict[str, str], rule: RelabelRule) -> None:
    for name, value in list(labels.items()):
        found = _matches(rule, name)
        if found is not None:
            _put(labels, expand(rule.replacement, found), value)


def _keep_names(labels: dict[str, str], rule: RelabelRule, *, keep: bool) -> None:
    for name in list(labels):
        if (_matches(rule, name) is not None) != keep:
            del labels[name]
