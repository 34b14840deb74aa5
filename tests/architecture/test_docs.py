"""Is everything that a user can set, call or read documented?"""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import narfi.server.lifecycle  # noqa: F401 - all that has metrics
from logql.functions import WITH_UNWRAP, WITHOUT_UNWRAP
from narfi.core.limits import Limits
from narfi.core.settings import Settings
from querier.rules import Rule

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs/operations.md").read_text()
METRICS = (ROOT / "docs/metrics.md").read_text()
COMPAT = (ROOT / "docs/compat.md").read_text()


def _settings(model: type, prefix: str = "") -> list[str]:
    names = []
    for name, field in model.model_fields.items():  # type: ignore[attr-defined]
        inner = field.annotation
        if isinstance(inner, type) and hasattr(inner, "model_fields"):
            names += _settings(inner, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


@pytest.mark.parametrize("key", _settings(Settings))
def test_every_setting(key: str) -> None:
    assert f"| `{key}` |" in OPERATIONS


@pytest.mark.parametrize("name", [field.name.removesuffix("_ns") for field in fields(Limits)])
def test_every_limit(name: str) -> None:
    assert f"`{name}`" in OPERATIONS


@pytest.mark.parametrize("rule", Rule)
def test_every_planner_rule(rule: Rule) -> None:
    assert f"| `{rule}` |" in OPERATIONS


def _exported() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Our metrics: type and labels of each."""
    found = {}
    for collector in list(REGISTRY._collector_to_names):
        for family in getattr(collector, "describe", tuple)():
            labels = getattr(collector, "_labelnames", getattr(family, "_labelnames", ()))
            name = family.name + ("_total" if family.type == "counter" else "")
            found[name] = (family.type, tuple(labels))
    return {name: of for name, of in found.items() if name.startswith(("narfi", "loki"))}


def _documented() -> dict[str, tuple[str, tuple[str, ...]]]:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]+) \| .{8,} \|$", METRICS, re.M)
    return {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_every_metric_is_documented_and_every_documented_one_is_there() -> None:
    assert _exported() == _documented()


def test_each_metric_is_documented_once() -> None:
    names = re.findall(r"^\| `(\w+)` \| \w+ \|", METRICS, re.M)
    assert len(names) == len(set(names)) > 80


@pytest.mark.parametrize(("page", "least"), [("security.md", 50), ("testing.md", 30)])
def test_every_threat_and_fault_has_a_test(page: str, least: int) -> None:
    text = (ROOT / "docs" / page).read_text()
    named = re.findall(r"`(tests/[^:`]+)::(\w+)`(?:, `…::(\w+)`)?", text)
    rows = [(file, name) for file, *names in named for name in names if name]
    assert len(rows) >= least
    missing = [
        f"{file}::{name}" for file, name in rows if f"def {name}(" not in (ROOT / file).read_text()
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("begin", "least"), [("## Invariants", 70), ("### On both stacks", 5), ("| invariant of", 4)]
)
def test_what_shows_an_invariant_is_there(begin: str, least: int) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text().partition(begin)[2]
    rows = re.findall(r"^\| .+$", re.split(r"\n##|\n\n[^|\n]", text.lstrip("\n"))[0], re.M)
    assert len(rows) >= least
    missing = []
    for row in rows:
        folder = ""
        for name in re.findall(r"`([\w/]+(?:\.py|/))`", row.rpartition(" | ")[2]):
            path = name if "/" in name else f"{folder}/{name}"
            folder = path.rpartition("/")[0]
            missing += [] if (ROOT / path).exists() else [path]
    assert missing == []


@pytest.mark.parametrize("op", sorted(WITH_UNWRAP | WITHOUT_UNWRAP))
def test_every_range_function(op: str) -> None:
    assert op.removesuffix("_over_time") in COMPAT


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []
