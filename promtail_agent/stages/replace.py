"""`replace`: captured groups of every match become what a template makes of them (agent.md §11)."""

from typing import Any

from pydantic import field_validator

from narfi.core.regex import compile_regex
from promtail_agent.entry import AgentEntry, as_bytes
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext, source_bytes
from promtail_agent.stages.settings import Expression, Source
from promtail_agent.stages.template import Rendering, check_template

EXAMPLE = """
replace:
  expression: 'password=(\\S+)'
  replace: '*****'
"""


class Config(StageConfig):
    """What is looked for, where, and what it becomes."""

    expression: Expression = ""
    source: Source = None
    replace: str = ""

    @field_validator("replace")
    @classmethod
    def _is_template(cls, value: str) -> str:
        return check_template(value)

    model_config = StageConfig.model_config | {"validate_default": True}


class ReplaceStage(EachEntry):
    """Replaces groups from left to right; a regex without groups changes nothing.

    Nor does anything change when the template fails for one of them.
    """

    def __init__(self, config: Config) -> None:
        self._regex: Any = compile_regex(config.expression)
        self._template = Rendering(config.replace)
        self._source = config.source
        self._names = {number: name for name, number in self._regex.groupindex.items()}

    def apply(self, entry: AgentEntry) -> bool:
        """Change the line or the extracted value."""
        text = source_bytes(entry, self._source)
        if text is None:
            return True
        out: list[bytes] = []
        named: dict[str, str] = {}
        at = 0
        for match in self._regex.finditer(text):
            for number in range(1, self._regex.groups + 1):
                first, last = match.span(number)
                if first < at:  # took no part, or lies inside a group before it
                    continue
                made = self._template.of(entry, text[first:last].decode("utf-8", "surrogateescape"))
                if made is None:
                    return True
                if number in self._names:
                    named[self._names[number]] = made
                out += (text[at:first], as_bytes(made))
                at = last
        entry.extracted.update(named)
        result = b"".join((*out, text[at:]))
        if self._source is None:
            entry.line = result
        else:
            entry.extracted[self._source] = result.decode("utf-8", "surrogateescape")
        return True


def build(config: Config, _context: StageContext) -> ReplaceStage:
    """The stage of a config."""
    return ReplaceStage(config)
