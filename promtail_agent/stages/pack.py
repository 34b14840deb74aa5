"""`pack`: labels move into the line, as JSON with `_entry` (agent.md §11; LogQL's `unpack`)."""

import time

import orjson

from promtail_agent.entry import AgentEntry, valid_text
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext, source_text

EXAMPLE = """
pack:
  labels: [pod, container]
"""


class Config(StageConfig):
    """The labels to pack."""

    labels: tuple[str, ...] = ()
    ingest_timestamp: bool = True


class PackStage(EachEntry):
    """Writes the line anew; packed labels go."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def apply(self, entry: AgentEntry) -> bool:
        """Pack one entry."""
        found = {n: source_text(entry.extracted, n) for n in sorted(self._config.labels)}
        content = {name: valid_text(text) for name, text in found.items() if text is not None}
        content["_entry"] = entry.line.decode("utf-8", "replace")
        entry.line = _escaped(orjson.dumps(content))
        entry.labels = entry.labels.without(self._config.labels)
        if self._config.ingest_timestamp:
            entry.ts_ns = time.time_ns()
        return True


def _escaped(text: bytes) -> bytes:
    """The marks that Promtail's JSON escapes, so that lines are the same bytes."""
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark.encode(), b"\\u%04x" % ord(mark))
    return text


def build(config: Config, _context: StageContext) -> PackStage:
    """The stage of a config."""
    return PackStage(config)
