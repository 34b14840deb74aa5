"""What happens to the entries of one job? Its stages, chained.

Invariant: `held_from` is asked after a chunk has gone through to its end, so that what stages keep
back is known before a position is marked.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from promtail_agent.entry import AgentEntry
from promtail_agent.inspect import Inspector
from promtail_agent.stages.base import HeldFrom, Stage, StageContext
from promtail_agent.stages.match import joined
from promtail_agent.stages.registry import STAGES


@dataclass(frozen=True, slots=True)
class StageSpec:
    """A stage of the configuration: its name and its validated settings."""

    name: str
    config: object


class Pipeline:
    """The stages of one job, in order; used by one thread."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(joined(stages))

    def process(self, entries: Iterable[AgentEntry]) -> Iterator[AgentEntry]:
        """What comes out of all stages for these entries of one source."""
        for stage in self._stages:
            entries = stage.process(entries)
        return iter(entries)

    def held_from(self, path: str) -> HeldFrom | None:
        """The oldest line of a path that any stage keeps back."""
        held = [found for stage in self._stages if (found := stage.held_from(path)) is not None]
        return min(held, key=lambda one: one.place, default=None)

    def due(self, now_s: float) -> Iterator[AgentEntry]:
        """What stages have kept long enough, through the stages that follow."""
        for i, stage in enumerate(self._stages):
            rest: Iterable[AgentEntry] = stage.due(now_s)
            for later in self._stages[i + 1 :]:
                rest = later.process(rest)
            yield from rest

    def forget(self, path: str) -> Iterator[AgentEntry]:
        """What stages keep of a source that has ended, through the stages that follow."""
        for i, stage in enumerate(self._stages):
            rest: Iterable[AgentEntry] = stage.forget(path)
            for later in self._stages[i + 1 :]:
                rest = later.process(rest)
            yield from rest


def parse_stages(stages: Iterable[Mapping[str, object]]) -> list[StageSpec]:
    """Stages as a configuration writes them; raises `ValueError` with Promtail's text."""
    specs: list[StageSpec] = []
    for stage in stages:
        if len(stage) != 1:
            raise ValueError("pipeline stage must contain only one key")
        [(name, body)] = stage.items()
        if name not in STAGES:
            raise ValueError(f"invalid {name} stage config: Unknown stage type: {name}")
        specs.append(stage_spec(name, body))
    return specs


def stage_spec(name: str, body: object) -> StageSpec:
    """A stage of the registry and what is written under its name, with the stages inside it.

    Raises pydantic's `ValidationError`.
    """
    given = {} if body is None else body
    return StageSpec(name, STAGES[name].Config.model_validate(given, context=parse_stages))


def build_pipeline(
    specs: Iterable[StageSpec], context: StageContext, inspector: Inspector | None = None
) -> Pipeline:
    """A fresh pipeline of validated stages; raises `ValueError` where one cannot be put to work."""

    def inner(given: Iterable[Mapping[str, object]], /) -> Pipeline:
        return build_pipeline(parse_stages(given), context)

    context = replace(context, inner=inner)
    stages: list[Stage] = []
    for spec in specs:
        stage = STAGES[spec.name].build(spec.config, context)
        stages.append(stage if inspector is None else inspector.watch(spec.name, stage))
    return Pipeline(stages)
