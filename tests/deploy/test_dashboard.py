"""Does Grafana's dashboard ask for metrics, labels and types that exist, in queries that parse?"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.alerts import METRIC, ROOT

FILE = ROOT / "deploy/grafana/narfi.json"
BOARD: dict[str, Any] = json.loads(FILE.read_text())
PANELS: list[dict[str, Any]] = BOARD["panels"]
ASKED = [panel for panel in PANELS if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in ASKED for target in panel["targets"]]
OF_PROMETHEUS = {"job", "instance", "le"}


def _documented() -> dict[str, tuple[str, set[str]]]:
    """Type and labels by name."""
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| ([^|]+) \|", (ROOT / "docs/metrics.md").read_text(), re.M
    )
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


DOCUMENTED = _documented()
AGENT = set(METRIC.findall((ROOT / "docs/agent.md").read_text()))


def _family(name: str) -> str | None:
    """The documented metric that a name is a series of."""
    for part in ("", "_bucket", "_sum", "_count"):
        found = name.removesuffix(part) if part and name.endswith(part) else name
        kind, _ = DOCUMENTED.get(found, ("", set()))
        if kind and (kind in ("histogram", "summary")) == (found != name):
            return found
    return None


def test_there_are_panels_for_every_part() -> None:
    assert len(QUERIES) > 60
    rows = [panel["title"] for panel in PANELS if panel["type"] == "row"]
    assert len(rows) >= 6


@pytest.mark.parametrize(("title", "query"), QUERIES)
def test_a_query_is_on_metrics_and_labels_that_exist(title: str, query: str) -> None:
    names = METRIC.findall(query)
    of_server = [name for name in names if not name.startswith("promtail")]
    assert [name for name in of_server if _family(name) is None] == [], title
    agent = [name for name in names if name.startswith("promtail")]
    bases = [re.sub("_(count|sum|bucket)$", "", name) for name in agent]
    assert [b for n, b in zip(agent, bases, strict=True) if not {n, b} & AGENT] == [], title
    if agent or not names:
        return
    labels = set[str](OF_PROMETHEUS).union(*(DOCUMENTED[_family(n) or ""][1] for n in names))
    by = {one.strip() for found in re.findall(r"by \(([^)]*)\)", query) for one in found.split(",")}
    matched = set(re.findall(r'(\w+)(?:=~|!=|!~|=)"', query))
    assert by | matched <= labels, title


@pytest.mark.parametrize(("title", "query"), QUERIES)
def test_only_counters_have_rates(title: str, query: str) -> None:
    for name in re.findall(r"(?:rate|increase)\((\w+)", query):
        family = _family(name)
        assert name.startswith(("promtail", "process")) or (
            family is not None and DOCUMENTED[family][0] in ("counter", "histogram", "summary")
        ), title


def test_queries_parse(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("no promtool (make programs)")
    values = {"$__rate_interval": "1m", "$job": "narfi", "$instance": ".*"}
    rules = []
    for number, (_, query) in enumerate(QUERIES):
        for name, value in values.items():
            query = query.replace(name, value)
        assert "$" not in query
        rules.append({"record": f"panel:{number}", "expr": query})
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_have_numbers_and_places_of_their_own() -> None:
    ids = [panel["id"] for panel in PANELS]
    assert len(ids) == len(set(ids))
    places = set[tuple[int, int]]()
    for panel in PANELS:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        mine = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not mine & places, panel["title"]
        places |= mine


def test_variables_are_declared() -> None:
    declared = {one["name"] for one in BOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)\}?", FILE.read_text()))
    assert used == declared
