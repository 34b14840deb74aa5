"""Do the metrics of a real server say what it did, and does Prometheus take them?"""

import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.server import Running, start, stop
from ingester.metrics import MOST_TENANTS
from tests.served import Api
from tests.server.test_connections import wait_for

Samples = dict[str, float]


def samples(url: str) -> Samples:
    """By name and labels as Prometheus writes them, without `{}` where there are none."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            labels = ",".join(f'{k}="{v}"' for k, v in sorted(one.labels.items()))
            found[f"{one.name}{{{labels}}}" if labels else one.name] = one.value
    return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose upkeep runs each second."""
    folder = tmp_path_factory.mktemp("metrics")
    config = folder / "narfi.yaml"
    config.write_text(
        "tenancy: header\nlimits: {reject_old_samples: false}\ncompactor: {interval: 1s}\n"
    )
    running = start(folder / "data", config, folder / "log")
    # what it asks itself behind /ready is counted too
    wait_for(lambda: "blocks are prepared" in (folder / "log").read_text())
    yield running
    stop(running)


@pytest.fixture
def api(served: Running, request: pytest.FixtureRequest) -> Api:
    """A tenant of its own for each test."""
    return Api(served.url, request.node.name.replace("_", "-"), served.grpc)


def test_prometheus_finds_no_fault(served: Running, api: Api) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("no promtool: see make programs")
    api.push({"app": "a"}, "x")
    assert api.get("/loki/api/v1/labels").status == 200
    text = api.get("/metrics").body
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_push_is_seen_from_the_body_to_the_block(served: Running, api: Api) -> None:
    before = samples(served.url)
    api.push({"app": "a"}, *["some line"] * 100)
    pushed = samples(served.url)
    route = 'method="POST",route="/loki/api/v1/push",status_code="204",ws="false"'
    for name, more in (
        (f"loki_request_duration_seconds_count{{{route}}}", 1),
        ("narfi_push_duration_seconds_count", 1),
        ("narfi_journal_commits_total", 1),
        ("narfi_journal_records_total", 1),
        ("narfi_journal_commit_duration_seconds_count", 1),
        ("narfi_journal_sync_duration_seconds_count", 1),
    ):
        assert pushed[name] - before.get(name, 0) == more, name
    tenant = f'{{tenant="{api.tenant}"}}'
    assert pushed[f"loki_distributor_bytes_received_total{tenant}"] == 900
    assert pushed[f"narfi_active_streams{tenant}"] == 1
    assert pushed["narfi_pushing_tenants"] >= 1
    assert pushed['narfi_head_parts{state="active"}'] >= 1
    assert 0 < pushed["narfi_oldest_unflushed_seconds"] < 300
    assert 0 < pushed["narfi_unflushed_bytes"] < pushed["narfi_max_unflushed_bytes"]
    assert pushed["narfi_journal_disk_bytes"] > 0
    assert api.send("POST", "/flush", b"", {}).status == 204
    flushed = samples(served.url)
    for name in (
        "narfi_flush_duration_seconds_count",
        'narfi_object_request_duration_seconds_count{operation="put"}',
        'narfi_object_bytes_total{operation="put"}',
        'narfi_catalog_request_duration_seconds_count{operation="write"}',
    ):
        assert flushed[name] > pushed.get(name, 0), name
    assert flushed["narfi_unflushed_bytes"] == 0
    assert flushed["narfi_oldest_unflushed_seconds"] == 0
    until = time.monotonic() + 60
    while f"narfi_tenant_stored_bytes{tenant}" not in samples(served.url):
        assert time.monotonic() < until, "upkeep measures what is stored"
        time.sleep(0.2)


