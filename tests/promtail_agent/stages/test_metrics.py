"""Do `metrics` stages count what they should, and forget what is idle?"""

import re

import pytest
import yaml

from promtail_agent.custom_metrics import CustomMetrics
from promtail_agent.entry import AgentEntry, LabelSet
from promtail_agent.exposition import render_metrics
from promtail_agent.metrics import AgentMetrics
from promtail_agent.pipeline import build_pipeline, parse_stages
from promtail_agent.stages.base import StageContext
from promtail_agent.stages.metrics import as_number


def run(text: str, *lines: str, metrics: AgentMetrics | None = None) -> dict[str, float]:
    """The custom series after these lines through logfmt (v, w) and the metrics of `text`."""
    found = metrics or AgentMetrics()
    stages = [{"logfmt": {"mapping": {"v": None, "w": None}}}, {"metrics": yaml.safe_load(text)}]
    pipeline = build_pipeline(parse_stages(stages), StageContext(metrics=found))
    labels = LabelSet({"app": "a", "__tenant_id__": "t"})
    entries = [
        AgentEntry(labels=labels, ts_ns=1, line=line.encode(), extracted={"app": "a"})
        for line in lines
    ]
    assert len(list(pipeline.process(entries))) == len(lines)
    rows = re.findall(r"^((?:promtail_custom_|x_)\S+) (\S+)$", render_metrics(found), re.MULTILINE)
    return {name: float(value) for name, value in rows}


def test_counters() -> None:
    text = """
all_total: {type: Counter, config: {match_all: true, action: inc}}
bytes_total: {type: counter, config: {match_all: true, count_entry_bytes: true, action: add}}
fives: {type: Counter, source: v, config: {value: "5", action: inc}}
sum: {type: Counter, source: v, config: {action: add}}
there: {type: Counter, source: w, config: {action: inc}}
"""
    assert run(text, "v=5", "v=7 w=x", "v=-3", "nothing") == {
        'promtail_custom_all_total{app="a"}': 4,
        'promtail_custom_bytes_total{app="a"}': len("v=5v=7 w=xv=-3nothing"),
        'promtail_custom_fives{app="a"}': 1,
        'promtail_custom_sum{app="a"}': 12,  # a counter takes nothing negative
        'promtail_custom_there{app="a"}': 1,
    }


def test_gauges() -> None:
    text = """
set: {type: Gauge, source: v, config: {action: set}}
up: {type: Gauge, source: v, config: {action: inc}}
down: {type: Gauge, source: v, config: {action: dec}}
plus: {type: Gauge, source: v, config: {action: add}}
minus: {type: Gauge, source: v, prefix: x_, config: {action: sub}}
"""
    assert run(text, "v=5", "v=1.5") == {
        'promtail_custom_set{app="a"}': 1.5,
        'promtail_custom_up{app="a"}': 2,
        'promtail_custom_down{app="a"}': -2,
        'promtail_custom_plus{app="a"}': 6.5,
        'x_minus{app="a"}': -6.5,
    }


def test_histograms_of_numbers_and_durations() -> None:
    text = "took: {type: Histogram, source: v, config: {buckets: [0.1, 1, 10]}}"
    found = run(text, "v=0.1", "v=500ms", "v=1m", "v=no")
    name = "promtail_custom_took"
    assert found == {
        f'{name}_bucket{{app="a",le="0.1"}}': 1,
        f'{name}_bucket{{app="a",le="1"}}': 2,
        f'{name}_bucket{{app="a",le="10"}}': 2,
        f'{name}_bucket{{app="a",le="+Inf"}}': 3,
        f'{name}_sum{{app="a"}}': 60.6,
        f'{name}_count{{app="a"}}': 3,
    }


def test_idle_series_are_forgotten() -> None:
    now_s = 0.0
    metrics = AgentMetrics(custom=CustomMetrics(lambda: now_s))
    text = "n: {type: Counter, max_idle_duration: 10s, config: {match_all: true, action: inc}}"
    assert run(text, "x", metrics=metrics) == {'promtail_custom_n{app="a"}': 1}
    now_s = 10.0
    assert run(text, metrics=metrics) == {'promtail_custom_n{app="a"}': 1}
    now_s = 21.0
    assert run(text, metrics=metrics) == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{n: {type: Counter, config: {action: dec}}}", "must be one of inc, add"),
        ("{n: {type: Gauge, config: {match_all: true, action: inc}}}", "are of counters"),
        ("{n: {type: Counter, config: {match_all: true, value: x, action: inc}}}", "either"),
        ("{n: {type: Counter, config: {count_entry_bytes: true, action: add}}}", "needs match_all"),
        ("{n: {type: Histogram}}", "needs buckets"),
        ("{n: {type: Counter, max_idle_duration: 1ms, config: {action: inc}}}", "than 1s"),
        ("{a-b: {type: Counter, config: {action: inc}}}", "no name of a metric"),
        ("{n: {type: Summary}}", "Input should be"),
    ],
)
def test_settings_that_are_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        run(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1.5", 1.5), ("-1m30s", -90.0), ("250ms", 0.25), ("1_000", None), (" 1", None), ("-", None)],
)
def test_texts_that_are_numbers(text: str, number: float | None) -> None:
    assert as_number(text, text) == number
