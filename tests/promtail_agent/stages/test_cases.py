"""Do stages do what reference/agent.md says? One file of cases a stage: entries in, entries out.

`absent!` means that a value was not extracted. Now is 2026-01-02T00:00:00Z; entries come at 1000 ns
with the label app="a", unless they say otherwise.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from promtail_agent.entry import AgentEntry, Generation, LabelSet, as_text
from promtail_agent.metrics import AgentMetrics
from promtail_agent.pipeline import build_pipeline, parse_stages
from promtail_agent.stages.base import StageContext
from promtail_agent.stages.registry import STAGES

FOLDER = Path(__file__).parent / "cases"
CASES = [
    pytest.param(case, id=f"{file.stem}: {case['name']}")
    for file in sorted(FOLDER.glob("*.yaml"))
    for case in yaml.safe_load(file.read_text())
]


def entry_of(given: Any, labels: dict[str, str], number: int) -> AgentEntry:
    """An entry as a case writes it: a line, or a mapping."""
    item = given if isinstance(given, dict) else {"line": given}
    found = LabelSet(item.get("labels", labels))
    values: dict[str, object] = dict(found.values)
    place = Generation(path="f", device=1, inode=1)
    return AgentEntry(
        labels=found,
        ts_ns=item.get("ts", 1000),
        line=item["line"].encode(),
        extracted=values,
        generation=place,
        offset=number,
    )


def test_every_stage_has_cases() -> None:
    assert {file.stem for file in FOLDER.glob("*.yaml")} == set(STAGES)


@pytest.mark.parametrize("case", CASES)
def test_case(case: Any, city_db: Path, asn_db: Path) -> None:
    assert set(case) <= {"name", "stages", "labels", "in", "out", "dropped"}
    text = yaml.safe_dump(case["stages"]).replace("CITY", str(city_db)).replace("ASN", str(asn_db))
    metrics = AgentMetrics()
    context = StageContext(metrics=metrics, now=lambda: datetime(2026, 1, 2, tzinfo=UTC))
    pipeline = build_pipeline(parse_stages(yaml.safe_load(text)), context)
    labels = case.get("labels", {"app": "a"})
    entries = [entry_of(given, labels, k) for k, given in enumerate(case["in"])]
    out = list(pipeline.process(entries))
    assert len(out) == len(case["out"]), [entry.line for entry in out]
    for entry, expected in zip(out, case["out"], strict=True):
        _compare(entry, expected)
    assert dict(metrics.dropped_lines) == case.get("dropped", {})


def _compare(entry: AgentEntry, expected: dict[str, Any]) -> None:
    assert set(expected) <= {"line", "labels", "extracted", "metadata", "ts"}
    if "line" in expected:
        assert entry.line.decode() == expected["line"]
    if "labels" in expected:
        assert dict(entry.labels.values) == expected["labels"]
    if "metadata" in expected:
        assert dict(entry.metadata) == expected["metadata"]
    if "ts" in expected:
        assert entry.ts_ns == expected["ts"]
    for name, value in expected.get("extracted", {}).items():
        if value == "absent!":
            assert name not in entry.extracted
        else:
            assert as_text(entry.extracted[name]) == as_text(value), name
