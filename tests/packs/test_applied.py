"""Do all packs live together in one server: rules in its ruler, panels and questions asked?"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.server import start, stop
from narfi.bundled.questions import read_queries, with_range
from narfi.bundled.rules import rule_groups
from narfi.cli.main import app
from narfi.packs.dashboard import dashboard_queries
from narfi.packs.gather import entries_of_files, push_body
from narfi.packs.rendered import agent_file, files_job
from promtail_agent.packs.load import Shelf
from tests.served import Api

pytestmark = pytest.mark.slow
SHELF = Shelf.of_environment({})
NAMES = SHELF.names()
CONFIG = """
tenancy: header
ruler: {{directory: '{folder}/rules', evaluation_interval: 10s, poll_interval: 1s}}
"""
PROTO = {"Content-Type": "application/x-protobuf"}
DEADLINE_S = 120
AGO_NS = 60 * 10**9


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server that has every sample of every pack, as of a minute ago."""
    folder = tmp_path_factory.mktemp("applied")
    config = folder / "narfi.yaml"
    config.write_text(CONFIG.format(folder=folder))
    server = start(folder / "data", config, folder / "log")
    found = Api(server.url, "all", server.grpc)
    try:
        for name in NAMES:
            _push_samples(found, name, folder)
        yield found
    finally:
        stop(server)


def _push_samples(api: Api, name: str, folder: Path) -> None:
    pack = SHELF.find(name)
    logs = sorted((pack.folder / "samples").glob("*.log"))
    files = {f.stem: f for f in logs if not f.stem.startswith("syslog-")}
    sent, _ = entries_of_files(agent_file(folder / "a.yaml", files_job(name, pack, files), pack))
    first = time.time_ns() - AGO_NS
    moved = [replace(one, ts_ns=first + place * 1000) for place, one in enumerate(sent)]
    answer = api.send("POST", "/loki/api/v1/push", push_body(moved), PROTO)
    assert answer.status == 204, answer.text


def test_the_ruler_takes_and_evaluates_the_rules_of_all_packs(api: Api) -> None:
    flags = ["--addr", api.url, "--org-id", api.tenant, "--quiet"]
    done = CliRunner().invoke(app, ["packs", "apply", *NAMES, *flags])
    assert done.exit_code == 0, done.output
    wanted = {
        (f"pack-{name}", group.name, rule.alert or rule.record)
        for name in NAMES
        for group in rule_groups(SHELF.find(name))
        for rule in group.rules
    }
    assert len(wanted) > 100
    until_s = time.monotonic() + DEADLINE_S
    while True:
        groups = api.get("/prometheus/api/v1/rules").json["data"]["groups"]
        rules = [(group, rule) for group in groups for rule in group["rules"]]
        health = {(g["file"], g["name"], r["name"]): r["health"] for g, r in rules}
        if health.keys() == wanted and set(health.values()) == {"ok"}:
            break
        told = {key: value for key, value in health.items() if value != "ok"}
        assert time.monotonic() < until_s, (told, wanted - health.keys())
        time.sleep(0.5)
    assert [rule["lastError"] for _, rule in rules if rule.get("lastError")] == []
    alerts = api.get("/prometheus/api/v1/alerts").json["data"]["alerts"]
    assert len({alert["labels"]["alertname"] for alert in alerts}) > 50  # samples make them


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_and_question_finds_something(api: Api, name: str) -> None:
    pack = SHELF.find(name)
    now_s = time.time()
    texts = dict(dashboard_queries(pack))
    texts |= {query.title: query.text(pack.manifest.selector) for query in read_queries(pack)}
    assert texts
    for title, text in texts.items():
        answer = api.get(
            "/loki/api/v1/query_range",
            None,
            query=with_range(text, "1h"),
            start=str(now_s - 3600),
            end=str(now_s + 1),
            step="60",
        )
        assert answer.status == 200, (title, answer.text)
        assert answer.json["data"]["result"], (title, text)
