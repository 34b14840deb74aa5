"""How do the lines of a job meet the stages of their pack? By their labels, decided once for a set.

What a pack does to a line costs the same however many packs there are: labels never change, so the
way of a set of labels is looked up, and runs of lines of one way go through its stages directly.
The label `pack` ends here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from narfi.core.regex import compile_regex
from promtail_agent.entry import AgentEntry, LabelSet
from promtail_agent.packs.choice import PACK
from promtail_agent.packs.pack import Branch, Pack, RawStages
from promtail_agent.stages.base import HeldFrom, Stage

_MAX_DECIDED = 4096
"""Sets of labels that are remembered; labels of many values must not fill the memory."""

BuildStages = Callable[[RawStages], Stage]
"""Makes one stage of several; raises `ValueError`."""


class _Forks:
    """Formats of one component: the first whose expression is found in a line takes it."""

    def __init__(self, branches: Sequence[Branch], build: BuildStages) -> None:
        self._tests: list[Any] = [
            compile_regex(branch.detect).search if branch.detect else None for branch in branches
        ]
        self._stages = [build(branch.stages) for branch in branches]

    def process(self, entries: Iterable[AgentEntry]) -> Iterator[AgentEntry]:
        """Runs of lines of one format, in order."""
        if self._tests[0] is None:
            yield from self._stages[0].process(entries)
            return
        for place, run in groupby(entries, self._place):
            yield from self._stages[place].process(run) if place >= 0 else run  # noqa: B031  one use

    def _place(self, entry: AgentEntry) -> int:
        for place, test in enumerate(self._tests):
            if test is None or test(entry.line) is not None:
                return place
        return -1

    def held_from(self, path: str, /) -> HeldFrom | None:
        return _oldest(self._stages, path)

    def forget(self, path: str, /) -> Iterator[AgentEntry]:
        for stage in self._stages:
            yield from stage.forget(path)

    def due(self, now_s: float, /) -> Iterator[AgentEntry]:
        for stage in self._stages:
            yield from stage.due(now_s)


class _Way:
    """What lines of one component of a pack go through: its formats, then those that extend it."""

    def __init__(self, passes: Sequence[Sequence[Branch]], build: BuildStages) -> None:
        self._passes = [_Forks(branches, build) for branches in passes]

    def process(self, entries: Iterable[AgentEntry]) -> Iterator[AgentEntry]:
        for forks in self._passes:
            entries = forks.process(entries)
        return iter(entries)

    def held_from(self, path: str, /) -> HeldFrom | None:
        return _oldest(self._passes, path)

    def forget(self, path: str, /) -> Iterator[AgentEntry]:
        for i, forks in enumerate(self._passes):
            yield from self._rest(i, forks.forget(path))

    def due(self, now_s: float, /) -> Iterator[AgentEntry]:
        for i, forks in enumerate(self._passes):
            yield from self._rest(i, forks.due(now_s))

    def _rest(self, i: int, entries: Iterator[AgentEntry]) -> Iterator[AgentEntry]:
        for later in self._passes[i + 1 :]:
            entries = later.process(entries)
        return entries


class PackStages:
    """The last stage of a job with packs; used by one thread."""

    def __init__(self, packs: Iterable[Pack], build: BuildStages) -> None:
        """Raises `ValueError` where the stages of a pack cannot be put to work."""
        self._packs = {pack.name: pack for pack in packs}
        self._build = build
        self._ways: dict[tuple[object, ...], _Way] = {}
        self._decided: dict[LabelSet, tuple[_Way | None, LabelSet]] = {}
        for pack in self._packs.values():
            for component in pack.components:
                self._way(pack.name, component)

    def process(self, entries: Iterable[AgentEntry]) -> Iterator[AgentEntry]:
        """Entries in, entries out."""
        for way, run in groupby(entries, self._way_of):
            yield from way.process(run) if way is not None else run  # noqa: B031  one use

    def _way_of(self, entry: AgentEntry) -> _Way | None:
        found = self._decided.get(entry.labels)
        if found is None:
            found = self._decide(entry.labels)
        entry.labels = found[1]
        return found[0]

    def _decide(self, labels: LabelSet) -> tuple[_Way | None, LabelSet]:
        if len(self._decided) >= _MAX_DECIDED:
            self._decided.clear()
        values: Mapping[str, str] = labels.values
        way = self._way(values.get(PACK, ""), values.get("component", ""))
        found = self._decided[labels] = (way, labels.without((PACK,)))
        return found

    def _way(self, name: str, component: str) -> _Way | None:
        """Components of the same formats share one."""
        pack = self._packs.get(name)
        passes = [] if pack is None else pack.branches(component)
        if not passes:
            return None
        key = (name, *((b.detect, id(b.stages)) for branches in passes for b in branches))
        if key not in self._ways:
            self._ways[key] = _Way(passes, self._build)
        return self._ways[key]

    def held_from(self, path: str, /) -> HeldFrom | None:
        """The oldest line of a path that a format keeps back."""
        return _oldest(self._ways.values(), path)

    def forget(self, path: str, /) -> Iterator[AgentEntry]:
        """What formats keep of a source that has ended."""
        for way in self._ways.values():
            yield from way.forget(path)

    def due(self, now_s: float, /) -> Iterator[AgentEntry]:
        """What formats have kept long enough."""
        for way in self._ways.values():
            yield from way.due(now_s)


def _oldest(stages: Iterable[Any], path: str) -> HeldFrom | None:
    held = [found for stage in stages if (found := stage.held_from(path)) is not None]
    return min(held, key=lambda one: one.place, default=None)
