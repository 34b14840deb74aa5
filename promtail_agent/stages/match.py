"""`match`: stages for some entries only, or dropping them (agent.md §11).

The selector has label matchers and the line filters `|= != |~ !~`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

from pydantic import model_validator

from narfi.core.errors import AppError
from narfi.core.matchers import Matcher, match_all
from narfi.core.regex import compile_regex
from promtail_agent.entry import AgentEntry, as_bytes
from promtail_agent.stages.base import HeldFrom, StageConfig, StageContext

if TYPE_CHECKING:
    from promtail_agent.pipeline import Pipeline  # which knows this module by the registry

EXAMPLE = """
match:
  selector: '{app="api"} |= "debug"'
  action: drop
  drop_counter_reason: debug_lines
"""

LineTest = Callable[[bytes], bool]


class Config(StageConfig):
    """Which entries, and what becomes of them; `stages` are as in `pipeline_stages`."""

    selector: str = ""
    stages: tuple[dict[str, Any], ...] = ()
    action: str = "keep"
    pipeline_name: str | None = None
    drop_counter_reason: str = "match_stage"

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        from promtail_agent.pipeline import parse_stages

        if self.action not in ("keep", "drop"):
            raise ValueError("match stage action should be 'keep' or 'drop'")
        if not self.selector:
            raise ValueError("selector statement required for match stage")
        if self.action == "keep" and not self.stages:
            raise ValueError(
                "match stage requires at least one additional stage to be defined in '- stages'"
            )
        if self.action == "drop" and self.stages:
            raise ValueError("match stage configured to drop entries cannot contains stages")
        parse_selector(self.selector)
        parse_stages(self.stages)
        return self


def parse_selector(text: str) -> tuple[tuple[Matcher, ...], tuple[LineTest, ...]]:
    """Matchers and tests of the line; raises `ValueError`."""
    from logql import ast
    from logql.parser import parse

    try:
        query = parse(text)
    except AppError as error:
        raise ValueError(f"invalid selector syntax for match stage: {error.message}") from error
    if not isinstance(query, ast.LogQuery):
        raise ValueError("the selector of a match stage is a log query")
    tests: list[LineTest] = []
    for stage in query.stages:
        if not isinstance(stage, ast.LineFilter) or any(o.is_ip for o in stage.operands):
            raise ValueError("the selector of a match stage takes only line filters")
        tests.append(_line_test(stage.op.value, [o.value for o in stage.operands]))
    return query.selector.matchers, tuple(tests)


def _line_test(op: str, values: list[str]) -> LineTest:
    if op in ("|=", "!="):
        needles = [as_bytes(value) for value in values]

        def found(line: bytes) -> bool:
            return any(needle in line for needle in needles)

    elif op in ("|~", "!~"):
        programs: list[Any] = [compile_regex(value) for value in values]

        def found(line: bytes) -> bool:
            return any(program.search(line) is not None for program in programs)

    else:
        raise ValueError("the selector of a match stage takes only |=, !=, |~ and !~")
    return found if op.startswith("|") else lambda line: not found(line)


class MatchStage:
    """Runs its own pipeline over matching entries; others pass by in order."""

    def __init__(self, config: Config, context: StageContext, pipeline: "Pipeline") -> None:
        self._matchers, self._tests = parse_selector(config.selector)
        self._drops, self._reason = config.action == "drop", config.drop_counter_reason
        self._dropped = context.metrics.dropped_lines
        self._pipeline = pipeline

    def process(self, entries: Iterable[AgentEntry]) -> Iterator[AgentEntry]:
        """Entries in, entries out."""
        for entry in entries:
            if not self._matches(entry):
                yield entry
            elif self._drops:
                self._dropped[self._reason] += 1
            else:
                entry.extracted.update(entry.labels.values)
                yield from self._pipeline.process([entry])

    def _matches(self, entry: AgentEntry) -> bool:
        labels = dict(entry.labels.values)
        return match_all(self._matchers, labels) and all(test(entry.line) for test in self._tests)

    def held_from(self, path: str, /) -> HeldFrom | None:
        """What the inner stages keep."""
        return self._pipeline.held_from(path)

    def forget(self, path: str, /) -> Iterator[AgentEntry]:
        """What the inner stages kept."""
        return self._pipeline.forget(path)

    def due(self, now_s: float, /) -> Iterator[AgentEntry]:
        """What inner stages have kept long enough."""
        return self._pipeline.due(now_s)


def build(config: Config, context: StageContext) -> MatchStage:
    """The stage of a config."""
    from promtail_agent.pipeline import build_pipeline, parse_stages

    specs = parse_stages(config.stages)
    return MatchStage(config, context, build_pipeline(specs, context))
