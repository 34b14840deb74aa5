"""`output`: the line becomes an extracted value, where there is one.

Source: reference/agent.md §11.
"""

from pydantic import field_validator

from promtail_agent.entry import AgentEntry
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext, source_bytes

EXAMPLE = """
output:
  source: message
"""


class Config(StageConfig):
    """Which value."""

    source: str = ""

    @field_validator("source")
    @classmethod
    def _given(cls, value: str) -> str:
        if not value:
            raise ValueError("output source value is required if output is specified")
        return value

    model_config = StageConfig.model_config | {"validate_default": True}


class OutputStage(EachEntry):
    """Replaces the line; never drops."""

    def __init__(self, config: Config) -> None:
        self._source = config.source

    def apply(self, entry: AgentEntry) -> bool:
        """Replace the line where the value exists."""
        value = source_bytes(entry, self._source)
        if value is not None:
            entry.line = value
        return True


def build(config: Config, _context: StageContext) -> OutputStage:
    """The stage of a config."""
    return OutputStage(config)
