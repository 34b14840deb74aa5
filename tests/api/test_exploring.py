"""Do fields, facets and histograms answer over HTTP as their page says, on heads and on blocks?"""

import json
import re
import shlex
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from benchmarks.push import flush
from tests.served import Answer, Api

V1 = "/narfi/api/v1"
PAGE = (Path(__file__).parents[2] / "docs/api.md").read_text()
STEP = 10**9
START = 1_764_000_000 * STEP
SPAN = {"start": str(START), "end": str(START + 100 * STEP)}
EXPLORING = ("fields", "facets", "histogram", "distribution", "patterns", "explain")
READING = EXPLORING[:-1]
"""Of log queries alone."""


def told(api: Api, name: str, query: str, **more: str) -> Any:
    """The answer of an endpoint."""
    answer = api.get(f"{V1}/{name}", query=query, **{**SPAN, **more})
    assert answer.status == 200, answer.text
    found = answer.json
    assert found.pop("warnings") == []
    return found


def push(api: Api) -> None:
    """A hundred lines of two programs, one each second."""
    for k in range(100):
        app, line = "api", json.dumps({"status": 200 + k % 4, "took_ms": k, "level": "info"})
        if k % 5 == 0:
            app, line = "web", f"status={500 + k % 2} level=error msg=m{k}"
        api.push({"app": app}, line, ts_ns=START + k * STEP)


@pytest.mark.parametrize("stored", [False, True])
def test_answers(api: Api, stored: bool) -> None:
    push(api)
    if stored:
        flush(api.url)
    everything = '{app=~".+"}'
    fields = told(api, "fields", everything)
    assert fields["rows"] == 100
    known = {(f["name"], f["source"], f["parser"]): f for f in fields["fields"]}
    assert known["app", "label", None]["share"] == 1.0
    assert known["app", "label", None]["distinct"] == 2
    assert known["detected_level", "metadata", None]["rows"] == 100
    status = known["status", "column", "json"]
    assert (status["rows"], status["type"], status["share"]) == (80, "integer", 0.8)
    assert known["took_ms", "column", "json"]["unit"] == "ms"
    assert known["msg", "column", "logfmt"]["rows"] == 20
    facets = told(api, "facets", '{app="api"}', fields="status,app,none", limit="2", keep="app")
    assert facets["rows"] == 80
    by_status, by_app, by_none = facets["facets"]
    assert [v["count"] for v in by_status["top"]] == [20, 20]
    assert (by_status["parser"], by_status["other"], by_status["distinct"]) == ("json", 40, 4)
    assert by_app["top"] == [{"value": "api", "count": 80}], "the only matcher stays"
    assert (by_none["missing"], by_none["top"], by_none["exact"]) == (80, [], True)
    histogram = told(api, "histogram", everything, buckets="10", by="detected_level")
    assert (histogram["start"], histogram["end"]) == (SPAN["start"], SPAN["end"])
    assert (histogram["step"], histogram["total"]) == (str(10 * STEP), 100)
    assert histogram["series"] == [
        {"value": "info", "counts": [8] * 10},
        {"value": "error", "counts": [2] * 10},
    ]
    assert told(api, "histogram", everything, buckets="4")["series"] == [
        {"value": "", "counts": [25] * 4}
    ]
    by_status = told(api, "histogram", everything + " | json", by="status", buckets="1")
    assert {s["value"]: s["counts"] for s in by_status["series"]}[""] == [20]


