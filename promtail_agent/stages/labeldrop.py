"""`labeldrop`: remove the listed labels. Source: reference/agent.md §11."""

from pydantic import Field, RootModel

from promtail_agent.entry import AgentEntry
from promtail_agent.stages.base import EachEntry, StageContext

EXAMPLE = "labeldrop: [filename]"


class Config(RootModel[list[str]]):
    """Names of labels."""

    root: list[str] = Field(min_length=1)


class LabelDropStage(EachEntry):
    """Removes labels; never drops an entry."""

    def __init__(self, config: Config) -> None:
        self._names = tuple(config.root)

    def apply(self, entry: AgentEntry) -> bool:
        """Remove the listed labels."""
        entry.labels = entry.labels.without(self._names)
        return True


def build(config: Config, _context: StageContext) -> LabelDropStage:
    """The stage of a config."""
    return LabelDropStage(config)
