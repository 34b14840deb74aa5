"""`multiline`: lines up to the next first line become one entry (agent.md §11).

Per label set. Lines before the first match pass. A block ends at the next first line, after
`max_wait_time` without one, or at `max_lines`; then it goes on as a new block of the same start.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import field_validator

from narfi.core.regex import compile_regex
from promtail_agent.durations import Duration
from promtail_agent.entry import AgentEntry
from promtail_agent.stages.base import HeldFrom, StageConfig, StageContext, oldest
from promtail_agent.stages.settings import check_expression

EXAMPLE = """
multiline:
  firstline: '^\\d{4}-\\d{2}-\\d{2}'
  max_wait_time: 3s
"""


class Config(StageConfig):
    """What begins a block, and what ends it at the latest."""

    firstline: str = ""
    max_wait_time: Duration = 3.0
    max_lines: int = 128

    @field_validator("firstline")
    @classmethod
    def _compiles(cls, value: str) -> str:
        if not value:
            raise ValueError("multiline stage config must define `firstline` regular expression")
        return check_expression(value)

    model_config = StageConfig.model_config | {"validate_default": True}


@dataclass(slots=True)
class _Block:
    start: AgentEntry
    lines: list[bytes] = field(default_factory=list)
    changed_s: float = 0.0
    first: AgentEntry | None = None  # of the lines collected now: where reading would go on

    def take(self) -> AgentEntry:
        """The block as one entry; later lines begin a new one of the same start."""
        made = replace(self.start, line=b"\n".join(self.lines), metadata=[])
        made.extracted = dict(self.start.extracted)
        if self.first is not None:
            made.generation, made.offset = self.first.generation, self.first.offset
        self.lines, self.first = [], None
        return made


class MultilineStage:
    """Joins lines of each label set."""

    def __init__(self, config: Config, context: StageContext) -> None:
        self._behind = context.behind
        self._regex: Any = compile_regex(config.firstline)
        self._wait_s, self._most = config.max_wait_time, max(config.max_lines, 1)
        self._blocks: dict[tuple[str, str], _Block] = {}

    def process(self, entries: Iterable[AgentEntry]) -> Iterator[AgentEntry]:
        """Whole blocks, in the order in which they end."""
        now_s = time.monotonic()
        for entry in entries:
            key = (_path(entry), entry.labels.text)
            block = self._blocks.get(key)
            if self._regex.search(entry.line) is not None:
                if block is not None and block.lines:
                    yield block.take()
                block = self._blocks[key] = _Block(entry)
            elif block is None:
                yield entry
                continue
            block.lines.append(entry.line)
            block.first = block.first or entry
            block.changed_s = now_s
            if len(block.lines) >= self._most:
                yield block.take()

    def held_from(self, path: str, /) -> HeldFrom | None:
        """The first line of the oldest unfinished block of a path."""
        return oldest(block.first for key, block in self._blocks.items() if key[0] == path)

    def forget(self, path: str, /) -> Iterator[AgentEntry]:
        """Unfinished blocks of a source that has ended."""
        for key in [key for key in self._blocks if key[0] == path]:
            block = self._blocks.pop(key)
            if block.lines:
                yield block.take()

    def due(self, now_s: float, /) -> Iterator[AgentEntry]:
        """Blocks that have waited long enough."""
        for (path, _), block in self._blocks.items():
            if path in self._behind:
                continue  # there is more to read, which may belong to it
            if block.lines and now_s - block.changed_s >= self._wait_s:
                yield block.take()


def _path(entry: AgentEntry) -> str:
    return entry.generation.path if entry.generation is not None else entry.labels.text


def build(config: Config, context: StageContext) -> MultilineStage:
    """The stage of a config."""
    return MultilineStage(config, context)
