"""What Grafana's data source and Logs Drilldown need, item by item (grafana-contract.md §10)."""

import gzip
import json
import urllib.parse
from typing import Any

import pytest

from benchmarks.query import Client
from tests.api.conftest import Answer, Api
from tests.api.reader import read_answer
from tests.conformance.stacks import cases

RANGE = "/loki/api/v1/query_range"
INSTANT = "/loki/api/v1/query"
FLAG = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
NS = 1_000_000_000
START = 1_760_000_000 * NS
LINES = (
    '{"level":"error","status":500,"http":{"method":"GET"},"dur":"12ms"}',
    "level=info status=200 dur=3ms msg=ok size=5KB",
    "plain text without anything",
    '{"level":"info","broken',
)


@pytest.fixture
def logs(api: Api) -> Api:
    """Mixed lines every ten seconds over ten minutes, in two streams."""
    for k in range(60):
        labels = {"app": "a" if k % 3 else "b", "env": "dev"}
        api.push(labels, LINES[k % 4] + f" n={k}" * (k % 4 == 2), ts_ns=START + k * 10 * NS)
    return api


def ranged(api: Api, query: str, **parameters: str) -> Answer:
    """A range query over the logs."""
    times = {"start": str(START), "end": str(START + 600 * NS), "step": "60000ms"}
    headers = FLAG if parameters.pop("flag", "") else None
    return api.get(RANGE, headers, **{"query": query, **times, **parameters})


def entries(answer: Answer) -> list[tuple[int, str]]:
    """(time, line) of all entries, newest first."""
    found = [e for s in read_answer(answer.body)["result"] for e in s["values"]]
    return sorted(((int(e[0]), e[1]) for e in found), reverse=True)


def test_01_health_check(api: Api) -> None:
    query = "direction=backward&query=vector%281%29%2Bvector%281%29&time=4000000000"
    data = read_answer(api.get(f"{INSTANT}?{query}", FLAG).body)
    assert data["resultType"] == "vector"
    assert data["result"] == [{"metric": {}, "value": [4000000000, "2"]}]


@pytest.mark.parametrize("flag", ["", "yes"])
@pytest.mark.parametrize(
    "query",
    ['{app="a"}', '{app="a"} | json', '{app="none"}', 'rate({app=~".+"}[1m])', "vector(1)"],
)
def test_02_to_05_shapes(logs: Api, query: str, flag: str) -> None:
    data = read_answer(ranged(logs, query, flag=flag).body)
    assert data.order[0] == "resultType"
    assert data.order[-1] == "stats"
    instant = query if "{" not in query or "rate" in query else f"count_over_time({query}[1h])"
    read_answer(logs.get(INSTANT, FLAG if flag else None, query=instant).body)


def test_03_without_the_flag_all_labels_are_in_the_stream(logs: Api) -> None:
    data = read_answer(ranged(logs, '{app="a"} | logfmt | status="200"').body)
    assert data["result"][0]["stream"]["msg"] == "ok"
    assert "encodingFlags" not in data


@pytest.mark.parametrize(("expr", "text"), [("vector(0)/0", "NaN"), ("vector(1e308)*1e10", "+Inf")])
def test_05_special_values(api: Api, expr: str, text: str) -> None:
    assert read_answer(api.get(INSTANT, query=expr).body)["result"][0]["value"][1] == text


def test_06_times_of_points(logs: Api) -> None:
    data = read_answer(ranged(logs, 'sum(count_over_time({app=~".+"}[1m]))').body)
    (series,) = data["result"]
    times = [t for t, _ in series["values"]]
    grid = {START // NS // 60 * 60 + 60 * k for k in range(12)}
    assert set(times) <= grid
    assert times == sorted(times)


def test_07_the_window_and_the_limit(logs: Api) -> None:
    middle = START + 300 * NS
    first = entries(ranged(logs, '{env="dev"}', end=str(middle)))
    second = entries(ranged(logs, '{env="dev"}', start=str(middle)))
    assert len(first) == len(second) == 30
    assert min(second)[0] == middle
    assert not set(first) & set(second)
    newest = entries(ranged(logs, '{env="dev"}', limit="7", direction="backward"))
    oldest = entries(ranged(logs, '{env="dev"}', limit="7", direction="forward"))
    everything = sorted([*first, *second], reverse=True)
    assert newest == everything[:7]
    assert oldest == everything[-7:]


def test_08_split_queries_merge_to_the_whole(logs: Api) -> None:
    step = 60 * NS
    start = START // step * step
    query = 'sum by (app) (count_over_time({env="dev"}[1m]))'

    def points(low: int, high: int) -> dict[tuple[str, float], str]:
        data = read_answer(ranged(logs, query, start=str(low), end=str(high)).body)
        return {(s["metric"]["app"], t): value for s in data["result"] for t, value in s["values"]}

    whole = points(start, start + 10 * step)
    pieces = points(start, start + 4 * step) | points(start + 5 * step, start + 10 * step)
    assert pieces == whole
    pieces_of_logs: list[tuple[int, str]] = []
    for k in range(5):
        low, high = START + k * 120 * NS, START + (k + 1) * 120 * NS
        pieces_of_logs += entries(ranged(logs, '{env="dev"}', start=str(low), end=str(high)))
    assert sorted(pieces_of_logs, reverse=True) == entries(ranged(logs, '{env="dev"}'))


def test_09_a_window_of_no_width(api: Api) -> None:
    api.push({"app": "z"}, "x", ts_ns=START + 999_999)
    window = {"start": str(START), "end": str(START)}
    assert api.get("/loki/api/v1/labels", **window).json["data"] == ["app", "service_name"]
    assert api.get("/loki/api/v1/label/app/values", **window).json["data"] == ["z"]
    selected = api.get("/loki/api/v1/labels", query='{app="z"}', **window).json
    assert "app" in selected["data"]


def test_10_addresses(logs: Api) -> None:
    window = {"start": str(START), "end": str(START + 600 * NS)}
    doubled = logs.get("//loki/api/v1//labels", **window)
    assert doubled.status == 200
    assert logs.get("/loki/api/v1/label/%61pp/values", **window).json["data"] == ["a", "b"]
    long = '{app="a"}' + ' != "0123456789abcdef"' * 1500
    assert len(urllib.parse.quote(long)) > 32 * 1024
    assert ranged(logs, long).status == 200


@pytest.mark.parametrize(
    "times",
    [
        {"start": "2025-10-09T08:53:20.000Z", "end": "2025-10-09T09:03:20.000Z"},
        {"start": str(START), "end": str(START + 600 * NS)},
        {"start": str(START // NS), "end": str(START // NS + 600)},
    ],
)
@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("index/stats", "entries"),
        ("index/volume", "data"),
        ("detected_labels", "detectedLabels"),
        ("detected_fields", "fields"),
        ("detected_field/level/values", "values"),
        ("labels", "data"),
        ("label/app/values", "data"),
        ("series", "data"),
        ("patterns", "data"),
    ],
)
def test_11_times_of_resource_calls(logs: Api, path: str, key: str, times: dict[str, str]) -> None:
    answer = logs.get(f"/loki/api/v1/{path}", query='{env="dev"}', **times)
    assert answer.status == 200
    assert answer.json[key] or path == "patterns"


def test_11_an_empty_query_of_detected_labels(logs: Api) -> None:
    times = {"start": str(START), "end": str(START + 600 * NS)}
    found = logs.get("/loki/api/v1/detected_labels", query="", **times).json["detectedLabels"]
    assert {f["label"]: f["cardinality"] for f in found} == {"app": 2, "env": 1, "service_name": 2}


def test_12_shapes_of_resource_calls(logs: Api) -> None:
    times = {"start": str(START), "end": str(START + 600 * NS)}

    def ask(path: str, query: str = '{env="dev"}') -> Any:
        return logs.get(f"/loki/api/v1/{path}", query=query, **times).json

    assert set(ask("index/stats")) == {"streams", "chunks", "bytes", "entries"}
    assert ask("index/stats")["entries"] == 60
    for path in ("detected_labels", "detected_fields", "detected_field/level/values"):
        assert "data" not in ask(path)
    assert ask("index/volume", '{env="none"}')["data"]["result"] == []
    assert ask("index/volume")["data"]["result"][0]["metric"] == {"env": "dev"}
    assert ask("patterns", '{env="none"}')["data"] == []
    fields = {f["label"]: f for f in ask("detected_fields")["fields"]}
    assert fields["detected_level"]["parsers"] is None
    assert fields["http_method"]["jsonPath"] == ["http", "method"]
    assert fields["dur"]["type"] == "duration"
    assert set(fields["dur"]["parsers"]) == {"json", "logfmt"}
    series = logs.get("/loki/api/v1/series", **{"match[]": '{env="dev"}'}, **times).json["data"]
    assert all(isinstance(value, str) for labels in series for value in labels.values())


def test_13_errors(logs: Api) -> None:
    answer = ranged(logs, '{app="a"} |')
    assert answer.status == 400
    assert "parse error" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    long = logs.get(RANGE, {"Accept-Encoding": "gzip, br, zstd"}, query='{a="' + "x" * 4000)
    assert long.status == 400
    assert "content-encoding" not in {name.lower() for name in long.headers}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Query-Tags": "Source=grafana-lokiexplore-app"},
        {"X-Query-Tags": 'a=b,,=;\\"x'},
        {"X-Grafana-User": "someone", "X-Panel-Title": "caf%C3%A9"},
        {"X-Loki-Response-Encoding-Flags": "unknown-flag"},
        {"X-Loki-Response-Encoding-Flags": ",,"},
        {"X-Loki-Query-Limits-Context": '{"Expr":"x"}'},
        {"Cache-Control": "no-cache"},
    ],
)
def test_14_headers_that_are_only_accepted(logs: Api, headers: dict[str, str]) -> None:
    times = {"start": str(START), "end": str(START + 600 * NS)}
    answer = logs.get(RANGE, headers, query='{env="dev"}', **times)
    assert answer.status == 200
    read_answer(answer.body)


def test_15_compression(logs: Api) -> None:
    times = {"start": str(START), "end": str(START + 600 * NS)}
    plain = logs.get(RANGE, query='{env="dev"}', **times)
    assert "content-encoding" not in {name.lower() for name in plain.headers}
    packed = logs.get(RANGE, {"Accept-Encoding": "gzip"}, query='{env="dev"}', **times)
    assert packed.headers["content-encoding"] == "gzip"
    assert entries(Answer(200, gzip.decompress(packed.body))) == entries(plain)
    browser = {"Accept-Encoding": "gzip, deflate, br, zstd"}
    packed = logs.get(RANGE, browser, query='{env="dev"}', **times)
    assert packed.headers["content-encoding"] == "gzip"


def test_16_tail_is_tested_elsewhere() -> None:
    """tests/api/test_tail.py: shapes, refusals at the handshake, close frames."""


UI_QUERIES = [
    'sum by (level, detected_level) (count_over_time({app="a"} | drop __error__[1m]))',
    '{app="a",env="dev"}',
    '{app="a"} | json | level=`error`',
    '{app="a"} |= `x` or `y`',
    '{app="a"} | logfmt | __error__=``',
    '{app="a"} | label_format level=lvl',
    '{app="a", __stream_shard__=""} | drop __stream_shard__',
    "sum by(app) (rate({env=`dev`} [1m]))",
    "topk by(app) (5, sum by (app, level) (count_over_time({env=`dev`} | logfmt [1m])))",
    "{service_name=~`.+`}",
    "{service_name=~`(?i).*A.*`}",
    'sum by (detected_level) (count_over_time({ service_name="a", env="dev" }  [1m]))',
    "{service_name=`a`, env=`dev` } | detected_level=`error` or detected_level=``",
    'sum(count_over_time({env="dev"} !> "p1" |> "level=<_>" or "<_>" | json | logfmt '
    "| drop __error__, __error_details__ [1m])) by (detected_level)",
    'sum(count_over_time({env="dev" ,app != ""} [1m])) by (app)',
    'sum by (status) (count_over_time({env="dev"} | json | logfmt '
    '| drop __error__, __error_details__ | status!="" [1m]))',
    'avg_over_time({env="dev"} | logfmt | dur!="" | unwrap duration(dur) '
    '| __error__="" [1m]) by ()',
    'avg_over_time({env="dev"} | logfmt | size!="" | unwrap bytes(size) | __error__="" [1m]) by ()',
    '{env="dev"} | json k="[\\"http\\"][\\"method\\"]" | json | logfmt '
    "| drop __error__, __error_details__ | k=`GET`",
    '{env="dev"} |> `level=<_> status=<_> <_>` | pattern `level=<field_1> status=<field_2> <_>` '
    '| keep field_1 ,field_2 | line_format ""',
    'sum by (level) (count_over_time({env="dev"} | logfmt | keep level [1h]))',
    '{env="dev"} |= "x" != "y" |~ "(?i)z" !~ "(?i)w"',
    '{env="dev"} | logfmt | dur<=20s | dur>1ms',
    'sum(count_over_time({env="dev"}[3600s]))',
    'rate({env="dev"}[1d])',
    "sum by (detected_level) (sum_over_time({__aggregated_metric__=`x` } | logfmt "
    "| unwrap count [10s]))",
]


@pytest.mark.parametrize("query", UI_QUERIES)
def test_17_queries_of_the_user_interface(logs: Api, query: str) -> None:
    answer = ranged(logs, query, flag="yes")
    assert answer.status == 200, answer.text
    read_answer(answer.body)


def test_the_strict_reader_reads_every_recorded_answer(running: Any) -> None:
    """Answers to all recorded queries of another tenant: shapes only, contents are elsewhere."""
    client = Client(running.url, "nobody")
    paths = (RANGE, INSTANT)
    requests: list[Any] = [case["request"] for case in cases()]
    asked = [request for request in requests if request.get("path") in paths]
    read = 0
    for request in asked[::3]:
        parameters = dict(request.get("params") or [])
        try:
            body = json.dumps(client.get(request["path"], parameters)).encode()
        except SystemExit:
            continue
        read_answer(body)
        read += 1
    assert read > 300


def test_a_client_that_goes_away_stops_the_work(logs: Api) -> None:
    import http.client

    parts = urllib.parse.urlsplit(logs.url)
    for _ in range(8):
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        query = urllib.parse.urlencode({"query": 'rate({env="dev"}[1m])'})
        connection.request("GET", f"{RANGE}?{query}", headers={"X-Scope-OrgID": logs.tenant})
        connection.close()
    assert logs.get("/loki/api/v1/labels").status == 200  # soon enough for this client
