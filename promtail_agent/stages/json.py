"""`json`: fields of a JSON object become extracted values, by JMESPath.

Paths (`a`, `a.b`, `a[0]`, `"quoted name"`) are followed here, ten times as fast as by the library
that knows the rest of the language. Source: reference/agent.md §11.
"""

import re
from collections.abc import Callable

import jmespath
import orjson
from jmespath.exceptions import JMESPathError
from pydantic import Field, field_validator

from promtail_agent.entry import AgentEntry
from promtail_agent.go_json import json_text, read_json
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext, source_bytes
from promtail_agent.stages.settings import Source

EXAMPLE = """
json:
  expressions:
    level:
    user: request.user.id
"""

JsonPath = tuple[str | int, ...]
Record = dict[str, object]
Getter = Callable[[Record], object]
_STEP = re.compile(r'\.?(?:([A-Za-z_][A-Za-z0-9_]*)|"((?:[^"\\]|\\.)*)")|\[(-?\d+)\]')
_MALFORMED = "json_malformed"


def parse_path(text: str) -> JsonPath | None:
    """The steps of a path expression; None where it is another one."""
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        leading_dot = text[at] == "."
        if found is None or (leading_dot == (at == 0) and found[3] is None):
            return None
        name, quoted, index = found.groups()
        if index is not None:
            steps.append(int(index))
        else:
            steps.append(name if name is not None else orjson.loads(f'"{quoted}"'))
        at = found.end()
    return tuple(steps)


def compile_expression(text: str) -> Getter:
    """What finds the value of an expression in an object; raises `ValueError`."""
    path = parse_path(text)
    if path is not None:
        return lambda record: _follow(record, path)
    try:
        search = jmespath.compile(text).search
    except JMESPathError as error:
        raise ValueError(f"could not compile JMES expression: {error}") from error

    def found(record: Record) -> object:
        try:
            return search(record)
        except JMESPathError:  # a function that was given a value of another type
            return None

    return found


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
        for expression in value.values():
            if expression:
                compile_expression(expression)
        return value

    model_config = StageConfig.model_config | {"validate_default": True}


class JsonStage(EachEntry):
    """Adds the values of paths; a line that is no object is kept, or dropped if so configured."""

    def __init__(self, config: Config, context: StageContext) -> None:
        paths = {n: parse_path(text) if text else (n,) for n, text in config.expressions.items()}
        self._fields = [(n, path[0]) for n, path in paths.items() if path and len(path) == 1]
        self._getters = [
            (n, compile_expression(text))
            for n, text in config.expressions.items()
            if text and len(paths[n] or ()) != 1
        ]
        self._source = config.source
        self._drop_malformed = config.drop_malformed
        self._dropped = context.metrics.dropped_lines

    def apply(self, entry: AgentEntry) -> bool:
        """Add a value (None where missing) for each name."""
        text = entry.line if self._source is None else source_bytes(entry, self._source)
        if text is None:
            return True
        try:
            record = read_json(text)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            if self._drop_malformed:
                self._dropped[_MALFORMED] += 1
            return not self._drop_malformed
        extracted = entry.extracted
        for name, key in self._fields:
            value = record.get(key)
            kind = type(value)
            if kind is str or kind is float:
                extracted[name] = value
            else:
                extracted[name] = _plain(value)
        for name, get in self._getters:
            extracted[name] = _plain(get(record))
        return True


def _plain(value: object) -> object:
    """A value as stages keep it: objects and arrays as JSON text, integers as floats."""
    if type(value) is int:
        return float(value)  # as Promtail: large integers lose precision
    if isinstance(value, dict | list):
        return json_text(value)
    return value


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
