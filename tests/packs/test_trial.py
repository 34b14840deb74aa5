"""Does the one test find what is wrong? A right pack, with one thing made wrong at a time."""

import json
from pathlib import Path
from typing import Any

import pytest

from narfi.packs.samples import SampleError, read_samples
from narfi.packs.trial import Place, faults
from promtail_agent.packs.load import Shelf

PACK = """
name: shop
title: Shop
streams:
  - {component: "*", format: shop}
labels:
  log: [order]
fields: {amount: number}
max_streams: 1
"""
STAGES = r"""
- static_labels: {log: order}
- regex: {expression: '^(?P<time>\S+Z) order amount=(?P<amount>\d+)'}
- timestamp: {source: time, format: RFC3339Nano, action_on_failure: skip}
- structured_metadata: {amount: }
"""
RULES = """
groups:
  - name: shop
    rules:
      - alert: LargeOrder
        expr: sum(count_over_time({$selector} | amount > 100 [5m])) > 0
        annotations: {runbook: look at it}
"""
LINES = ["2026-11-20T08:00:01.5Z order amount=7", "2026-11-20T08:00:02.25Z order amount=700"]
QUERY = {
    "ask": "the sum",
    "query": 'sum(sum_over_time({app="shop"} | unwrap amount [$range]))',
    "answer": [{"labels": {}, "value": "707"}],
}


def entry(number: int, time: str, amount: str) -> dict[str, Any]:
    """What is expected of a line."""
    return {
        "lines": [number, number],
        "time": time,
        "labels": {"log": "order"},
        "fields": {"amount": amount},
    }


class Made:
    """A pack in a folder whose files a test changes."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.folder, self._place = folder / "shop", place
        (self.folder / "stages").mkdir(parents=True)
        (self.folder / "samples").mkdir()
        self.put("pack.yaml", PACK)
        self.put("stages/shop.yaml", STAGES)
        self.put("rules.yaml", RULES)
        self.put("samples/web.log", "\n".join(LINES) + "\n")
        self.put("samples/small.log", LINES[0] + "\n")
        self.entries = [
            entry(1, "2026-11-20T08:00:01.500000000Z", "7"),
            entry(2, "2026-11-20T08:00:02.250000000Z", "700"),
        ]
        self.put("samples/fires.yaml", "LargeOrder: [web]\n")

    def put(self, name: str, text: str) -> None:
        """Write one of its files."""
        (self.folder / name).write_text(text)

    def change(self, name: str, old: str, new: str) -> None:
        """Change one of its files."""
        text = (self.folder / name).read_text()
        assert old in text
        self.put(name, text.replace(old, new))

    def faults(self) -> list[str]:
        """What the test says."""
        self.put("samples/web.expected.jsonl", "".join(f"{json.dumps(e)}\n" for e in self.entries))
        self.put("samples/small.expected.jsonl", json.dumps(self.entries[0]) + "\n")
        pack = Shelf([self.folder.parent]).find("shop")
        found = read_samples(self.folder / "samples", "shop")
        return faults(pack, found, self._place, own=True)


@pytest.fixture
def made(tmp_path: Path, place: Place) -> Made:
    """A pack that is right."""
    return Made(tmp_path, place)


def test_nothing_is_wrong(made: Made) -> None:
    assert made.faults() == []


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("time", "2026-11-20T08:00:02.250000001Z", "time is 2026-11-20T08:00:02.250000000Z"),
        ("level", "error", "level is unknown, not error"),
        ("labels", {}, "labels are {'log': 'order'}, not {}"),
        ("fields", {}, "field amount is '700', not None"),
        ("fields", {"amount": "700", "x": "1"}, "field x is None, not '1'"),
        ("line", "other", "line is"),
    ],
)
def test_another_entry(made: Made, key: str, value: object, told: str) -> None:
    made.entries[1] = {**made.entries[1], key: value}
    found = made.faults()
    assert any(text.startswith("web.log:2: ") and told in text for text in found), found


def test_an_entry_that_is_not_expected(made: Made) -> None:
    del made.entries[1]
    assert any("an entry too much" in text for text in made.faults())


def test_an_entry_that_does_not_come(made: Made) -> None:
    made.put("samples/web.log", "\n".join([*LINES, LINES[1]]) + "\n")
    made.entries.append(entry(3, "2026-11-20T08:00:02.250000000Z", "700"))
    told = made.faults()  # equal lines of one time are one entry
    assert any("web.log:3: no entry came of it" in text for text in told), told


def test_a_wrong_answer(made: Made) -> None:
    made.put("samples/queries.jsonl", json.dumps(QUERY) + "\n")
    assert made.faults() == ['"the sum": the answer is [({}, 714.0)], not [({}, 707.0)]']


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("pack.yaml", "fields: {amount: number}\n", "", "field amount is not declared"),
        ("pack.yaml", "log: [order]", "log: [other]", "label log='order' is not declared"),
        ("rules.yaml", "> 100", "> 1", "fires for small, web, not for web"),
        ("rules.yaml", "> 100", "> 1000", "fires for none, not for web"),
        ("rules.yaml", "{runbook: look at it}", "{}", "has no annotation runbook"),
        ("rules.yaml", "{$selector}", "{", "rules.yaml: "),
        ("samples/fires.yaml", "LargeOrder", "Large", "there is no alert Large"),
        ("stages/shop.yaml", "log: order", 'log: "{{", x: y', "label x='y' is not declared"),
        (
            "stages/shop.yaml",
            "- static_labels: {log: order}",
            "- drop: {expression: 'amount=7$'}\n- static_labels: {log: order}",
            "web.log:1: no entry came of it",
        ),
        (
            "stages/shop.yaml",
            "- structured_metadata",
            "- labels: {log: amount}\n- structured_metadata",
            "2 streams, max_streams is 1",
        ),
        (
            "stages/shop.yaml",
            "- structured_metadata",
            r"- regex: {expression: '(?P<log>.)$'}" + "\n- labels: {log: }\n- structured_metadata",
            "web.log, mutated: label log=",
        ),
    ],
)
def test_a_pack_with_a_fault(made: Made, file: str, old: str, new: str, told: str) -> None:
    made.change(file, old, new)
    found = made.faults()
    assert any(told in text for text in found), found


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("{$selector} |= `nothing of that kind`", "finds nothing in the samples"),
        ("{$selector} |", "parse error"),
    ],
)
def test_a_query_that_is_of_no_use(made: Made, query: str, told: str) -> None:
    text = json.dumps([{"title": "T", "question": "Q?", "kind": "logs", "query": query}])
    made.put("queries.yaml", text)
    found = made.faults()
    assert len(found) == 1
    assert told in found[0]


def test_samples_that_cannot_be_used(made: Made) -> None:
    made.entries[1]["lines"] = [2, 3]
    with pytest.raises(SampleError, match=r"web\.expected\.jsonl:2: web\.log has no lines 2 to 3"):
        made.faults()
    made.entries[1] = {"lines": [2, 2], "lable": {}}
    with pytest.raises(SampleError, match=r"web\.expected\.jsonl:2: unknown key lable"):
        made.faults()
