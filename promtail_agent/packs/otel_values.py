"""How are values of stages written for a Collector? Texts, layouts of times, tables of levels."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

_LAYOUTS = {
    "RFC3339": "2006-01-02T15:04:05Z07:00",
    "RFC3339Nano": "2006-01-02T15:04:05.999999999Z07:00",
}
_LEVELS = ("trace", "debug", "info", "warn", "error", "fatal")
_KEPT = ("static_labels", "labels", "structured_metadata")


def quoted(text: str) -> str:
    """A text in an expression."""
    return json.dumps(str(text), ensure_ascii=False)


def layout_of(text: str) -> str:
    """Go's layout of a format's name."""
    return _LAYOUTS.get(text, text)


def kept_by(stages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of labels and metadata that the stages make."""
    found: dict[str, None] = {}
    for stage in stages:
        [(name, body)] = stage.items()
        if name in _KEPT:
            found |= dict.fromkeys(body)
        if name == "match":
            found |= dict.fromkeys(kept_by(body.get("stages", ())))
    return list(found)


def level_map(template: str) -> tuple[str, dict[str, list[str]]] | None:
    """Whose words are levels, and the words by level: of a template such as
    `{{ if eq .Value "W" }}warn{{ else if … }}`; None for another.
    """
    found: dict[str, list[str]] = {}
    source = "Value"
    for part in template.split("if eq .")[1:]:
        test, _, rest = part.partition("}}")
        source = test.partition(" ")[0]
        level = rest.partition("{{")[0].strip()
        words = [word for word in test.split('"')[1::2] if word]
        name = "fatal" if level == "critical" else level
        if name in _LEVELS and words:
            found.setdefault(name, []).extend(words)
    if not found and "ToLower .Value" not in template:
        return None
    for level in _LEVELS:
        words = found.setdefault(level, [])
        words += [w for w in (level, level.upper()) if w not in words]
    return source, found


def choices_of(template: str) -> list[tuple[str, str]] | None:
    """Conditions and texts of a template that only chooses between words, in order:
    `{{ if eq .a "x" }}one{{ else if and .b .c }}two{{ end }}`; None for another.
    """
    found: list[tuple[str, str]] = []
    head, *parts = template.split("{{")
    if head.strip() or not parts or parts[-1].strip() != "end }}":
        return None
    for part in parts[:-1]:
        test, closing, text = part.partition("}}")
        words = test.strip()
        if closing and words == "else":
            found.append(("true", text))
            continue
        bare = words.removeprefix("else ")
        condition = _condition(bare[3:].strip()) if bare[:3] == "if " else None
        if not closing or condition is None:
            return None
        found.append((condition, text))
    return found


def _condition(test: str) -> str | None:
    """A condition of a template as an expression over attributes."""
    words = test.split('"')
    names = words[0].split()
    values = words[1::2]
    match names:
        case ["eq", name] if values and name.startswith("."):
            at = f"attributes[{quoted(name[1:])}]"
            return "(" + " or ".join(f"{at} == {quoted(value)}" for value in values) + ")"
        case ["and", *fields] if not values and all(field.startswith(".") for field in fields):
            there = (f"attributes[{quoted(field[1:])}] != nil" for field in fields)
            return "(" + " and ".join(there) + ")"
        case [field] if not values and field.startswith("."):
            return f"(attributes[{quoted(field[1:])}] != nil)"
    return None