@pytest.mark.parametrize("stored", [False, True])
def test_levels_by_status(api: Api, stored: bool) -> None:
    access = '10.0.0.{} - - [26/Nov/2026:10:00:00 +0000] "GET /a HTTP/1.1" {} 12 "-" "x 5"'
    lines = [access.format(k, 200 + 100 * (k % 4)) for k in range(40)]
    api.push({"app": "nginx"}, *lines, ts_ns=START)
    api.push({"app": "json"}, *(f'{{"status":{s}}}' for s in (200, 404, 503)), ts_ns=START)
    api.push({"app": "text"}, "level=warn status=500", 'no "one 200 x', "", ts_ns=START)
    if stored:
        flush(api.url)
    for query, expected in (
        ('{app="nginx"}', {"info": 20, "warn": 10, "error": 10}),
        ('{app="json"}', {"info": 1, "warn": 1, "error": 1}),
        ('{app="text"}', {"warn": 1, "unknown": 2}),
        ('{app=~".+"}', {"info": 21, "warn": 12, "error": 11, "unknown": 2}),
    ):
        found = told(api, "histogram", query, by="detected_level", level_from="status", buckets="1")
        assert {s["value"]: s["counts"][0] for s in found["series"]} == expected, query


@pytest.mark.parametrize("stored", [False, True])
def test_distribution_and_patterns(api: Api, stored: bool) -> None:
    push(api)
    if stored:
        flush(api.url)
    found = told(api, "distribution", '{app="api"}', field="took_ms")
    assert (found["rows"], found["missing"], found["parser"]) == (80, 0, "json")
    assert (found["unit"], found["min"], found["max"], found["scale"]) == ("ms", 1, 99, "linear")
    assert found["p50"] == 50
    assert sum(bucket["count"] for bucket in found["buckets"]) == 80
    assert len(found["buckets"]) == 30
    nothing = told(api, "distribution", '{app="web"}', field="msg")
    assert (nothing["rows"], nothing["missing"], nothing["buckets"]) == (20, 20, [])
    assert nothing["p99"] is None
    found = told(api, "patterns", '{app=~".+"}', sample_buckets="4")
    assert (found["rows"], found["exact"], found["step"]) == (100, True, str(25 * STEP))
    json_lines, logfmt = found["patterns"]
    assert json_lines["count"] == 80
    assert json_lines["samples"] == [20] * 4
    assert (json_lines["level"], logfmt["level"]) == ("info", "error")
    assert (json_lines["change"], json_lines["factor"]) == (None, None)
    assert (json_lines["first"], json_lines["last"]) == (SPAN["start"], SPAN["end"])
    assert json.loads(json_lines["example"])["level"] == "info"
    for one in found["patterns"]:
        query = f'{{app=~".+"}} {one["filter"]}'
        assert told(api, "histogram", query, buckets="1")["total"] == one["count"]
    (only,) = told(api, "patterns", '{app=~".+"} |= "error"')["patterns"]
    assert only["count"] == 20


def test_patterns_are_compared_with_the_range_before(api: Api) -> None:
    def push_some(word: str, first: int, count: int) -> None:
        lines = (f"{word} number {k}" for k in range(count))
        api.push({"app": "a"}, *lines, ts_ns=START + first * STEP)

    push_some("gone", -50, 10)
    push_some("same", -40, 10)
    push_some("same", 40, 25)
    push_some("new", 50, 5)
    found = told(api, "patterns", '{app="a"}', compare="previous", sample_buckets="2")
    assert found["rows"] == 30
    assert [
        (p["pattern"].split()[0], p["count"], p["before"], p["change"], p["factor"])
        for p in found["patterns"]
    ] == [("same", 25, 10, "same", 2.5), ("gone", 0, 10, "gone", 0.0), ("new", 5, 0, "new", None)]
    assert found["patterns"][1]["first"] is None


def test_explain(api: Api) -> None:
    push(api)
    flush(api.url)
    found = told(api, "explain", '{app="api"} |= "203" | json')
    rows = {stage["name"]: stage["rows"] for stage in found["stages"]}
    assert list(rows) == ["considered", "selected", "read", "passed", "decoded", "returned"]
    assert (rows["considered"], rows["returned"]) == (100, 20)
    assert rows["considered"] >= rows["selected"] >= rows["read"] >= rows["passed"] >= 20
    assert {phase["name"] for phase in found["phases"]} >= {"parse", "scan"}
    assert found["advice"] == []
    assert found["query"] == '{app="api"} |= "203" | json'
    metric = told(api, "explain", 'sum(count_over_time({app="api"}[1m]))', step="60")
    assert "stream-counts" in [rule["name"] for rule in metric["rules"]]
    assert all(one["text"] for one in (*metric["rules"], *metric["stages"]))


