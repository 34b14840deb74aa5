"""Are the questions and rules of packs offered as `narfi packs show` tells them, where logs are?"""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.server import start, stop
from tests.served import Api

PATH = "/narfi/api/v1/packs"
ERROR_LINE = '2026/11/24 09:00:00 [error] 7#7: *1 connect() failed, upstream: "http://a:80/"'


def shown(name: str) -> str:
    """What the command prints."""
    command = [sys.executable, "-m", "narfi.cli", "packs", "show", name]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def packs(api: Api, **parameters: str) -> dict[str, dict[str, object]]:
    """By name."""
    answer = api.get(PATH, **parameters)
    assert answer.status == 200, answer.text
    assert answer.json["warnings"] == []
    return {one["name"]: one for one in answer.json["packs"]}


def test_only_what_has_logs_is_here(api: Api) -> None:
    assert not any(one["here"] for one in packs(api).values())
    api.push({"service_name": "nginx", "log": "error"}, ERROR_LINE)
    api.push({"language": "python", "app": "a"}, "Traceback (most recent call last):")
    found = packs(api)
    assert {name for name, one in found.items() if one["here"]} == {"nginx", "python"}
    old = packs(api, start="1000", end="2000")
    assert not any(one["here"] for one in old.values()), "of another time"


def test_questions_are_those_of_the_command_and_can_be_asked(api: Api) -> None:
    api.push({"service_name": "nginx", "log": "error"}, ERROR_LINE)
    nginx, text = packs(api, since="2h")["nginx"], shown("nginx")
    questions, rules = nginx["questions"], nginx["rules"]
    assert isinstance(questions, list)
    assert isinstance(rules, list)
    assert len(questions) > 5
    for one in questions:
        assert f"{one['title']}: {one['question']}" in text
        assert "$" not in one["query"]
        asked = api.get("/loki/api/v1/query_range", query=one["query"], since="1h", step="60")
        assert asked.status == 200, (one["query"], asked.text)
    assert any("[7200s]" in one["query"] for one in questions)
    assert any("[120s]" in one["query"] for one in questions)
    for one in rules:
        assert f"{one['name']}: {one['summary']}" in text
        assert one["query"] in text
    assert {one["type"] for one in rules} == {"alerting"}


def test_an_own_pack_and_a_broken_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of `NARFI_PACKS` count as shipped ones do; what cannot be read hides nothing else."""
    own, broken = tmp_path / "packs" / "shop", tmp_path / "packs" / "broken"
    for folder in (own, broken):
        folder.mkdir(parents=True)
    (own / "pack.yaml").write_text("name: shop\ntitle: Our shop\nversion: 3\n")
    (own / "queries.yaml").write_text(
        "- title: Sold\n  question: What was sold?\n  kind: logs\n"
        "  query: '{$selector} |= \"sold\"'\n"
    )
    (broken / "pack.yaml").write_text("name: broken\nno_such_key: 1\n")
    monkeypatch.setenv("NARFI_PACKS", str(tmp_path / "packs"))
    server = start(tmp_path / "data", None, tmp_path / "log")
    try:
        api = Api(server.url, "", server.grpc)
        api.push({"app": "shop-front"}, "sold a hat")
        answer = api.get(PATH).json
        (shop,) = [one for one in answer["packs"] if one["name"] == "shop"]
        assert (shop["here"], shop["title"], shop["version"]) == (True, "Our shop", 3)
        query = '{service_name=~"shop.*"} |= "sold"'
        assert [one["query"] for one in shop["questions"]] == [query]
        (warning,) = answer["warnings"]
        assert "the pack broken cannot be read" in warning["text"]
    finally:
        stop(server)
