"""Do stages do what their page says? Pipelines as YAML, lines in, entries out."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from promtail_agent.entry import AgentEntry, Generation, LabelSet
from promtail_agent.metrics import AgentMetrics
from promtail_agent.pipeline import Pipeline, build_pipeline, parse_stages
from promtail_agent.stages.base import StageContext
from promtail_agent.stages.registry import STAGES

METRICS = AgentMetrics()


def pipeline_of(text: str) -> Pipeline:
    """The stages of a YAML list."""
    METRICS.dropped_lines.clear()
    return build_pipeline(parse_stages(yaml.safe_load(text)), StageContext(metrics=METRICS))


def entry(line: str, offset: int = 0, **labels: str) -> AgentEntry:
    """An entry of a file."""
    found = LabelSet({"app": "a", **labels})
    values: dict[str, object] = dict(found.values)
    return AgentEntry(
        labels=found,
        ts_ns=1000,
        line=line.encode(),
        extracted=values,
        generation=Generation(path="f", device=1, inode=1),
        offset=offset,
    )


def lines(entries: Sequence[AgentEntry]) -> list[str]:
    """Their lines."""
    return [e.line.decode() for e in entries]


def run(text: str, *texts: str) -> list[AgentEntry]:
    """Lines through a pipeline."""
    return list(pipeline_of(text).process([entry(t) for t in texts]))


@pytest.mark.parametrize("name", sorted(STAGES))
def test_every_example_is_a_stage(name: str, city_db: Path) -> None:
    example = yaml.safe_load(STAGES[name].EXAMPLE)
    if name == "geoip":
        example[name]["db"] = str(city_db)
    specs = parse_stages([example] if isinstance(example, dict) else example)
    assert [spec.name for spec in specs] in ([name], ["structured_metadata"])
    build_pipeline(specs, StageContext())


def test_replace() -> None:
    text = "[{replace: {expression: 'password=(\\S+)', replace: '***'}}]"
    assert lines(run(text, "password=abc x password=d")) == ["password=*** x password=***"]
    text = "[{replace: {expression: '(\\d+)', replace: '<{{ .Value }}>'}}]"
    assert lines(run(text, "a1b22")) == ["a<1>b<22>"]
    assert lines(run("[{replace: {expression: 'x', replace: 'y'}}]", "x")) == ["x"]
    named = "[{replace: {expression: '(?P<n>\\d+)', replace: 'N'}}]"
    assert run(named, "a1")[0].extracted["n"] == "N"
    failing = "[{replace: {expression: '(?P<n>\\d+)', replace: '{{ div 6 .Value }}'}}]"
    assert lines(run(failing, "a2b3", "a2b0")) == ["a3b2", "a2b0"]
    assert "n" not in run(failing, "a2b0")[0].extracted


def test_template() -> None:
    stages = "[{logfmt: {mapping: {level: }}}, {template: {source: level, template: '%s'}}]"
    upper = run(stages % "{{ ToUpper .Value }}", "level=info")[0]
    assert upper.extracted["level"] == "INFO"
    missing = run("[{template: {source: x, template: '{{ .nothing }}-{{ .app }}'}}]", "l")[0]
    assert missing.extracted["x"] == "<no value>-a"
    no_source = run("[{template: {source: x, template: '{{ .Value }}'}}]", "l")[0]
    assert no_source.extracted["x"] == "<no value>"
    failed = run(stages % "{{ div 1 0 }}", "level=info")[0]
    assert failed.extracted["level"] == "info"
    empty = run(stages % '{{ if eq .Value "x" }}y{{ end }}', "level=info")[0]
    assert "level" not in empty.extracted


def test_match() -> None:
    drop = '[{match: {selector: \'{app="a"} |= "debug"\', action: drop}}]'
    assert lines(run(drop, "debug 1", "info 2")) == ["info 2"]
    assert METRICS.dropped_lines["match_stage"] == 1
    keep = """
- match:
    selector: '{app="a"} |~ "^x"'
    stages: [{static_labels: {kind: x}}]
