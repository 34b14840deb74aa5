"""`explain=true`: what a real server tells, beside the data."""

from tests.api.conftest import Api

NS = 1_000_000_000
START = 1_760_000_000 * NS


def test_explain(api: Api) -> None:
    for k in range(3):
        api.push({"app": "a"}, *["x" * 10] * 5, ts_ns=START + k * NS)
    assert api.send("POST", "/flush", b"", {}).status == 204
    api.push({"app": "a"}, "y" * 10, ts_ns=START + 3 * NS)
    times = {"start": str(START - NS), "end": str(START + 10 * NS)}
    path = "/loki/api/v1/query_range"
    plain = api.get(path, query='{app="a"} |= "x"', **times).json
    assert "explain" not in plain["data"]
    told = api.get(path, query='{app="a"} |= "x"', explain="true", **times).json
    explain = told["data"].pop("explain")
    assert told["data"]["result"] == plain["data"]["result"]
    assert told["data"].keys() == plain["data"].keys()
    (read,) = explain["reads"]
    assert read["stages"] == ['|= "x"']
    assert read["sources"]["head"] == {"considered": 1, "pruned": 0, "read": 1}
    assert read["sources"]["block"] == {"considered": 1, "pruned": 0, "read": 1}
    assert read["rows"]["all"] == read["rows"]["read"] == 16
    assert read["rows"]["returned"] == 15
    assert read["bytes"]["decoded"] == 2 * 15 * 10  # scanned, and fetched for the answer
    query = 'sum by (app) (count_over_time({app="a"}[1m]))'
    instant = {"query": query, "time": str(START + 10 * NS), "explain": "1"}
    data = api.get("/loki/api/v1/query", **instant).json["data"]
    assert data["result"][0]["value"][1] == "16"
    (read,) = data["explain"]["reads"]
    assert "stream-counts" in read["rules"]
    assert read["rows"]["counted"] == 16
    assert data["explain"]["returned"] == {"series": 1, "samples": 1}


def test_a_wrong_value_is_refused(api: Api) -> None:
    answer = api.get("/loki/api/v1/query", query="vector(1)", explain="please")
    assert answer.status == 400
    assert answer.text == 'explain must be true or false, not "please"'
