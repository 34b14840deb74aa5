"""Does every stage keep the contract? What goes in comes out, is counted as dropped, or is held."""

import random
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from promtail_agent.entry import AgentEntry, Generation, LabelSet
from promtail_agent.metrics import AgentMetrics
from promtail_agent.pipeline import Pipeline, build_pipeline, parse_stages
from promtail_agent.stages.base import StageContext
from promtail_agent.stages.registry import STAGES

SHAPES = (
    "2025-10-09T08:00:00.000000001Z stdout F {}",
    "2025-10-09T08:00:00.000000001Z stdout P {}",
    "2025-10-09T08:00:00.000000001Z stderr P {}",
    '{{"level":"debug","log":"{0}","message":"Key: {0}"}}',
    "level=debug msg={}",
    "2025-01-01 {}",
    "   at {}",
    "\x1b[31m{}\x1b[0m",
    "debug {}",
)
LEVELS = ("debug", "info", None)


def build(name: str, city_db: Path, metrics: AgentMetrics) -> Pipeline:
    """The pipeline of a stage's example."""
    example = yaml.safe_load(STAGES[name].EXAMPLE)
    if name == "geoip":
        example["geoip"]["db"] = str(city_db)
    return build_pipeline(parse_stages([example]), StageContext(metrics=metrics))


def entries_of(count: int) -> list[AgentEntry]:
    """Entries of all shapes, each with a word of its own."""
    rng = random.Random(3)
    made: list[AgentEntry] = []
    for number in range(count):
        labels = LabelSet({"app": rng.choice(("api", "web"))})
        values: dict[str, object] = dict(labels.values)
        level = rng.choice(LEVELS)
        if level is not None:
            values["level"] = level
        line = rng.choice(SHAPES).format(f"w{number}w")
        place = Generation(path="f", device=1, inode=1)
        made.append(
            AgentEntry(
                labels=labels,
                ts_ns=1000 + number,
                line=line.encode(),
                extracted=values,
                generation=place,
                offset=number,
            )
        )
    return made


def words(entries: list[AgentEntry]) -> Counter[str]:
    """How often each word came out; the second of the JSON shape is not counted."""
    found: Counter[str] = Counter()
    for entry in entries:
        found.update(set(re.findall(r"w\d+w", entry.line.decode())))
    return found


@pytest.mark.parametrize("name", sorted(STAGES))
def test_entries_in_come_out_or_are_counted(name: str, city_db: Path) -> None:
    metrics = AgentMetrics()
    pipeline = build(name, city_db, metrics)
    given = entries_of(400)
    out = list(pipeline.process(given))
    out += list(pipeline.forget("f"))
    out += list(pipeline.due(float("inf")))
    found = words(out)
    assert set(found.values()) <= {1}
    assert len(found) + sum(metrics.dropped_lines.values()) == 400
    assert pipeline.held_from("f") is None
    if name in ("drop", "sampling", "match", "limit"):
        assert metrics.dropped_lines


@pytest.mark.parametrize("name", sorted(set(STAGES) - {"sampling", "limit"}))
def test_results_do_not_depend_on_where_chunks_are_cut(name: str, city_db: Path) -> None:
    """Sampling is random and the limit knows the time: these two are left out."""
    rng = random.Random(4)

    def run(cuts: list[int]) -> list[tuple[str, dict[str, str]]]:
        pipeline = build(name, city_db, AgentMetrics())
        given, out = entries_of(120), []
        for begin, end in zip([0, *cuts], [*cuts, 120], strict=True):
            out += list(pipeline.process(given[begin:end]))
        out += list(pipeline.forget("f"))
        return [(entry.line.decode(), dict(entry.labels.values)) for entry in out]

    whole = run([])
    for _ in range(5):
        assert run(sorted(rng.sample(range(1, 120), rng.randrange(1, 30)))) == whole


def check_held(pipeline: Pipeline, metrics: AgentMetrics) -> int:
    """After each entry: what did not come out starts where the pipeline says; how often it held."""
    came: set[str] = set()
    times = 0
    for number, entry in enumerate(entries_of(300)):
        came |= set(words(list(pipeline.process([entry]))))
        held = pipeline.held_from("f")
        missing = [k for k in range(number + 1) if f"w{k}w" not in came]
        if metrics.dropped_lines or not missing:
            continue
        assert held is not None
        assert held.offset <= missing[0]
        times += 1
    return times


@pytest.mark.parametrize("name", sorted(STAGES))
def test_held_lines_are_told(name: str, city_db: Path) -> None:
    metrics = AgentMetrics()
    times = check_held(build(name, city_db, metrics), metrics)
    assert (times > 0) == (name in ("cri", "multiline"))


def test_the_oldest_of_several_stages_is_told() -> None:
    """`cri` holds a part of one stream while `multiline` holds younger lines of the other."""
    text = "[{cri: {}}, {multiline: {firstline: '^w\\d*[13579]w'}}]"
    metrics = AgentMetrics()
    pipeline = build_pipeline(parse_stages(yaml.safe_load(text)), StageContext(metrics=metrics))
    assert check_held(pipeline, metrics) > 200


def test_a_later_life_of_a_path_is_younger_whatever_its_offset() -> None:
    pipeline = build_pipeline(parse_stages([{"cri": {}}]), StageContext())
    old, new = (
        Generation(path="f", device=1, inode=1, turn=1),
        Generation(path="f", device=1, inode=2, turn=2),
    )
    for stream, place, offset in (("stderr", new, 0), ("stdout", old, 900)):
        line = f"2025-10-09T08:00:00Z {stream} P part".encode()
        assert not list(
            pipeline.process(
                [
                    AgentEntry(
                        labels=LabelSet({}),
                        ts_ns=1,
                        line=line,
                        extracted={},
                        generation=place,
                        offset=offset,
                    )
                ]
            )
        )
    held = pipeline.held_from("f")
    assert held is not None
    assert (held.generation, held.offset) == (old, 900)
