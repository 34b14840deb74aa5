"""What is a loaded pack? Its manifest, and for a component the stages of each of its formats.

Stages are as a pack's files write them, in Promtail's words, and were checked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promtail_agent.packs.manifest import Manifest, Match, StreamFormat

RawStages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Branch:
    """The stages of lines in which `detect` is found; of all lines where it is empty."""

    detect: str
    stages: RawStages


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One pack; `base` is the one that it extends."""

    manifest: Manifest
    folder: Path
    formats: Mapping[str, RawStages]
    base: "Pack | None" = None

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """What it is called."""
        return self.manifest.name

    @property
    def match(self) -> tuple[Match, ...]:
        """Its clauses; those of the pack that it extends where it has none."""
        if self.manifest.match or self.base is None:
            return self.manifest.match
        return self.base.match

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Every label that it may add, with every value."""
        found = {} if self.base is None else self.base.labels
        for name, values in self.manifest.labels.items():
            found[name] = (*found.get(name, ()), *values)
        return found

    @property
    def fields(self) -> dict[str, str]:
        """Every field that it may add, and what its values are."""
        found = {} if self.base is None else self.base.fields
        return {**found, **self.manifest.fields}

    @property
    def components(self) -> tuple[str, ...]:
        """Words for the components that have a format, in order."""
        own = [word for stream in self.manifest.streams for word in stream.component]
        found = [*(() if self.base is None else self.base.components), *own]
        return tuple(dict.fromkeys(found))

    def passes(self) -> list[list[tuple[StreamFormat, RawStages]]]:
        """What a line goes through one after the other: of each, the first stream that fits."""
        found = [] if self.base is None else self.base.passes()
        return [*found, [(s, self.formats[s.format]) for s in self.manifest.streams]]

    def branches(self, component: str) -> list[list[Branch]]:
        """The passes of a component's lines, without those that have nothing for it."""
        out = []
        for streams in self.passes():
            found = [Branch(s.detect, stages) for s, stages in streams if takes(s, component)]
            if found:
                out.append(found)
        return out


def takes(stream: StreamFormat, component: str) -> bool:
    """Whether a component has this format."""
    return any(_fits(word, component) for word in stream.component)


def _fits(word: str, text: str) -> bool:
    """Whether a text is a word in which `*` is any text."""
    head, *rest = word.split("*")
    if not rest:
        return word == text
    *middle, tail = rest
    if not text.startswith(head) or not text[len(head) :].endswith(tail):
        return False
    at, end = len(head), len(text) - len(tail)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return at <= end
