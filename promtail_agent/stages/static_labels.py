"""`static_labels`: fixed labels for every entry; an empty value is ignored.

Source: reference/agent.md §11.
"""

from pydantic import RootModel

from promtail_agent.entry import AgentEntry
from promtail_agent.stages.base import EachEntry, StageContext
from promtail_agent.stages.labels import check_label_name

EXAMPLE = """
static_labels:
  cluster: eu-1
"""


class Config(RootModel[dict[str, str | None]]):
    """Label to value."""

    def model_post_init(self, _context: object, /) -> None:
        """Refuse names that no label may have."""
        if not self.root:
            raise ValueError("static_labels stage config cannot be empty")
        for name in self.root:
            check_label_name(name)


class StaticLabelsStage(EachEntry):
    """Sets the labels; never drops."""

    def __init__(self, config: Config) -> None:
        self._labels = [(name, value) for name, value in config.root.items() if value]

    def apply(self, entry: AgentEntry) -> bool:
        """Set every label."""
        labels = entry.labels
        for name, value in self._labels:
            labels = labels.with_label(name, value)
        entry.labels = labels
        return True


def build(config: Config, _context: StageContext) -> StaticLabelsStage:
    """The stage of a config."""
    return StaticLabelsStage(config)
