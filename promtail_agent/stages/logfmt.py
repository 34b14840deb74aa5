"""`logfmt`: values of `key=value` pairs become extracted values; the last of equal keys wins.

What was read before a malformed pair is kept. Source: reference/agent.md §11.
"""

import re

import orjson
from pydantic import Field, field_validator

from promtail_agent.entry import AgentEntry
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext, source_bytes
from promtail_agent.stages.settings import Source

EXAMPLE = """
logfmt:
  mapping:
    level:
    took: duration
"""

_PAIR = re.compile(r'[\x00-\x20]*([^\x00-\x20="]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\x00-\x20"]*)))?')


def parse_pairs(text: str) -> dict[str, str]:
    """Pairs up to the first malformed one."""
    pairs: dict[str, str] = {}
    at = 0
    while True:
        found = _PAIR.match(text, at)
        if found is None:
            return pairs
        at = found.end()
        if at < len(text) and text[at] > " ":  # a quote or an equals sign where none may be
            return pairs
        key, quoted, plain = found.groups()
        if quoted is not None:
            try:
                pairs[key] = orjson.loads(f'"{quoted}"') if "\\" in quoted else quoted
            except orjson.JSONDecodeError:
                return pairs
        else:
            pairs[key] = plain or ""


class Config(StageConfig):
    """Names and the keys of their values."""

    mapping: dict[str, str | None] = Field(default_factory=dict)
    source: Source = None

    @field_validator("mapping")
    @classmethod
    def _given(cls, value: dict[str, str | None]) -> dict[str, str | None]:
        if not value:
            raise ValueError("logfmt mapping is required")
        return value

    model_config = StageConfig.model_config | {"validate_default": True}


class LogfmtStage(EachEntry):
    """Adds the values that the line has; never drops."""

    def __init__(self, config: Config) -> None:
        self._keys = [(name, key or name) for name, key in config.mapping.items()]
        self._source = config.source

    def apply(self, entry: AgentEntry) -> bool:
        """Add a value for each key present."""
        text = source_bytes(entry, self._source)
        if text is None:
            return True
        pairs = parse_pairs(text.decode("utf-8", "surrogateescape"))
        for name, key in self._keys:
            if key in pairs:
                entry.extracted[name] = pairs[key]
        return True


def build(config: Config, _context: StageContext) -> LogfmtStage:
    """The stage of a config."""
    return LogfmtStage(config)