@pytest.mark.parametrize("name", READING)
def test_refusals_are_those_of_queries(api: Api, name: str) -> None:
    def refused(**parameters: str) -> tuple[int, str]:
        answer = api.get(f"{V1}/{name}", **{"fields": "app", "field": "app", **parameters})
        return answer.status, answer.text

    for wrong in ('{app="a"', "{}", '{app="a"} | json | "', ""):
        asked = api.get("/loki/api/v1/query_range", query=wrong)
        assert asked.status == 400
        assert refused(query=wrong) == (asked.status, asked.text)
    status, text = refused(query='rate({app="a"}[1m])')
    assert (status, text) == (400, "only log selector is supported")
    asked = api.get("/loki/api/v1/query_range", query='{app="a"}', start="5", end="4")
    assert refused(query='{app="a"}', start="5", end="4") == (asked.status, asked.text)


@pytest.mark.parametrize(
    ("name", "parameters", "text"),
    [
        ("facets", {}, "fields must name at least one field"),
        ("facets", {"fields": ",".join(map(str, range(51)))}, "at most|may name 50 fields, not 51"),
        ("facets", {"fields": "a", "limit": "0"}, "limit must be from 1 to 1000, not 0"),
        ("histogram", {"buckets": "2001"}, "buckets must be from 1 to 2000, not 2001"),
        ("histogram", {"buckets": "x"}, "invalid syntax"),
        ("distribution", {}, "field must name a field"),
        ("patterns", {"limit": "301"}, "limit must be from 1 to 300, not 301"),
        ("patterns", {"compare": "x"}, 'compare must be previous, not "x"'),
        ("explain", {"direction": "up"}, "invalid direction 'up'"),
        ("histogram", {"level_from": "moon"}, 'level_from must be status, not "moon"'),
    ],
)
def test_parameters_are_checked(api: Api, name: str, parameters: dict[str, str], text: str) -> None:
    answer = api.get(f"{V1}/{name}", query='{app="a"}', **parameters)
    assert answer.status == 400
    assert re.search(text, answer.text)


def test_a_form_is_taken(api: Api) -> None:
    form = urllib.parse.urlencode({"query": '{app="odd"}', "fields": "k", **SPAN}).encode()
    api.push({"app": "odd"}, '{"k":"\\u00e9"}', ts_ns=START)
    form_type = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = api.send("POST", f"{V1}/facets", form, form_type)
    (facet,) = answer.json["facets"]
    assert facet["parser"] == "json"
    assert facet["top"] == [{"value": "é", "count": 1}]


def curls() -> list[list[str]]:
    """The words of each command of the page."""
    found = re.findall(r"^curl -G (.+)$", PAGE, re.M)
    return [shlex.split(text) for text in found]


def run(api: Api, words: list[str]) -> Answer:
    """A command's request, of this server."""
    url = urllib.parse.urlsplit(words[0])
    pairs = [word.split("=", 1) for word in words[1:] if not word.startswith("-")]
    return api.get(url.path, **dict(pairs))


@pytest.mark.parametrize("words", curls(), ids=lambda words: words[0].rpartition("/")[2])
def test_commands_of_the_page_work(api: Api, words: list[str]) -> None:
    api.push({"app": "api"}, '{"status": 200, "duration_ms": 3}')
    answer = run(api, words)
    assert answer.status == 200, answer.text
    after = PAGE.split(" ".join(["curl -G", words[0]]))[1]
    example = re.search(r"```\n\n```\n(\{.*?)\n```", after, re.S)
    assert example is not None
    assert set(json.loads(example[1])) <= set(answer.json)


def test_every_endpoint_has_a_command() -> None:
    shown = {words[0].rpartition("/")[2] for words in curls()}
    assert shown >= set(EXPLORING)
