"""`template`: an extracted value becomes what a template makes of it (agent.md §11).

`.Value` is the value, `.Entry` the line, every extracted value its own name. A missing one shows
`<no value>`.
"""

from pydantic import field_validator

from narfi.core.errors import AppError
from narfi.core.text.template.errors import TemplateExecError
from narfi.core.text.template.parser import parse_template
from narfi.core.text.template.render import execute
from promtail_agent.entry import AgentEntry, as_text
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext, source_text
from promtail_agent.stages.template_functions import AGENT_FUNCTIONS, ALL_FUNCTIONS

EXAMPLE = """
template:
  source: level
  template: '{{ ToUpper .Value }}'
"""


class Config(StageConfig):
    """The value and its template."""

    source: str = ""
    template: str

    @field_validator("source")
    @classmethod
    def _not_empty(cls, value: str) -> str:
        if not value:
            raise ValueError("template source value is required")
        return value

    @field_validator("template")
    @classmethod
    def _is_template(cls, value: str) -> str:
        return check_template(value)

    model_config = StageConfig.model_config | {"validate_default": True}


def check_template(text: str) -> str:
    """The text; raises `ValueError` when it is no template."""
    try:
        parse_template(text, "pipeline_template", AGENT_FUNCTIONS)
    except AppError as error:
        raise ValueError(error.message) from error
    return text


class Rendering:
    """A template over an entry."""

    def __init__(self, text: str) -> None:
        self._template = parse_template(text, "pipeline_template", AGENT_FUNCTIONS)

    def of(self, entry: AgentEntry, value: str | None) -> str | None:
        """The text for a value, which may be missing; None where the template fails."""
        fields = {n: t for n, v in entry.extracted.items() if (t := as_text(v)) is not None}
        line = entry.line.decode("utf-8", "surrogateescape")
        fields["Entry"] = line
        if value is not None:
            fields["Value"] = value
        try:
            return execute(
                self._template,
                fields,
                line,
                entry.ts_ns,
                missing_is_empty=False,
                functions=ALL_FUNCTIONS,
            )
        except TemplateExecError:
            return None


class TemplateStage(EachEntry):
    """Sets an extracted value; an empty result removes it, a failure leaves it as it is."""

    def __init__(self, config: Config) -> None:
        self._source = config.source
        self._template = Rendering(config.template)

    def apply(self, entry: AgentEntry) -> bool:
        """Render the value."""
        made = self._template.of(entry, source_text(entry.extracted, self._source))
        if made:
            entry.extracted[self._source] = made
        elif made is not None:
            entry.extracted.pop(self._source, None)
        return True


def build(config: Config, _context: StageContext) -> TemplateStage:
    """The stage of a config."""
    return TemplateStage(config)
