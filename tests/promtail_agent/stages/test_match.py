"""Are `match` stages decided by the labels that an entry has when it comes to them?"""

import random

import pytest

from promtail_agent.entry import AgentEntry, Generation, LabelSet
from promtail_agent.pipeline import build_pipeline, parse_stages
from promtail_agent.stages import match as match_module
from promtail_agent.stages.base import StageContext
from promtail_agent.stages.match import Match, MatchStages, joined
from tests.reference.match_stages import MatchRule, after_all

NAMES, VALUES, WORDS = ("a", "b", "c"), ("", "1", "2"), ("x", "y", "")


def rule(rng: random.Random) -> MatchRule:
    """Some stage."""
    sets = None if rng.random() < 0.15 else (rng.choice(NAMES), rng.choice(VALUES))
    return MatchRule(rng.choice(NAMES), rng.choice(VALUES), rng.choice(WORDS), sets)


@pytest.mark.parametrize("seed", range(60))
def test_a_run_of_stages_is_one_after_the_other(seed: int) -> None:
    """Stages change the labels that later ones look at."""
    rng = random.Random(seed)
    rules = [rule(rng) for _ in range(rng.randrange(1, 12))]
    stages: list[dict[str, object]] = [r.as_stage() for r in rules]
    for _ in range(rng.randrange(3)):  # others between them part a run
        stages.insert(rng.randrange(len(stages) + 1), {"decolorize": {}})
    pipeline = build_pipeline(parse_stages(stages), StageContext())
    targets = [
        LabelSet({n: v for n in NAMES if (v := rng.choice(VALUES))} | {"t": str(k)})
        for k in range(3)
    ]
    entries = []
    for _ in range(40):
        target, line = rng.choice(targets), rng.choice(WORDS) + rng.choice(WORDS)
        entries.append(
            AgentEntry(labels=target, ts_ns=1, line=line.encode(), extracted=dict(target.values))
        )
    before = [(dict(e.labels.values), e.line.decode()) for e in entries]
    expected = [
        (found, line)
        for labels, line in before
        if (found := after_all(labels, line, rules)) is not None
    ]
    passed = list(pipeline.process(entries))
    assert [(dict(e.labels.values), e.line.decode()) for e in passed] == expected


def test_labels_are_looked_at_once_for_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[LabelSet] = []
    plain = Match.takes_labels

    def counted(self: Match, labels: LabelSet) -> bool:
        looked.append(labels)
        return plain(self, labels)

    monkeypatch.setattr(Match, "takes_labels", counted)
    stages = [
        {"match": {"selector": f'{{app="{k}"}}', "stages": [{"static_labels": {"k": "v"}}]}}
        for k in range(5)
    ]
    pipeline = build_pipeline(parse_stages(stages), StageContext())
    labels = LabelSet({"app": "3"})
    for _ in range(3):
        chunk = [
            AgentEntry(labels=labels, ts_ns=1, line=b"line", extracted=dict(labels.values))
            for _ in range(10)
        ]
        assert len(list(pipeline.process(chunk))) == 10
    assert looked.count(labels) == 5  # of each stage, once
    assert len(looked) == 10  # and once of the set that stage 3 makes of it


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match_module, "_MAX_DECIDED", 4)
    specs = parse_stages([{"match": {"selector": '{n="7"}', "action": "drop"}}])
    (stage,) = joined([build_pipeline(specs, StageContext())._stages[0]])
    assert isinstance(stage, MatchStages)
    sets = [LabelSet({"n": str(k)}) for k in range(20)]
    chunk = [AgentEntry(labels=one, ts_ns=1, line=b"x", extracted={}) for one in sets]
    assert len(list(stage.process(chunk))) == 19
    assert len(stage._decided) <= 4


def test_what_inner_stages_hold_goes_through_the_stages_behind() -> None:
    stages: list[dict[str, object]] = [
        {"match": {"selector": '{a="1"}', "stages": [{"multiline": {"firstline": "^S"}}]}},
        {"match": {"selector": '{a="1"}', "stages": [{"static_labels": {"b": "2"}}]}},
        {"match": {"selector": '{b="2"} |= "gone"', "action": "drop"}},
    ]
    pipeline = build_pipeline(parse_stages(stages), StageContext())
    labels, place = LabelSet({"a": "1"}), Generation(path="f", device=1, inode=1)

    def entry(line: bytes, offset: int) -> AgentEntry:
        return AgentEntry(
            labels=labels,
            ts_ns=1,
            line=line,
            extracted=dict(labels.values),
            generation=place,
            offset=offset,
        )

    lines = [b"S 1", b"more", b"S 2 gone", b"S 3"]
    passed = list(pipeline.process([entry(line, 10 * k) for k, line in enumerate(lines)]))
    held = pipeline.held_from("f")
    assert held is not None
    assert held.offset == 30
    passed += pipeline.due(float("inf"))
    assert [e.line for e in passed] == [b"S 1\nmore", b"S 3"]
    assert [dict(e.labels.values) for e in passed] == [{"a": "1", "b": "2"}] * 2
    assert pipeline.held_from("f") is None
