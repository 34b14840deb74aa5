"""Is everything that a user can set, call or read documented?"""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from prometheus_client import REGISTRY
from pydantic import BaseModel

import ingester.metrics  # noqa: F401 - registers metrics
from logql.functions import WITH_UNWRAP, WITHOUT_UNWRAP
from narfi.core.limits import Limits
from narfi.core.settings import Settings
from promtail_agent.config import AgentConfig
from promtail_agent.exposition import FAMILIES
from promtail_agent.http_settings import HttpSettings
from promtail_agent.stages.registry import STAGES

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs/operations.md").read_text()
COMPAT = (ROOT / "docs/compat.md").read_text()
AGENT = (ROOT / "docs/agent.md").read_text()


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


def test_every_metric() -> None:
    ours = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in REGISTRY.collect()
        if family.name.startswith(("narfi", "loki"))
    }
    assert {name for name in ours if f"`{name}`" not in OPERATIONS} == set()


@pytest.mark.parametrize("op", sorted(WITH_UNWRAP | WITHOUT_UNWRAP))
def test_every_range_function(op: str) -> None:
    assert op.removesuffix("_over_time") in COMPAT


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model of a field, also within a tuple or an optional."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _agent_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Keys as the page writes them: jobs' keys and credentials without what is before them."""
    shared = issubclass(model, HttpSettings) and model is not HttpSettings
    for name, field in model.model_fields.items():
        key = field.alias or name
        inner = _model_in(field.annotation)
        if shared and name in HttpSettings.model_fields:
            continue
        if inner is None:
            yield prefix + key
        else:
            yield from _agent_keys(inner, "" if key == "scrape_configs" else f"{prefix}{key}.")


@pytest.mark.parametrize("key", [*_agent_keys(AgentConfig), *_agent_keys(HttpSettings)])
def test_every_key_of_the_agent(key: str) -> None:
    assert re.search(rf"^\|[^|]*`{re.escape(key)}`[^|]*\|", AGENT, re.MULTILINE)


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_every_stage_and_its_options(stage: str) -> None:
    row = re.search(rf"^\|[^|]*`{stage}`[^|]*\|([^|]*)\|", AGENT, re.MULTILINE)
    assert row is not None
    options = {name for name in STAGES[stage].Config.model_fields if name != "root"}
    assert options <= set(re.findall(r"`(\w+)`", row[1]))


def test_every_metric_of_the_agent() -> None:
    assert [name for name, *_ in FAMILIES.values() if f"`{name}`" not in AGENT] == []


def test_tests_that_the_agents_table_names_are_there() -> None:
    """`docs/compat.md` says by which test each feature is shown."""
    table = COMPAT[COMPAT.index("## Agent") :]
    named = set(re.findall(r"`(tests/[\w/.]+|benchmarks/[\w/.]+)(?:::(\w+))?`", table))
    assert len(named) > 20
    for file, test in named:
        assert (ROOT / file).exists(), file
        if test:
            assert f"def {test}(" in (ROOT / file).read_text(), f"{file}::{test}"


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []
