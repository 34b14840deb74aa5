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
    if "if or " in template or "if and " in template or "else if ." in template:
        return None
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
