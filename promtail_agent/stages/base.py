"""What is a stage? A step that changes, drops, joins or holds entries.

A stage lives as long as its pipeline and sees every entry of it, chunk by chunk, in order. What it
yields it owns no longer. A stage that holds entries back (joining lines) must say from where, so
that positions never pass a line that was not pushed yet.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, model_validator

from promtail_agent.config_base import without_nulls
from promtail_agent.entry import AgentEntry, Extracted, Generation, as_bytes, as_text
from promtail_agent.metrics import AgentMetrics


@dataclass(frozen=True, slots=True)
class HeldFrom:
    """The start of the oldest line that a stage keeps back."""

    generation: Generation
    offset: int

    @property
    def place(self) -> tuple[int, int]:
        """By which two of one path are compared: the smaller was read first."""
        return self.generation.turn, self.offset


def oldest(firsts: Iterable[AgentEntry | None]) -> HeldFrom | None:
    """Where the first of some entries of one path starts; None without any of a file."""
    held = [
        HeldFrom(entry.generation, entry.offset)
        for entry in firsts
        if entry is not None and entry.generation is not None
    ]
    return min(held, key=lambda one: one.place, default=None)


def _no_inner_stages(_stages: "Sequence[Mapping[str, Any]]", /) -> "Stage":
    raise ValueError("stages inside a stage need a pipeline that builds them")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageContext:
    """What stages need of the world: counters, the time, and when waiting has to end."""

    metrics: AgentMetrics = field(default_factory=AgentMetrics)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    stop: threading.Event = field(default_factory=threading.Event)
    behind: set[str] = field(default_factory=set)
    """Paths of which there may be more to read: what was kept of them is not due."""
    inner: "Callable[[Sequence[Mapping[str, Any]]], Stage]" = _no_inner_stages
    """Builds the stages inside a stage, as one; the pipeline that builds the stage gives it."""


class StageConfig(BaseModel):
    """Base of the stages' settings: frozen; unknown keys were taken out before, and told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _keys_with_values(cls, value: object) -> object:
        return without_nulls(value)

    @classmethod
    def ignored_keys(cls, _given: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
        """Paths of given keys that have no meaning beside the others."""
        return ()


class Stage(Protocol):
    """One step of a pipeline.

    `process` takes the next entries of one source in order and yields what comes out of them; it
    may yield none and keep some for a later call. `held_from` answers for the source's path; None
    means that nothing of it is kept. `forget` ends a source: what is kept of it comes out.
    """

    def process(self, entries: Iterable[AgentEntry]) -> Iterator[AgentEntry]:
        """Entries in, entries out; lazy."""
        ...

    def held_from(self, path: str, /) -> HeldFrom | None:
        """Where the oldest kept line of a path starts."""
        ...

    def forget(self, path: str, /) -> Iterator[AgentEntry]:
        """Give out what is kept of a source that has ended."""
        ...

    def due(self, now_s: float, /) -> Iterator[AgentEntry]:
        """Give out what was kept for as long as it may be; `now_s` is of `time.monotonic`."""
        ...


class EachEntry:
    """A stage that looks at one entry at a time, in place, and holds nothing."""

    def apply(self, entry: AgentEntry) -> bool:
        """Change the entry; False drops it (the stage has counted why)."""
        raise NotImplementedError

    def process(self, entries: Iterable[AgentEntry]) -> Iterator[AgentEntry]:
        """Every entry that `apply` keeps, in order."""
        return filter(self.apply, entries)

    def held_from(self, _path: str, /) -> HeldFrom | None:
        """Nothing is held."""
        return None

    def forget(self, _path: str, /) -> Iterator[AgentEntry]:
        """Nothing comes out."""
        return iter(())

    def due(self, _now_s: float, /) -> Iterator[AgentEntry]:
        """Nothing was kept."""
        return iter(())


def source_bytes(entry: AgentEntry, source: str | None) -> bytes | None:
    """The line, or the extracted value named `source`; None where it is absent."""
    if source is None:
        return entry.line
    value = entry.extracted.get(source)
    if isinstance(value, bytes):
        return value
    text = as_text(value)
    return None if text is None else as_bytes(text)


def source_text(extracted: Extracted, source: str) -> str | None:
    """An extracted value as text; None where it is absent or has no text form."""
    return as_text(extracted.get(source))
