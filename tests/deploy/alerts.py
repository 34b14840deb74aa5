"""What do the shipped alerts say, and the same with shorter times, for tests that cannot wait?"""

import re
from pathlib import Path
from typing import Any

import yaml

from narfi.core.units import format_prometheus_duration, parse_prometheus_duration

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy/prometheus/alerts.yml"
GROUPS: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["groups"]
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in GROUPS for rule in group["rules"]
}
METRIC = re.compile(r"\b(?:narfi|loki|promtail)_[a-z0-9_]+")
_RANGE = re.compile(r"(?<=\[)[0-9]+[smhd](?=\])")
_SECONDS = re.compile(r"(?<=> )(?:180|1800|3600)\b|\b4 \* 3600\b")
MIN_RANGE_NS = 5 * 10**9
"""Of a range that is scaled: some scrapes have to be in it."""


def scaled(divisor: int, interval: str = "1s") -> str:
    """The file with all times so much shorter: waits, ranges and ages."""

    def shorter(text: str, least_ns: int) -> str:
        found = max(parse_prometheus_duration(text) // divisor, least_ns)
        return format_prometheus_duration(max(found // 10**9, 1) * 10**9)

    groups = []
    for group in GROUPS:
        rules = []
        for rule in group["rules"]:
            expr = _RANGE.sub(lambda one: shorter(one[0], MIN_RANGE_NS), rule["expr"])
            expr = _SECONDS.sub(lambda one: f"({one[0]}) / {divisor}", expr)
            rules.append(rule | {"expr": expr, "for": shorter(rule["for"], 10**9)})
        groups.append(group | {"rules": rules, "interval": interval})
    return yaml.safe_dump({"groups": groups}, sort_keys=False)
