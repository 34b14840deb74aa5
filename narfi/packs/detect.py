"""Which formats read a line? One that makes metadata, a time or a label of it, or changes it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from narfi.core.regex import compile_regex
from promtail_agent.entry import AgentEntry, LabelSet
from promtail_agent.packs.pack import Pack, RawStages
from promtail_agent.pipeline import build_pipeline, parse_stages
from promtail_agent.stages.base import StageContext


@dataclass(frozen=True, slots=True)
class Detected:
    """How many lines a format reads."""

    pack: str
    format: str
    lines: int


def detected(packs: Iterable[Pack], lines: Sequence[bytes]) -> list[Detected]:
    """Formats that read any of the lines, the best first."""
    found: dict[tuple[str, str], set[int]] = {}
    for pack in packs:
        for stream in pack.manifest.streams:
            test = compile_regex(stream.detect)
            places = [i for i, line in enumerate(lines) if test.search(line) is not None]
            taken = _read(pack.formats[stream.format], [lines[i] for i in places])
            if taken:
                there = found.setdefault((pack.name, stream.format), set())
                there.update(places[i] for i in taken)
    counts = [Detected(pack, form, len(places)) for (pack, form), places in found.items()]
    return sorted(counts, key=lambda one: (-one.lines, one.pack, one.format))


def _read(stages: RawStages, lines: Sequence[bytes]) -> set[int]:
    """Places of the lines of which the stages make something; each line is alone."""
    pipeline = build_pipeline(parse_stages(stages), StageContext())
    labels = LabelSet({"component": "detect"})
    found: set[int] = set()
    for place, line in enumerate(lines):
        entry = AgentEntry(labels, place, line, {})
        out = [*pipeline.process([entry]), *pipeline.due(float("inf"))]
        if any(one.metadata or one.ts_ns != place or one.line != line for one in out):
            found.add(place)
    return found
