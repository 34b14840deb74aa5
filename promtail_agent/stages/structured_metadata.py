"""`structured_metadata`: values kept beside the line instead of in labels.

Source: reference/agent.md §11.
"""

from pydantic import RootModel

from promtail_agent.entry import AgentEntry, valid_text
from promtail_agent.stages.base import EachEntry, StageContext, source_text
from promtail_agent.stages.labels import check_label_name

EXAMPLE = """
structured_metadata:
  trace_id:
  user: user_id
"""


class Config(RootModel[dict[str, str | None]]):
    """Name of the metadata to the name of its value."""

    def model_post_init(self, _context: object, /) -> None:
        """Refuse an empty stage and bad names."""
        if not self.root:
            raise ValueError("label stage config cannot be empty")
        for name in self.root:
            check_label_name(name)


MAX_VALUE_CHARACTERS = 8 << 10
"""A longer value is cut: a server refuses an entry whose metadata is larger than 64 KB, as a whole,
and its line still has everything."""


class StructuredMetadataStage(EachEntry):
    """Appends metadata; a label of the source's name with the same value is moved."""

    def __init__(self, config: Config) -> None:
        self._sources = [(name, source or name) for name, source in config.root.items()]

    def apply(self, entry: AgentEntry) -> bool:
        """Append what is found, first among the extracted values, then among the labels."""
        for name, source in self._sources:
            label = entry.labels.values.get(source)
            value = source_text(entry.extracted, source)
            if value is None:
                value = label
            if value is None:
                continue
            entry.metadata.append((name, valid_text(value[:MAX_VALUE_CHARACTERS])))
            if label == value:
                entry.labels = entry.labels.without((source,))
        return True


def build(config: Config, _context: StageContext) -> StructuredMetadataStage:
    """The stage of a config."""
    return StructuredMetadataStage(config)
