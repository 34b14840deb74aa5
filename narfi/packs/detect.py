"""Which formats read a line? One that makes a field or a time of it, or changes it.

A level alone is not enough: formats of any text say `info` of every line.
"""

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
    fields: int  # made of all of them


def detected(packs: Iterable[Pack], lines: Sequence[bytes]) -> list[Detected]:
    """Formats that read any of the lines: those of most lines first, then of most fields."""
    found: dict[tuple[str, str], dict[int, int]] = {}
    for pack in packs:
        for stream in pack.manifest.streams:
            test = compile_regex(stream.detect)
            places = [i for i, line in enumerate(lines) if test.search(line) is not None]
            taken = _read(pack.formats[stream.format], [lines[i] for i in places])
            if taken:
                there = found.setdefault((pack.name, stream.format), {})
                there.update((places[i], fields) for i, fields in taken.items())
    counts = [
        Detected(pack, form, len(read), sum(read.values())) for (pack, form), read in found.items()
    ]
    return sorted(counts, key=lambda one: (-one.lines, -one.fields, one.pack, one.format))


def _read(stages: RawStages, lines: Sequence[bytes]) -> dict[int, int]:
    """Places of the lines of which the stages make something, and how many fields; each line is
    alone."""
    pipeline = build_pipeline(parse_stages(stages), StageContext())
    labels = LabelSet({"component": "detect"})
    found: dict[int, int] = {}
    for place, line in enumerate(lines):
        entry = AgentEntry(labels, place, line, {})
        out = [*pipeline.process([entry]), *pipeline.due(float("inf"))]
        fields = sum(name != "level" for one in out for name, _ in one.metadata)
        if fields or any(one.ts_ns != place or one.line != line for one in out):
            found[place] = fields
    return found