def test_queries_are_seen_by_type_and_outcome(served: Running, api: Api) -> None:
    now = time.time_ns()
    api.push({"app": "a"}, *["some line"] * 100, ts_ns=now)
    end = str(now + 10**9)
    asked: tuple[tuple[str, str, str, dict[str, str]], ...] = (
        ("log_range", "ok", "query_range", {"query": '{app="a"}', "end": end}),
        ("metric_range", "ok", "query_range", {"query": 'rate({app="a"} |= "s" [1m])', "end": end}),
        ("log_instant", "invalid", "query", {"query": '{app="a"}'}),
        ("metric_instant", "ok", "query", {"query": 'count_over_time({app="a"}[1m])'}),
        ("unparsed", "invalid", "query", {"query": "{"}),
        ("labels", "ok", "labels", {}),
        ("label_values", "ok", "label/app/values", {}),
        ("series", "ok", "series", {}),
        ("index_stats", "ok", "index/stats", {"query": '{app="a"}'}),
    )
    before = samples(served.url)
    for _, outcome, path, parameters in asked:
        status = api.get(f"/loki/api/v1/{path}", **parameters).status
        assert (status == 200) == (outcome == "ok"), path
    after = samples(served.url)
    for kind, outcome, _, _ in asked:
        name = f'narfi_queries_total{{outcome="{outcome}",type="{kind}"}}'
        assert after[name] - before.get(name, 0) == 1, name
        assert after[f'narfi_query_duration_seconds_count{{type="{kind}"}}'] >= 1
    waited = "narfi_query_wait_seconds_count"
    assert after[waited] - before.get(waited, 0) == len(asked)
    assert after['narfi_query_line_bytes_total{type="metric_range"}'] >= 900
    assert after["narfi_queries_running"] == after["narfi_queries_waiting"] == 0


def test_a_timeout_is_an_outcome(tmp_path: Path) -> None:
    config = tmp_path / "narfi.yaml"
    config.write_text("limits: {query_timeout: 1us}\n")
    running = start(tmp_path / "data", config, tmp_path / "log")
    try:
        api = Api(running.url, "fake", running.grpc)
        query = 'sum by (x) (quantile_over_time(0.9, {app="a"} | unwrap b [1h]))'
        assert api.get("/loki/api/v1/query", query=query).status in (429, 504)
        found = samples(running.url)
        names = [name for name in found if re.match("narfi_queries_total.*(timeout|rate)", name)]
        assert sum(found[name] for name in names) >= 1  # the rehearsal of a first start asks too
    finally:
        stop(running)


def test_caches_and_the_build_are_shown(served: Running, api: Api) -> None:
    now = time.time_ns()
    api.push({"app": "a"}, *["some line"] * 100, ts_ns=now)
    api.send("POST", "/flush", b"", {})
    for _ in range(2):
        api.get("/loki/api/v1/query_range", query='{app="a"} |= "line"', end=str(now + 10**9))
    found = samples(served.url)
    assert found['narfi_cache_misses_total{cache="indexes"}'] > 0
    assert found['narfi_cache_hits_total{cache="indexes"}'] > 0
    assert found['narfi_cache_bytes{cache="indexes"}'] > 0
    assert found["narfi_ready"] == 1
    assert [name for name in found if name.startswith("narfi_build_info{")]
    assert found["process_resident_memory_bytes"] > 2**20


def test_a_start_tells_what_it_replayed(tmp_path: Path) -> None:
    running = start(tmp_path / "data", log=tmp_path / "log")
    api = Api(running.url, "fake", running.grpc)
    for _ in range(3):
        api.push({"app": "a"}, "x")
    running.process.kill()
    running.process.wait()
    again = start(tmp_path / "data", log=tmp_path / "log")
    try:
        found = samples(again.url)
        assert found["narfi_journal_replayed_records"] == 3
        assert found["narfi_journal_replay_seconds"] > 0
    finally:
        stop(again)


def test_tenants_make_no_series_without_end(served: Running) -> None:
    """Whoever may push may name tenants, where nobody signs in."""
    body = b'{"streams": [{"stream": {"a": "b"}, "values": [["1700000000000000000", "x"]]}]}'
    for number in range(MOST_TENANTS + 100):
        api = Api(served.url, f"many-{number}", served.grpc)
        headers = {"Content-Type": "application/json"}
        assert api.send("POST", "/loki/api/v1/push", body, headers).status == 204
    found = samples(served.url)

    def tenants(name: str) -> set[str]:
        return {one for one in found if one.startswith(f"{name}{{")}

    assert len(tenants("loki_distributor_lines_received_total")) <= MOST_TENANTS + 1
    assert found['loki_distributor_lines_received_total{tenant=""}'] >= 100
    assert len(tenants("narfi_active_streams")) == 100
    assert found["narfi_pushing_tenants"] >= MOST_TENANTS + 100
