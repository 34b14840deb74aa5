"""Does a token with a policy see, by no endpoint and no trick, more than its streams?

Two tenants: one has all streams, asked with a policy; its twin has the permitted ones only, asked
without. They must answer alike.
"""

import json
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.sync.client import connect

from benchmarks.server import start, stop
from narfi.access.secret import new_token
from tests.served import Answer
from tests.server.test_sign_in import Asker, Place

NS = 10**9
START = int(time.time()) - 3600
SPAN = {"start": str(START - 10), "end": str(START + 600)}
POLICY = '{namespace="a"}'
ALL = '{app=~".+"}'
TOKENS: list[dict[str, Any]] = [
    {"name": "push", "tenants": ["all", "twin", "other"], "scopes": ["write"]},
    {"name": "admin", "tenants": ["*"], "scopes": ["admin"]},
    {"name": "whole", "tenants": ["*"], "scopes": ["read", "delete", "rules"]},
    {"name": "policy", "tenants": ["all"], "scopes": ["read", "delete"], "policy": POLICY},
    {
        "name": "several",
        "tenants": ["all", "other"],
        "scopes": ["read"],
        "policy": '{namespace=~"a|b", app!="front"}',
    },
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server; half of what it has is in blocks."""
    folder, tokens = tmp_path_factory.mktemp("policies"), dict[str, str]()
    for row in TOKENS:
        tokens[row["name"]] = row["token"] = new_token().text
    (folder / "tokens.yaml").write_text(json.dumps(TOKENS))
    config = folder / "narfi.yaml"
    config.write_text(
        f"tenancy: header\nauth: {{enabled: true, tokens_file: {folder}/tokens.yaml}}\n"
        "limits: {multi_tenant_queries_enabled: true}\n"
    )
    running = start(folder / "data", config, folder / "log")
    place = Place(running, config, folder / "log", tokens)
    fill(place, 0)
    assert place.api("admin").send("POST", "/flush", b"", {}).status == 204
    fill(place, 30)
    yield place
    stop(running)


def fill(place: Place, first: int) -> None:
    """Lines of two namespaces, of none, and of one that tries to look like the other."""
    at = (START + first) * NS
    for tenant in ("all", "twin"):
        push = place.api("push", tenant).push
        for app in ("front", "back"):
            lines = [f"took={k}ms user={k % 3} of {app}" for k in range(20)]
            push({"namespace": "a", "app": app}, *lines, ts_ns=at)
    push = place.api("push", "all").push
    hidden = [f"secret={k} took={k}ms namespace=a" for k in range(20)]
    for labels in (
        {"namespace": "b", "app": "front"},
        {"app": "none"},
        {"namespace": "A", "app": "front"},
        {"namespace": "a ", "app": "front", "only_hidden": "yes"},
        {"namespace_extracted": "a", "app": "front"},
        {"__tenant_id__": "a", "app": "tenant"},
        {"namespace": "b", "app": 'x", namespace="a'},
    ):
        push(labels, *hidden, ts_ns=at)
    place.api("push", "other").push({"namespace": "b", "app": "back"}, "of other", ts_ns=at)


def limited(place: Place) -> Asker:
    """Somebody with the policy."""
    found = place.api("policy")
    assert isinstance(found, Asker)
    return found


def of(path: str, **parameters: str) -> Callable[[Asker], Any]:
    """What an endpoint says, but for costs and ids of tenants."""

    def ask(api: Asker) -> Any:
        answer = api.get(path, **SPAN | parameters)
        assert answer.status == 200, answer.text
        found = answer.json
        data = found.get("data") if isinstance(found, dict) else None
        if isinstance(data, dict):
            data.pop("stats", None)
        if isinstance(found, dict):
            found.pop("stats", None)
        return found

    return ask


def of_lines(path: str, **parameters: str) -> Callable[[Asker], Any]:
    """What an endpoint says in lines of JSON, but for costs, numbers of streams and cursors."""

    def ask(api: Asker) -> Any:
        answer = api.get(path, **SPAN | parameters)
        assert answer.status == 200, answer.text
        found = [json.loads(line) for line in answer.text.splitlines()]
        streams = {one["stream"]: one["labels"] for one in found if "stream" in one}
        entries = [e for one in found for e in one.get("entries", ())]
        rows = [one for one in found if not one.keys() & {"progress", "end", "stream", "entries"}]
        ends = [one["end"]["rows"] for one in found if "end" in one]
        return [rows, [[streams[stream], *rest] for stream, *rest in entries], ends]

    return ask


V1 = "/loki/api/v1"
OWN = "/narfi/api/v1"
FRONT = '{namespace="a", app="front", service_name="front"}'
COUNT = f"sum by (namespace, app, only_hidden) (count_over_time({ALL}[20m]))"
AT = {"time": str(START + 900)}
QUESTIONS = {
    "lines": of(f"{V1}/query_range", query=ALL, limit="5000"),
    "newest line": of(f"{V1}/query_range", query=ALL, limit="1"),
    "oldest line": of(f"{V1}/query_range", query=ALL, limit="1", direction="forward"),
    "another namespace": of(f"{V1}/query_range", query='{namespace="b"}'),
    "not this namespace": of(f"{V1}/query_range", query='{namespace!="a", app=~".+"}'),
    "no namespace": of(f"{V1}/query_range", query='{namespace="", app=~".+"}'),
    "label_format": of(f"{V1}/query_range", query=f'{ALL} | label_format namespace="a"'),
    "label_replace": of(
        f"{V1}/query", query=f'label_replace({COUNT},"namespace","a","app",".*")', **AT
    ),
    "parsed": of(f"{V1}/query_range", query=f'{ALL} | logfmt | namespace_extracted="a"'),
    "line filter": of(f"{V1}/query_range", query=f'{ALL} |= "secret"'),
    "drop": of(f"{V1}/query_range", query=f"{ALL} | drop namespace"),
    "keep": of(f"{V1}/query_range", query=f"{ALL} | keep app", limit="1000"),
    "tenant id": of(f"{V1}/query_range", query='{__tenant_id__="a"}'),
    "or": of(
        f"{V1}/query", query=f'sum({COUNT}) or sum(count_over_time({{app="none"}}[1h]))', **AT
    ),
    "unless": of(f"{V1}/query", query=f"{COUNT} unless sum({COUNT})", **AT),
    "count": of(f"{V1}/query", query=COUNT, **AT),
    "count of read lines": of(
        f"{V1}/query", query=f'sum(count_over_time({ALL} |~ "." [1h]))', **AT
    ),
    "bytes": of(f"{V1}/query", query=f"sum(bytes_over_time({ALL}[1h]))", **AT),
    "unwrap": of(
        f"{V1}/query",
        query=f"sum by (app) (sum_over_time({ALL} | logfmt | unwrap duration(took) [1h]))",
        **AT,
    ),
    "topk": of(f"{V1}/query", query=f"topk(100, {COUNT})", **AT),
    "absent": of(f"{V1}/query", query='absent_over_time({app="none"}[1h])', **AT),
    "quantile": of(
        f"{V1}/query",
        query=f"quantile_over_time(0.9, {ALL} | logfmt | unwrap duration(took) [1h]) by (app)",
        **AT,
    ),
    "offset": of(f"{V1}/query", query=f"sum(count_over_time({ALL}[1h] offset 1s))", **AT),
    "matrix": of(f"{V1}/query_range", query=f"sum by (app) (rate({ALL}[1m]))", step="30"),
    "labels": of(f"{V1}/labels"),
    "label": of(f"{V1}/label"),
    "labels of a query": of(f"{V1}/labels", query='{app="front"}'),
    "values": of(f"{V1}/label/app/values"),
    "values of namespace": of(f"{V1}/label/namespace/values"),
    "values of a hidden label": of(f"{V1}/label/only_hidden/values"),
    "values of a query": of(f"{V1}/label/namespace/values", query='{namespace!="a", app!=""}'),
    "series": of(f"{V1}/series"),
    "series of a selector": of(f"{V1}/series", **{"match[]": '{app=~"front|none"}'}),
    "stats": of(f"{V1}/index/stats", query=ALL),
    "volume": of(f"{V1}/index/volume", query=ALL),
    "volume by label": of(f"{V1}/index/volume", query="{}", aggregateBy="labels"),
    "volume by target": of(f"{V1}/index/volume", query=ALL, targetLabels="only_hidden,app"),
    "volumes": of(f"{V1}/index/volume_range", query=ALL, step="60"),
    "patterns": of(f"{V1}/patterns", query=ALL),
    "detected labels": of(f"{V1}/detected_labels"),
    "detected labels of a query": of(f"{V1}/detected_labels", query=ALL),
    "detected fields": of(f"{V1}/detected_fields", query=ALL, line_limit="1000"),
    "values of a field": of(f"{V1}/detected_field/secret/values", query=ALL),
    "fields": of(f"{OWN}/fields", query=ALL),
    "facets": of(f"{OWN}/facets", query=ALL, fields="app,namespace,only_hidden,took,none"),
    "facet that is kept": of(
        f"{OWN}/facets", query='{namespace="b", app!=""}', fields="namespace", keep="namespace"
    ),
    "histogram": of(f"{OWN}/histogram", query=ALL, by="namespace"),
    "histogram of a field": of(f"{OWN}/histogram", query=ALL, by="took"),
    "distribution": of(f"{OWN}/distribution", query=ALL, field="took"),
    "our patterns": of(f"{OWN}/patterns", query=ALL, compare="previous"),
    "lines as they are found": of_lines(f"{OWN}/lines", query=ALL, limit="5000"),
    "export": of_lines(f"{OWN}/export", query=ALL),
    "context": of(
        f"{OWN}/context", stream=FRONT, ts=str(START * NS), labels="app", before="50", after="50"
    ),
    "preview of a delete request": of(f"{OWN}/deletes/preview", query=ALL),
    "old query": of("/api/prom/query", query=ALL, limit="1000"),
    "old query by pattern": of("/api/prom/query", query=ALL, regexp="secret"),
    "old labels": of("/api/prom/label"),
    "old values": of("/api/prom/label/app/values"),
    "old series": of("/api/prom/series"),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_endpoint_answers_as_the_twin(place: Place, question: str) -> None:
    ask = QUESTIONS[question]
    found = ask(limited(place))
    twin = ask(place.api("whole", "twin"))  # type: ignore[arg-type]
    if question == "stats":  # sources are another matter: the twin has fewer blocks
        found.pop("chunks")
        twin.pop("chunks")
    assert found == twin
    assert "secret" not in json.dumps(found)


def test_what_counts_all_streams_is_refused(place: Place) -> None:
    answer = limited(place).get(f"{OWN}/explain", query=ALL, **SPAN)
    assert answer.status == 403


def test_the_questions_tell_one_from_the_other(place: Place) -> None:
    """A test of the tests: who may see everything is told something else by most of them."""
    everything = place.api("whole", "all")
    differ = [q for q, ask in QUESTIONS.items() if ask(everything) != ask(limited(place))]  # type: ignore[arg-type]
    assert len(differ) >= len(QUESTIONS) * 3 // 4, differ


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_form_is_as_good_as_a_url(place: Place, method: str) -> None:
    body = urllib.parse.urlencode({"query": COUNT, **AT}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    path = f"{V1}/query"
    if method == "GET":
        path, body, headers = f"{path}?{body.decode()}", b"", {}
    answer = limited(place).send(method, path, body or None, headers)
    names = [one["metric"]["namespace"] for one in answer.json["data"]["result"]]
    assert names == ["a", "a"]


def test_several_tenants_are_asked_under_the_policy(place: Place) -> None:
    answer = place.api("several", "all|other").get(f"{V1}/query", query=COUNT, **AT)
    found = sorted(
        (one["metric"]["namespace"], one["metric"]["app"]) for one in answer.json["data"]["result"]
    )
    assert found == [("a", "back"), ("b", "back"), ("b", 'x", namespace="a')]
    names = place.api("several", "all|other").get(f"{V1}/label/app/values", **SPAN).json["data"]
    assert names == ["back", 'x", namespace="a']
    asked = {"query": ALL, "fields": "app,__tenant_id__,took", **SPAN}
    facets = place.api("several", "all|other").get(f"{OWN}/facets", **asked).json["facets"]
    apps, tenants, took = ({v["value"]: v["count"] for v in f["top"]} for f in facets)
    assert sorted(apps) == names
    assert sum(apps.values()) == sum(tenants.values())
    assert set(tenants) <= {"all", "other"}
    assert took


@pytest.mark.parametrize("path", ["/prometheus/api/v1/rules", "/prometheus/api/v1/alerts"])
def test_rules_look_past_a_policy(place: Place, path: str) -> None:
    answer = limited(place).get(path)
    assert (answer.status, "looks past it" in answer.text) == (403, True)


@pytest.mark.parametrize("path", [f"{V1}/rules", f"{V1}/rules/ns", "/api/prom/rules"])
def test_rule_groups_look_past_a_policy(place: Place, path: str) -> None:
    assert limited(place).get(path).status == 403


@pytest.mark.parametrize("path", [f"{V1}/query", f"{V1}/query_range"])
def test_an_explanation_looks_past_a_policy(place: Place, path: str) -> None:
    answer = limited(place).get(path, query=COUNT, explain="true", **SPAN)
    assert (answer.status, "explain looks past it" in answer.text) == (403, True)


def test_sql_looks_past_a_policy(place: Place) -> None:
    answer = limited(place).send("POST", f"{OWN}/sql", b'{"sql": "select 1"}', {})
    assert (answer.status, "SQL looks past it" in answer.text) == (403, True)
    assert limited(place).get(f"{OWN}/sql/tables").status == 403


def test_an_export_is_its_askers(place: Place) -> None:
    answer = place.api("whole", "all").get(f"{OWN}/export", query=ALL, **SPAN)
    path = f"{OWN}/export/{answer.headers['x-narfi-export-id']}"
    assert place.api("whole", "all").get(path).json["state"] == "complete"
    assert limited(place).get(path).status == 404
    assert place.api("whole", "twin").get(path).status == 404


def test_saved_searches_of_others_are_left_alone(place: Place) -> None:
    path, whole, mine = f"{OWN}/saved/shared", place.api("whole", "all"), limited(place)
    body = b'{"query": "{}"}'
    assert whole.send("PUT", path, body, {}).status == 204
    assert mine.send("PUT", path, body, {}).status == 403
    assert mine.send("DELETE", path, None, {}).status == 403
    assert mine.send("PUT", f"{OWN}/saved/mine", body, {}).status == 204
    assert [one["by"] for one in mine.get(f"{OWN}/saved").json["saved"]] == ["policy", "whole"]
    assert mine.send("DELETE", f"{OWN}/saved/mine", None, {}).status == 204


@pytest.mark.parametrize("path", ["/status", "/config", "/metrics", "/ruler/rule_groups"])
def test_nothing_of_the_whole_server(place: Place, path: str) -> None:
    assert limited(place).get(path).status == 403


def test_a_tail_follows_permitted_streams(place: Place) -> None:
    asked = {"query": ALL, "start": str((START - 1) * NS), "limit": "1000"}
    url = place.running.url.replace("http", "ws") + f"{V1}/tail?" + urllib.parse.urlencode(asked)
    headers = {"Authorization": f"Bearer {place.tokens['policy']}"}
    found: list[str] = []
    with connect(url, additional_headers=headers) as socket:
        while "mark" not in found:
            for namespace, line in (("b", "secret=1"), ("a", "mark")):
                place.api("push", "all").push({"namespace": namespace, "app": "live"}, line)
                place.api("push", "twin").push({"namespace": "a", "app": "live"}, line)
            message = json.loads(socket.recv(timeout=60))
            found += [s["values"][0][1] for s in message.get("streams") or []]
    assert len(found) > 40
    assert [line for line in found if "secret" in line] == []


def requests_of(api: Any) -> list[dict[str, Any]]:
    """Delete requests that somebody sees."""
    found: list[dict[str, Any]] = api.get(f"{V1}/delete").json
    return found


def change(api: Any, method: str, **parameters: str) -> Answer:
    """A delete request that is made or cancelled."""
    found: Answer = api.send(method, f"{V1}/delete?{urllib.parse.urlencode(parameters)}", b"", {})
    return found


def test_deletes_are_limited_to_permitted_streams(place: Place) -> None:
    whole, mine = place.api("whole", "all"), limited(place)
    count = 'sum(count_over_time({app=~"back|none"}[1h]))'

    def counted(api: Any) -> str:
        return str(api.get(f"{V1}/query", query=count, **AT).json["data"]["result"][0]["value"][1])

    before = counted(whole)
    foreign = change(whole, "POST", query='{app="nothing"}', **SPAN)
    answer = change(mine, "POST", query='{app=~"back|none"} |= "took=3ms"', **SPAN)
    assert answer.status == 204, answer.text
    request_id = answer.headers["x-delete-request-id"]
    (seen,) = requests_of(mine)
    assert seen["query"] == '{app=~"back|none", namespace="a"} |= "took=3ms"'
    assert len(requests_of(whole)) == 2
    assert int(before) - int(counted(whole)) == 2  # of 4 such lines
    other = change(mine, "DELETE", request_id=foreign.headers["x-delete-request-id"])
    assert (other.status, "could not find" in other.text) == (404, True)
    assert change(mine, "DELETE", request_id=request_id).status == 204
    assert counted(whole) == before


def test_limits_tell_nothing_of_other_streams(place: Place) -> None:
    found = limited(place).get("/narfi/api/v1/limits").json
    assert found["tenant"] == "all"
    assert {row["used"] for row in found["limits"]} == {None}
    assert "process" not in found
    whole = place.api("whole", "all").get("/narfi/api/v1/limits").json
    used = {row["name"]: row["used"] for row in whole["limits"]}
    assert used["max_global_streams_per_user"] > 2


def test_queries_of_others_are_not_seen(place: Place) -> None:
    assert place.api("whole", "all").get(f"{V1}/labels", **SPAN).status == 200
    assert limited(place).get(f"{V1}/labels", **SPAN).status == 200
    found = limited(place).get("/narfi/api/v1/queries").json
    assert {row["who"] for row in found["recent"]} == {"policy"}
