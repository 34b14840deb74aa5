"""`eventlogmessage`: the `Key: value` lines of a Windows event become extracted values (§11)."""

import re

from pydantic import field_validator

from promtail_agent.entry import AgentEntry, as_text
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext

EXAMPLE = """
eventlogmessage:
  source: message
  overwrite_existing: true
"""

_VALID = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_INVALID_CHAR = re.compile(r"[^a-zA-Z0-9_]")


class Config(StageConfig):
    """Where the message is, and what to do with names that are taken or not allowed."""

    source: str = "message"
    drop_invalid_labels: bool = False
    overwrite_existing: bool = False

    @field_validator("source")
    @classmethod
    def _valid(cls, value: str) -> str:
        if _VALID.fullmatch(value) is None:
            raise ValueError(f"invalid label name: {value}")
        return value


class EventLogMessageStage(EachEntry):
    """Adds values; never drops an entry."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def apply(self, entry: AgentEntry) -> bool:
        """Split the message at line ends, each line at its first colon."""
        extracted = entry.extracted
        message = as_text(extracted.get(self._config.source))
        if message is None:
            return True
        for line in message.split("\r\n"):
            key, colon, value = line.partition(":")
            name = self._name(key.strip()) if colon else None
            if name is None:
                continue
            if name in extracted and not self._config.overwrite_existing:
                name += "_extracted"
            extracted[name] = value.strip()
        return True

    def _name(self, key: str) -> str | None:
        if _VALID.fullmatch(key):
            return key
        if self._config.drop_invalid_labels or not key:
            return None
        name = _INVALID_CHAR.sub("_", key)
        return f"_{name}" if name[0].isdigit() else name


def build(config: Config, _context: StageContext) -> EventLogMessageStage:
    """The stage of a config."""
    return EventLogMessageStage(config)
