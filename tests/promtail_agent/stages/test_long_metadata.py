"""A value that is too long for a server is cut; the line stays whole."""

from promtail_agent.entry import AgentEntry, LabelSet
from promtail_agent.pipeline import build_pipeline, parse_stages
from promtail_agent.stages.base import StageContext
from promtail_agent.stages.structured_metadata import MAX_VALUE_CHARACTERS


def test_a_long_value_is_cut() -> None:
    stages: list[dict[str, object]] = [
        {"logfmt": {"mapping": {"err": ""}}},
        {"structured_metadata": {"err": ""}},
    ]
    pipeline = build_pipeline(parse_stages(stages), StageContext())
    line = b"err=" + b"x" * 300_000
    (found,) = pipeline.process([AgentEntry(LabelSet({"a": "b"}), 1, line, {})])
    assert found.metadata == [("err", "x" * MAX_VALUE_CHARACTERS)]
    assert found.line == line
