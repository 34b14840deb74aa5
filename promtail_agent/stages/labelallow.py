"""`labelallow`: remove every label that is not listed. Source: reference/agent.md §11."""

from pydantic import RootModel

from promtail_agent.entry import AgentEntry
from promtail_agent.stages.base import EachEntry, StageContext

EXAMPLE = "labelallow: [namespace, pod, container]"


class Config(RootModel[list[str]]):
    """Names of labels."""

    def model_post_init(self, _context: object, /) -> None:
        """Refuse an empty stage."""
        if not self.root:
            raise ValueError("labelallow stage config cannot be empty")


class LabelAllowStage(EachEntry):
    """Keeps the listed labels; never drops an entry."""

    def __init__(self, config: Config) -> None:
        self._names = frozenset(config.root)

    def apply(self, entry: AgentEntry) -> bool:
        """Remove the labels that are not listed."""
        entry.labels = entry.labels.without(n for n in entry.labels.values if n not in self._names)
        return True


def build(config: Config, _context: StageContext) -> LabelAllowStage:
    """The stage of a config."""
    return LabelAllowStage(config)
