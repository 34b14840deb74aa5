"""`match`: stages for some entries only, or dropping them (agent.md §11).

The selector has label matchers and the line filters `|= != |~ !~`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

from pydantic import ValidationInfo, model_validator

from narfi.core.errors import AppError
from narfi.core.matchers import Matcher, match_all
from narfi.core.regex import compile_regex
from promtail_agent.entry import AgentEntry, LabelSet, as_bytes
from promtail_agent.stages.base import HeldFrom, Stage, StageConfig, StageContext

EXAMPLE = """
match:
  selector: '{app="api"} |= "debug"'
  action: drop
  drop_counter_reason: debug_lines
"""

_MAX_DECIDED = 1024
"""Sets of labels that are remembered; labels of many values must not fill the memory."""
LineTest = Callable[[bytes], bool]


class Config(StageConfig):
    """Which entries, and what becomes of them; `stages` are as in `pipeline_stages`.

    The context of the validation is a function that checks `stages`: this file knows no other.
    """

    selector: str = ""
    stages: tuple[dict[str, Any], ...] = ()
    action: str = "keep"
    pipeline_name: str | None = None
    drop_counter_reason: str = "match_stage"

    @model_validator(mode="after")
    def _makes_sense(self, info: ValidationInfo) -> Self:
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
        if info.context is not None:
            info.context(self.stages)
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


class Match:
    """One stage: which entries, and the stages that they go through, or that they are dropped."""

    def __init__(self, config: Config, context: StageContext, inner: Stage) -> None:
        self._matchers, self._tests = parse_selector(config.selector)
        self._drops, self._reason = config.action == "drop", config.drop_counter_reason
        self._dropped = context.metrics.dropped_lines
        self.inner = inner

    def takes_labels(self, labels: LabelSet) -> bool:
        """Whether entries of these labels are looked at."""
        return match_all(self._matchers, dict(labels.values))

    def takes_line(self, line: bytes) -> bool:
        """Whether the line filters let it pass."""
        return all(test(line) for test in self._tests)

    def apply(self, entry: AgentEntry) -> Iterator[AgentEntry]:
        """What becomes of an entry that is taken."""
        if self._drops:
            self._dropped[self._reason] += 1
            return iter(())
        entry.extracted.update(entry.labels.values)
        return self.inner.process([entry])


class MatchStages:
    """`match` stages that follow each other; entries that none takes pass by in order.

    Which stages look at entries is decided once for a set of labels, and those never change: an
    entry that an earlier stage gave other labels has another set. So a stage costs nothing for the
    lines of a target that it does not take.
    """

    def __init__(self, stages: Sequence[Match]) -> None:
        self.stages = tuple(stages)
        self._decided: dict[LabelSet, tuple[int, ...]] = {}

    def process(self, entries: Iterable[AgentEntry]) -> Iterator[AgentEntry]:
        """Entries in, entries out."""
        decided = self._decided
        for entry in entries:
            found = decided.get(entry.labels)
            if found is None:
                found = self._decide(entry.labels)
            if found:
                yield from self._from(entry, 0)
            else:
                yield entry

    def _decide(self, labels: LabelSet) -> tuple[int, ...]:
        """The stages, by their places, that look at entries of these labels."""
        if len(self._decided) >= _MAX_DECIDED:
            self._decided.clear()
        found = tuple(i for i, stage in enumerate(self.stages) if stage.takes_labels(labels))
        self._decided[labels] = found
        return found

    def _from(self, entry: AgentEntry, begin: int) -> Iterator[AgentEntry]:
        """An entry through the stages from one on."""
        found = self._decided.get(entry.labels)
        for i in self._decide(entry.labels) if found is None else found:
            if i >= begin and self.stages[i].takes_line(entry.line):
                for result in self.stages[i].apply(entry):
                    yield from self._from(result, i + 1)
                return
        yield entry

    def held_from(self, path: str, /) -> HeldFrom | None:
        """What the inner stages keep."""
        found = (stage.inner.held_from(path) for stage in self.stages)
        held = [one for one in found if one is not None]
        return min(held, key=lambda one: one.place, default=None)

    def forget(self, path: str, /) -> Iterator[AgentEntry]:
        """What the inner stages kept, through the stages that follow."""
        for i, stage in enumerate(self.stages):
            for entry in stage.inner.forget(path):
                yield from self._from(entry, i + 1)

    def due(self, now_s: float, /) -> Iterator[AgentEntry]:
        """What inner stages have kept long enough, through the stages that follow."""
        for i, stage in enumerate(self.stages):
            for entry in stage.inner.due(now_s):
                yield from self._from(entry, i + 1)


def build(config: Config, context: StageContext) -> MatchStages:
    """The stage of a config."""
    return MatchStages([Match(config, context, context.inner(config.stages))])


def joined(stages: Iterable[Stage]) -> list[Stage]:
    """The same stages, `match` stages that follow each other as one."""
    found: list[Stage] = []
    for stage in stages:
        before = found[-1] if found else None
        if isinstance(stage, MatchStages) and isinstance(before, MatchStages):
            found[-1] = MatchStages([*before.stages, *stage.stages])
        else:
            found.append(stage)
    return found
