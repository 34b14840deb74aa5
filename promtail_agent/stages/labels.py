"""`labels`: labels from extracted values; a label without a source takes its own name.

Source: reference/agent.md §11.
"""

import re

from pydantic import RootModel

from promtail_agent.entry import AgentEntry, as_text
from promtail_agent.stages.base import EachEntry, StageContext

EXAMPLE = """
labels:
  level:
  app: service
"""

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def check_label_name(name: str) -> None:
    """Raise `ValueError` with Promtail's text for a name that no label may have."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"invalid label name: {name}")


class Config(RootModel[dict[str, str | None]]):
    """Label to the name of its extracted value."""

    def model_post_init(self, _context: object, /) -> None:
        """Refuse an empty stage and bad names."""
        if not self.root:
            raise ValueError("label stage config cannot be empty")
        for name in self.root:
            check_label_name(name)


class LabelsStage(EachEntry):
    """Sets labels whose source was extracted; never drops."""

    def __init__(self, config: Config) -> None:
        self._sources = [(name, source or name) for name, source in config.root.items()]

    def apply(self, entry: AgentEntry) -> bool:
        """Set the labels that have a value."""
        extracted, labels = entry.extracted, entry.labels
        for name, source in self._sources:
            value = extracted.get(source)
            text = value if isinstance(value, str) else as_text(value)
            if text is not None:  # an empty one takes the label away
                labels = labels.with_label(name, text)
        entry.labels = labels
        return True


def build(config: Config, _context: StageContext) -> LabelsStage:
    """The stage of a config."""
    return LabelsStage(config)
