"""`decolorize`: take the colours of a terminal out of the line.

Source: reference/agent.md §11.
"""

from narfi.core.regex import compile_regex
from promtail_agent.entry import AgentEntry
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext

EXAMPLE = "decolorize: {}"

_SGR = r"\x1b\[[0-9;]*m"


class Config(StageConfig):
    """No settings."""


class DecolorizeStage(EachEntry):
    """Strips ANSI SGR sequences; never drops."""

    def __init__(self) -> None:
        self._regex = compile_regex(_SGR)

    def apply(self, entry: AgentEntry) -> bool:
        """Strip, where the line has an escape at all."""
        if b"\x1b" in entry.line:
            entry.line = self._regex.sub(b"", entry.line)
        return True


def build(_config: Config, _context: StageContext) -> DecolorizeStage:
    """The stage of a config."""
    return DecolorizeStage()
