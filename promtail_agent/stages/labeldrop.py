"""`labeldrop`: remove the listed labels. Source: reference/agent.md §11."""

from pydantic import RootModel

from promtail_agent.entry import AgentEntry
from promtail_agent.stages.base import EachEntry, StageContext

EXAMPLE = "labeldrop: [filename]"


class Config(RootModel[list[str]]):
    """Names of labels."""

    def model_post_init(self, _context: object, /) -> None:
        """Refuse an empty stage."""
        if not self.root:
            raise ValueError("labeldrop stage config cannot be empty")


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
