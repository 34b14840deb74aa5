"""`logfmt`: values of `key=value` pairs become extracted values; the last of equal keys wins.

What was read before a malformed pair is kept. Source: reference/agent.md §11.
"""

from pydantic import Field, field_validator

from narfi.core.text.logfmt import LogfmtError, pairs_of
from promtail_agent.entry import AgentEntry
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext, source_bytes
from promtail_agent.stages.settings import Source

EXAMPLE = """
logfmt:
  mapping:
    level:
    took: duration
"""


def parse_pairs(line: bytes) -> dict[str, str]:
    """Pairs up to the first malformed one."""
    pairs: dict[str, str] = {}
    for found in pairs_of(line):
        if isinstance(found, LogfmtError):
            break
        pairs[found.key.decode("utf-8", "surrogateescape")] = found.value.decode(
            "utf-8", "surrogateescape"
        )
    return pairs


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
        pairs = parse_pairs(text)
        for name, key in self._keys:
            if key in pairs:
                entry.extracted[name] = pairs[key]
        return True


def build(config: Config, _context: StageContext) -> LogfmtStage:
    """The stage of a config."""
    return LogfmtStage(config)
