"""`regex`: named groups of an RE2 expression become extracted values.

`source: filename` is the way to labels from a path: the file's name never changes within a stream,
so the groups of a source value are remembered. Source: reference/agent.md §11.
"""

from narfi.core.regex import compile_regex
from promtail_agent.entry import AgentEntry
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext, source_bytes
from promtail_agent.stages.settings import Expression, Source

EXAMPLE = """
regex:
  source: filename
  expression: '/pods/(?P<namespace>[^_]+)_(?P<pod>[^_]+)_(?P<uid>[^/]+)/(?P<container>[^/]+)/'
"""

_REMEMBERED = 1024  # source values; beyond it the memory starts anew


class Config(StageConfig):
    """The expression, and where to look (default: the line)."""

    expression: Expression = ""
    source: Source = None

    model_config = StageConfig.model_config | {"validate_default": True}


class RegexStage(EachEntry):
    """Adds the groups of the first match; never drops."""

    def __init__(self, config: Config) -> None:
        self._regex = compile_regex(config.expression)
        self._source = config.source
        self._seen: dict[bytes, dict[str, object]] = {}

    def apply(self, entry: AgentEntry) -> bool:
        """Add the named groups, where the expression matches."""
        text = source_bytes(entry, self._source)
        if text is None:
            return True
        if self._source is None:
            entry.extracted.update(self._groups(text))
            return True
        groups = self._seen.get(text)
        if groups is None:
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            groups = self._seen[text] = self._groups(text)
        entry.extracted.update(groups)
        return True

    def _groups(self, text: bytes) -> dict[str, object]:
        found = self._regex.search(text)
        if found is None:
            return {}
        return {
            name: (value or b"").decode("utf-8", "surrogateescape")
            for name, value in found.groupdict().items()
        }


def build(config: Config, _context: StageContext) -> RegexStage:
    """The stage of a config."""
    return RegexStage(config)
