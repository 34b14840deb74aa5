"""Is all of the agent documented: keys, stages, options, metrics, a test for each feature?"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from narfi.cli.agent_flags import FLAGS
from promtail_agent.config import AgentConfig
from promtail_agent.exposition import FAMILIES
from promtail_agent.http_settings import HttpSettings
from promtail_agent.server_config import PushServerConfig
from promtail_agent.stages.registry import STAGES

ROOT = Path(__file__).parents[2]
AGENT = (ROOT / "docs/agent.md").read_text()
COMPAT = (ROOT / "docs/compat.md").read_text()


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model of a field, also within a tuple or an optional."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _agent_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Keys as the page writes them: jobs' keys and credentials without what is before them."""
    shared = issubclass(model, HttpSettings) and model is not HttpSettings
    for name, field in model.model_fields.items():
        if model is PushServerConfig and name not in PushServerConfig.EFFECTIVE:
            continue  # said of all of them at once
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


def test_every_flag_of_the_agent() -> None:
    assert [name for name in FLAGS if f"`-{name}`" not in AGENT] == []


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
