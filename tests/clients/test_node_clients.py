"""Node's logging clients, and Grafana's own grammar as an oracle for ours."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from logql.parser import parse_to_format
from narfi.core.errors import AppError
from tests.api.conftest import Api
from tests.api.test_grafana_contract import UI_QUERIES
from tests.clients.test_python_clients import found

FOLDER = Path(__file__).parent / "node"
pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (FOLDER / "node_modules").exists(),
    reason="Node or its packages are not installed (make setup installs them where npm is)",
)


def node(script: str, *arguments: str, text: str = "") -> str:
    """Run a script of tests/clients/node."""
    command = ["node", str(FOLDER / script), *arguments]
    result = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=180, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("form", ["protobuf", "json"])
def test_winston_loki(api: Api, form: str) -> None:
    node("winston.mjs", api.url, form, api.tenant)
    entries = found(api, f'{{app="winston-{form}"}}')
    lines = [line for _, line in entries]
    assert [line.split(" {")[0] for line in lines] == [f"winston line {k}" for k in (1, 2, 3)]
    assert [labels["k"] for labels, _ in entries] == ["1", "2", "3"]
    assert all(labels["level"] == "info" for labels, _ in entries)


def test_pino_loki(api: Api) -> None:
    node("pino.mjs", api.url, api.tenant)
    entries = found(api, '{app="pino"}')
    assert len(entries) == 3
    assert [labels.get("k") for labels, _ in entries] == ["1", "2", "3"]
    assert "pino line 1" in entries[0][1]


ONLY_OURS: dict[str, str] = {}
"""Queries that ours accepts and Grafana's grammar does not, and why."""


def test_grafanas_grammar_accepts_what_ours_does() -> None:
    queries = [*UI_QUERIES, *_own_queries()]
    accepted = json.loads(node("oracle.mjs", text=json.dumps(queries)))
    different = [
        query
        for query, theirs in zip(queries, accepted, strict=True)
        if theirs != _is_accepted(query) and query not in ONLY_OURS
    ]
    assert different == []


def _is_accepted(query: str) -> bool:
    try:
        parse_to_format(query)
    except AppError:
        return False
    return True


def _own_queries() -> list[str]:
    return [
        '{a="b"}',
        '{a="b", c!="d"} |= "x" or "y"',
        'sum without (a) (rate({a="b"} | json [5m]))',
        'quantile_over_time(0.99, {a="b"} | unwrap duration(x) | __error__="" [5m]) by (y)',
        'rate({a="b"}[5m]) / on (a) group_left rate({a="c"}[5m])',
        '{a="b"} |',
        "{a=}",
        'rate({a="b"})',
    ]