"""
    kinds = [e.labels.values.get("kind") for e in run(keep, "x1", "y1", "x2")]
    assert kinds == ["x", None, "x"]
    other = "[{match: {selector: '{app=\"b\"}', action: drop}}]"
    assert lines(run(other, "stays")) == ["stays"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[{match: {stages: [{decolorize: {}}]}}]", "selector statement required"),
        ("[{match: {selector: '{a=\"b\"}'}}]", "at least one additional stage"),
        ("[{match: {selector: '{a=\"b\"}', action: drop, stages: [{cri: {}}]}}]", "cannot contain"),
        ("[{match: {selector: '{a=', action: drop}}]", "invalid selector"),
        ("[{match: {selector: '{a=\"b\"} | json', action: drop}}]", "only line filters"),
        ("[{match: {selector: '{a=\"b\"}', stages: [{nope: {}}]}}]", "Unknown stage type: nope"),
        ("[{limit: {rate: 0, burst: 1}}]", "failed to parse rate or burst"),
        ("[{limit: {rate: 1, burst: 1, by_label_name: x}}]", "drop must be true"),
        ("[{sampling: {rate: 2}}]", "between 0.0 and 1.0"),
        ("[{multiline: {firstline: ''}}]", "must define `firstline`"),
        ("[{replace: {expression: '('}}]", "could not compile regular expression"),
        ("[{template: {source: '', template: x}}]", "source value is required"),
        ("[{template: {source: x, template: '{{'}}]", "template"),
    ],
)
def test_wrong_configurations_are_explained(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        pipeline_of(text)


def test_limit() -> None:
    text = "[{limit: {rate: 1, burst: 2, drop: true}}]"
    assert len(run(text, *"abcd")) == 2
    assert METRICS.dropped_lines["ratelimit_drop_stage"] == 2
    pipeline = pipeline_of("[{limit: {rate: 1, burst: 1, drop: true, by_label_name: pod}}]")
    mixed = [entry("1", pod="x"), entry("2", pod="y"), entry("3", pod="x"), entry("4")]
    assert lines(list(pipeline.process(mixed))) == ["1", "2", "4"]
    began = time.monotonic()
    assert len(run("[{limit: {rate: 50, burst: 1}}]", *"abc")) == 3
    assert time.monotonic() - began > 0.03


def test_sampling() -> None:
    assert run("[{sampling: {rate: 0}}]", "a") == []
    assert len(run("[{sampling: {rate: 1}}]", "a")) == 1


FIRST = "[{multiline: {firstline: '^\\d', max_wait_time: 50ms, max_lines: 3}}]"


def test_multiline_joins_blocks() -> None:
    pipeline = pipeline_of(FIRST)
    texts = ("before", "1 first", " at x", "2 second")
    begin_s = time.monotonic()
    made = list(pipeline.process([entry(t, offset=k * 10) for k, t in enumerate(texts)]))
    assert lines(made) == ["before", "1 first\n at x"]
    held = pipeline.held_from("f")
    assert held is not None
    assert held.offset == 30
    assert list(pipeline.due(begin_s + 0.049)) == []
    assert lines(list(pipeline.due(time.monotonic() + 0.05))) == ["2 second"]
    assert pipeline.held_from("f") is None


def test_multiline_ends_at_its_length_and_with_its_source() -> None:
    pipeline = pipeline_of(FIRST)
    made = list(pipeline.process([entry(t) for t in ("1", "a", "b", "c")]))
    assert lines(made) == ["1\na\nb"]
    assert lines(list(pipeline.forget("f"))) == ["c"]


def test_pack_is_what_unpack_reads() -> None:
    text = "[{pack: {labels: [pod], ingest_timestamp: false}}]"
    (made,) = list(pipeline_of(text).process([entry("line", pod="p1")]))
    assert json.loads(made.line) == {"pod": "p1", "_entry": "line"}
    assert "pod" not in made.labels.values
    assert made.ts_ns == 1000
