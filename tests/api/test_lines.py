"""Does `/narfi/api/v1/lines` stream entries as documented, page by page?"""

import json
import time
from typing import Any

from tests.served import Api

PATH = "/narfi/api/v1/lines"


def objects(api: Api, **parameters: str) -> list[dict[str, Any]]:
    """The lines of an answer."""
    answer = api.get(PATH, **parameters)
    assert answer.status == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def entries(found: list[dict[str, Any]]) -> list[list[Any]]:
    """The entries of all batches; their streams as labels."""
    streams = {one["stream"]: one["labels"] for one in found if "stream" in one}
    every = [entry for one in found for entry in one.get("entries", ())]
    return [[streams[stream], *rest] for stream, *rest in every]


def end(found: list[dict[str, Any]]) -> dict[str, Any]:
    """How the answer ended."""
    assert list(found[-1]) == ["end"], found[-1]
    ending: dict[str, Any] = found[-1]["end"]
    return ending


def test_pages_are_what_query_range_gives(api: Api) -> None:
    base = time.time_ns() - 10**10
    for pod in "ab":
        api.push({"app": "shop", "pod": pod}, *[f"{pod} {k}" for k in range(7)], ts_ns=base)
    asked = {"query": '{app="shop"}', "start": str(base - 1), "end": str(base + 100)}
    pages, cursor = [], ""
    while True:
        found = objects(api, **asked, limit="3", cursor=cursor)
        pages += entries(found)
        cursor = end(found)["cursor"]
        if cursor is None:
            break
    assert end(found)["complete"] is True
    answer = api.get("/loki/api/v1/query_range", **asked, limit="100").json["data"]["result"]
    whole = [(ts, line, s["stream"]["pod"]) for s in answer for ts, line in s["values"]]
    assert sorted((ts, line, labels["pod"]) for labels, ts, line, *_ in pages) == sorted(whole)
    times = [int(ts) for _, ts, *_ in pages]
    assert times == sorted(times, reverse=True)
    assert all(order == 0 for *_, order, _ in pages)


def test_streams_are_told_once_and_before_their_entries(api: Api) -> None:
    base = time.time_ns() - 10**10
    api.push({"app": "a"}, *["x"] * 3, ts_ns=base)
    api.push({"app": "b"}, *["y"] * 3, ts_ns=base)
    told: list[int] = []
    found = objects(api, query='{app=~"a|b"}')
    for one in found:
        if "stream" in one:
            told.append(one["stream"])
        assert all(entry[0] in told for entry in one.get("entries", ()))
    assert sorted(told) == [0, 1]
    assert end(found)["rows"] == 6
    assert "progress" in found[-2]


def test_long_lines_are_cut_between_characters(api: Api) -> None:
    api.push({"app": "long"}, "é" * 3000, "short")
    found = entries(objects(api, query='{app="long"}', max_line_bytes="101"))
    by_length = {entry[5]: entry[2] for entry in found}
    assert by_length == {None: "short", 6000: "é" * 50}
    whole = entries(objects(api, query='{app="long"}', max_line_bytes="0"))
    assert {entry[2] for entry in whole} == {"é" * 3000, "short"}
    usual = entries(objects(api, query='{app="long"}'))
    assert {len(entry[2].encode()) for entry in usual} == {2000, 5}


def test_metadata_and_labels_of_parsers(api: Api) -> None:
    ts = str(time.time_ns())
    stream = {"stream": {"app": "meta"}, "values": [[ts, '{"status":503}', {"trace_id": "t1"}]]}
    body = json.dumps({"streams": [stream]}).encode()
    kind = {"Content-Type": "application/json"}
    assert api.send("POST", "/loki/api/v1/push", body, kind).status == 204
    plain = entries(objects(api, query='{app="meta"} | json'))
    assert plain[0][3] == {"trace_id": "t1", "detected_level": "unknown"}
    parsed = entries(objects(api, query='{app="meta"} | json', parsed="1"))
    assert parsed[0][3] == {
        "m": {"trace_id": "t1", "detected_level": "unknown"},
        "p": {"status": "503"},
    }
    assert parsed[0][0] == {"app": "meta", "service_name": "meta"}


def test_what_cannot_be_asked_has_a_status(api: Api) -> None:
    for parameters, text in (
        ({"query": "{"}, "parse error"),
        ({"query": 'rate({app="x"}[1m])'}, "only log selector"),
        ({"query": '{app="x"}', "cursor": "nonsense"}, "invalid cursor"),
        ({"query": '{app="x"}', "limit": "1000000"}, "max entries limit"),
        ({"query": '{app="x"}', "direction": "up"}, "invalid direction"),
    ):
        answer = api.get(PATH, **parameters)
        assert (answer.status, text in answer.text) == (400, True), answer.text


def test_it_is_among_the_queries(api: Api) -> None:
    query = '{app="seen"} |= "by others"'
    objects(api, query=query)
    recent = api.get("/narfi/api/v1/queries").json["recent"]
    assert (recent[0]["route"], recent[0]["query"]) == (PATH, query)
