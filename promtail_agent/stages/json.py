"""`json`: fields of a JSON object become extracted values.

Expressions are the path part of JMESPath: `a`, `a.b`, `a[0]`, `a[-1].b`, `"quoted name"`; other
JMESPath is refused when the config is read. Source: reference/agent.md §11.
"""

import re

import orjson
from pydantic import Field, field_validator

from promtail_agent.entry import AgentEntry
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext, source_bytes
from promtail_agent.stages.settings import Source

EXAMPLE = """
json:
  expressions:
    level:
    user: request.user.id
"""

JsonPath = tuple[str | int, ...]
_STEP = re.compile(r'\.?(?:([A-Za-z_][A-Za-z0-9_]*)|"((?:[^"\\]|\\.)*)")|\[(-?\d+)\]')
_MALFORMED = "json_malformed"


def parse_path(text: str) -> JsonPath:
    """The steps of a path expression; raises `ValueError`."""
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        leading_dot = text[at] == "."
        if found is None or (leading_dot == (at == 0) and found[3] is None):
            raise ValueError(f'could not compile JMES expression: "{text}" is no path like a.b[0]')
        name, quoted, index = found.groups()
        if index is not None:
            steps.append(int(index))
        else:
            steps.append(name if name is not None else orjson.loads(f'"{quoted}"'))
        at = found.end()
    return tuple(steps)


class Config(StageConfig):
    """Names and the paths of their values."""

    expressions: dict[str, str | None] = Field(default_factory=dict)
    source: Source = None
    drop_malformed: bool = False

    @field_validator("expressions")
    @classmethod
    def _paths(cls, value: dict[str, str | None]) -> dict[str, str | None]:
        if not value:
            raise ValueError("JMES expression is required")
        for name, expression in value.items():
            parse_path(expression or f'"{name}"')
        return value

    model_config = StageConfig.model_config | {"validate_default": True}


class JsonStage(EachEntry):
    """Adds the values of paths; a line that is no object is kept, or dropped if so configured."""

    def __init__(self, config: Config, context: StageContext) -> None:
        self._paths = [
            (name, parse_path(text) if text else (name,))
            for name, text in config.expressions.items()
        ]
        self._source = config.source
        self._drop_malformed = config.drop_malformed
        self._dropped = context.metrics.dropped_lines

    def apply(self, entry: AgentEntry) -> bool:
        """Add a value (None where missing) for each name."""
        text = source_bytes(entry, self._source)
        if text is None:
            return True
        try:
            record = orjson.loads(text)
        except orjson.JSONDecodeError:
            record = None
        if not isinstance(record, dict):
            if self._drop_malformed:
                self._dropped[_MALFORMED] += 1
            return not self._drop_malformed
        extracted = entry.extracted
        for name, path in self._paths:
            value = record.get(path[0]) if len(path) == 1 else _follow(record, path)
            if isinstance(value, dict | list):
                value = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
            elif isinstance(value, int) and not isinstance(value, bool):
                value = float(value)  # as Promtail: large integers lose precision
            extracted[name] = value
        return True


def _follow(value: object, path: JsonPath) -> object:
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        elif isinstance(value, list) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


def build(config: Config, context: StageContext) -> JsonStage:
    """The stage of a config."""
    return JsonStage(config, context)
