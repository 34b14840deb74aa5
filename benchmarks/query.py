"""How fast are questions answered? Named queries of queries.yaml, min and median of several runs.

Takes any Loki-compatible URL, and a second one to compare with in the same run.
"""

import argparse
import http.client
import json
import statistics
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks import calibrate
from benchmarks.data import SPAN_NS

RUNS = 7
QUERIES = Path(__file__).parent / "queries.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One query's times in ms, and how much it returned."""

    name: str
    min_ms: float
    median_ms: float
    p99_ms: float
    items: int
    loki_ms: float | None


def load() -> list[dict[str, Any]]:
    """The queries."""
    found: list[dict[str, Any]] = yaml.safe_load(QUERIES.read_text())
    return found


class Client:
    """One keep-alive connection."""

    def __init__(self, url: str, tenant: str) -> None:
        parts = urllib.parse.urlsplit(url)
        assert parts.hostname is not None
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=300)
        self._headers = {"X-Scope-OrgID": tenant} if tenant else {}

    def get(self, path: str, params: dict[str, str]) -> Any:
        """The JSON answer."""
        self._connection.request(
            "GET", f"{path}?{urllib.parse.urlencode(params)}", headers=self._headers
        )
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != http.client.OK:
            raise SystemExit(f"{path} {params}: {answer.status} {body[:300]!r}")
        return json.loads(body)


def parameters(query: dict[str, Any], end_ns: int) -> tuple[str, dict[str, str]]:
    """Path and parameters of a query over the benchmark's hour."""
    params = {"start": str(end_ns - SPAN_NS), "end": str(end_ns + 10**9)}
    if "path" in query:
        if "match" in query:
            params["match[]"] = query["match"]
        for name in ("query", "step", "targetLabels"):
            if name in query:
                params[name] = str(query[name])
        return query["path"], params
    params["query"] = query["query"]
    for name in ("limit", "step"):
        if name in query:
            params[name] = str(query[name])
    return "/loki/api/v1/query_range", params


def count(answer: Any) -> int:
    """How many lines, points or names an answer holds."""
    data = answer.get("data", [])
    if isinstance(data, list):
        return len(data)
    return sum(len(item.get("values", [1])) for item in data["result"])


def measure(url: str, end_ns: int, *, tenant: str = "", runs: int = RUNS) -> list[Timing]:
    """Every query, one warm-up and then `runs` timed runs."""
    client = Client(url, tenant)
    found = []
    for query in load():
        path, params = parameters(query, end_ns)
        items = count(client.get(path, params))
        times = []
        for _ in range(runs):
            began = time.perf_counter()
            client.get(path, params)
            times.append((time.perf_counter() - began) * 1000)
        times.sort()
        p99 = times[min(len(times) - 1, round(0.99 * len(times)))]
        middle = statistics.median(times)
        found.append(
            Timing(
                name=query["name"],
                min_ms=times[0],
                median_ms=middle,
                p99_ms=p99,
                items=items,
                loki_ms=query.get("loki_ms"),
            )
        )
    return found


def table(columns: dict[str, list[Timing]], factor: float) -> str:
    """A Markdown table; Loki's times as measured (over 364 MB) and scaled by the factor."""
    names = list(columns)
    head = " | ".join(f"{name} min/median/p99 ms" for name in names)
    loki = f"Loki as measured ms | Loki × {factor:.2f} ms"
    out = [f"| query | {head} | {loki} | items |", "|---|" + "---|" * (len(names) + 3)]
    for rows in zip(*columns.values(), strict=True):
        cells = " | ".join(
            f"{row.min_ms:.1f} / {row.median_ms:.1f} / {row.p99_ms:.1f}" for row in rows
        )
        peer = rows[0].loki_ms
        theirs = " | " if peer is None else f"{peer:.0f} | {peer * factor:.0f}"
        name = rows[0].name.replace("|", "\\|")
        out.append(f"| {name} | {cells} | {theirs} | {rows[-1].items} |")
    return "\n".join(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="+", help="one server, or two to compare")
    parser.add_argument("--end-ns", type=int, required=True)
    parser.add_argument("--tenant", default="")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--factor", type=float, help="of this machine; measured if not given")
    a = parser.parse_args()
    scale = a.factor or calibrate.factor(calibrate.measure())
    print(table({u: measure(u, a.end_ns, tenant=a.tenant, runs=a.runs) for u in a.url}, scale))
