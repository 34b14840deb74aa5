"""Can a line end the agent? Broken text of all kinds through long pipelines, batches, metrics."""

import random

import pytest
import yaml

from promtail_agent.client.batch import Batcher
from promtail_agent.client.config import ClientConfig
from promtail_agent.client.sealed import from_payload, seal, to_frame
from promtail_agent.entry import AgentEntry, Generation, LabelSet
from promtail_agent.exposition import render_metrics
from promtail_agent.limits import LimitsConfig
from promtail_agent.metrics import AgentMetrics
from promtail_agent.pipeline import build_pipeline, parse_stages
from promtail_agent.stages.base import StageContext

FIRST = ("{decolorize: {}}", "{cri: {}}", "{docker: {}}")
SECOND = (
    "{json: {expressions: {a: , b: 'x[*].y', c: 'length(x)', d: 'sort(x)', t: }}}",
    "{logfmt: {mapping: {a: , b: , c: , message: , t: }}}",
    "{regex: {expression: '(?s)(?P<a>.)(?P<b>.*)(?P<message>.)(?P<t>.*)'}}",
)
REST = r"""
- template:
    source: z
    template: '{{ regexReplaceAll "(.)" .a "<$1>" }}{{ Hash "s" .b }}{{ trunc 3 .a }}{{ title .a }}'
- template: {source: y, template: '{{ .a | int }}{{ fromJson .b }}{{ duration .a }}{{ div 1 .a }}'}
- replace: {expression: '(.)', source: a, replace: '{{ .Value }}{{ .z }}'}
- replace: {expression: '(\w+)', replace: '{{ .Value | ToLower }}'}
- timestamp:
    source: t
    format: RFC3339Nano
    fallback_formats: [Unix, UnixMs, '2006-01-02 15:04:05', 'Jan _2 15:04:05', ANSIC]
    location: Europe/Brussels
- eventlogmessage: {source: message}
- labels: {a: , z: }
- structured_metadata: {b: , c: }
- metrics: {m: {type: Gauge, source: b, config: {action: set}}}
- match: {selector: '{app="x"} |~ "a"', stages: [{decolorize: {}}]}
- drop: {source: [a, b], expression: 'zzz'}
- tenant: {source: a}
- multiline: {firstline: '^[a-m]'}
- pack: {labels: [a]}
- output: {source: y}
"""
PIECES = (
    *(b'{"a":"', b'"}', b"{", b"[", b'"x":[1,"2",{"y":null}]', b'"x":5,', b"a=", b'b="', b"\\"),
    *(b'"', b"\xff", b"\xc3", b"\xed\xa0\x80", b"\n", b"\r\n", b"2025-10-09T08:00:00.5Z"),
    *(b" stdout F ", b" stderr P ", b"1e400", b"-1", b"99999999999999999999", b"t=", b"NaN"),
    *(b"0001-01-01T00:00:00Z", b"9999-12-31T23:59:59.999999999Z", b"message=", b": ", b"\x00"),
    *(b"inf", b" ", b"\x1b[31m", "\u2028é".encode(), b"\\ud800"),
)


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("second", SECOND)
def test_no_line_ends_the_agent(first: str, second: str) -> None:
    metrics = AgentMetrics()
    stages = yaml.safe_load(f"- {first}\n- {second}\n{REST}")
    pipeline = build_pipeline(parse_stages(stages), StageContext(metrics=metrics))
    client = ClientConfig(url="http://x/", batchsize=5000)
    batcher = Batcher(client, LimitsConfig(), metrics)
    rng = random.Random(f"{first}{second}")
    sent = 0
    for number in range(1500):
        line = b"".join(rng.choice(PIECES) for _ in range(rng.randrange(9)))
        labels = LabelSet({"app": "x", "filename": "/var/log/\udcff.log"})
        place = Generation(path="f", device=1, inode=1)
        entry = AgentEntry(
            labels=labels,
            ts_ns=1000 + number,
            line=line,
            extracted=dict(labels.values),
            generation=place,
            offset=number,
        )
        for out in pipeline.process([entry]):
            batch = batcher.add(out, 0.0)
            if batch is None:
                continue
            sealed = from_payload(to_frame(seal(batch))[8:], None)
            sent += sealed.entries
    assert sent > 100
    metrics.read_lines["/var/log/\udcff.log"] = 1
    metrics.custom.metric("n", "gauge", "", 300.0).set({"path": "\udcff"}, 1.0)
    shown = render_metrics(metrics)
    assert 'promtail_read_lines_total{path="/var/log/\ufffd.log"}' in shown
    assert 'n{path="\ufffd"}' in shown


def test_labels_and_metadata_are_sent_as_utf8() -> None:
    stages = [{"labels": {"l": "v"}}, {"structured_metadata": {"m": "v"}}]
    pipeline = build_pipeline(parse_stages(stages), StageContext())
    root = LabelSet({"filename": "/\udcff"})
    (out,) = pipeline.process(
        [AgentEntry(labels=root, ts_ns=1, line=b"", extracted={"v": b"x\xff"})]
    )
    assert out.labels.text == '{filename="/\ufffd", l="x\ufffd"}'
    assert out.metadata == [("m", "x\ufffd")]
