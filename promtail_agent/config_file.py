"""How does a file become an `AgentConfig`? Checked as a whole, mistakes with their lines."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from promtail_agent.config import ABSENT, AgentConfig
from promtail_agent.errors import ConfigError
from promtail_agent.pipeline import StageSpec
from promtail_agent.stages.registry import STAGES
from promtail_agent.yaml_lines import KeyPath, LinedYaml, load_lined_yaml

Overrides = Mapping[KeyPath, object]
"""Settings of the command line: a path such as ("positions", "filename") to its value."""


def load_agent_config(
    path: str | Path,
    expand_env: bool = False,
    overrides: Overrides | None = None,
    client: Mapping[str, object] | None = None,
    external_labels: Mapping[str, str] | None = None,
) -> AgentConfig:
    """Read, check and freeze a configuration; raises `ConfigError` with a line for each mistake.

    `overrides` go before the file; `client` is one more server to push to, and
    `external_labels` are added to all of them, their own winning.
    """
    document = load_lined_yaml(Path(path), expand_env)
    value = document.value
    if not isinstance(value, dict):
        raise ConfigError(f"{path}:1: the configuration must be a mapping of keys to values")
    mistakes: list[str] = []
    if "client" in value:
        value["clients"] = [value.pop("client"), *(value.get("clients") or [])]
    if client:
        value["clients"] = [*(value.get("clients") or []), dict(client)]
    for one in value.get("clients") or []:
        if external_labels and isinstance(one, dict):
            one["external_labels"] = {**external_labels, **(one.get("external_labels") or {})}
    for key_path, given in (overrides or {}).items():
        if isinstance(value.get(key_path[0]), dict | None):  # else it is told below what it is
            _set(value, key_path, given)
    for i, job in enumerate(value.get("scrape_configs") or []):
        if isinstance(job, dict) and isinstance(job.get("pipeline_stages"), list):
            at = ("scrape_configs", i, "pipeline_stages")
            job["pipeline_stages"] = _read_stages(document, at, job["pipeline_stages"], mistakes)
    try:
        config = AgentConfig.model_validate(value)
    except ValidationError as error:
        mistakes += _texts(document, (), error)
    if mistakes:
        mistakes.sort(key=lambda text: int(text.removeprefix(f"{path}:").partition(":")[0]))
        raise ConfigError("\n".join(mistakes))
    return config


def _set(value: dict[str, Any], path: KeyPath, given: object) -> None:
    *parents, last = (str(part) for part in path)
    for part in parents:
        if value.get(part) is None:
            value[part] = {}
        value = value[part]
    value[last] = given


def _read_stages(
    document: LinedYaml, at: KeyPath, stages: list[object], mistakes: list[str]
) -> list[StageSpec]:
    specs: list[StageSpec] = []
    for i, stage in enumerate(stages):
        here = (*at, i)
        if not isinstance(stage, dict):
            message = (
                "invalid YAML config, make sure each stage of your pipeline is a YAML object "
                f"(must end with a `:`), check stage `- {stage}`"
            )
            mistakes.append(document.complain(here, message))
        elif len(stage) != 1:
            message = "pipeline stage must contain only one key"
            mistakes.append(document.complain(here, message))
        else:
            [(name, body)] = stage.items()
            spec = _read_stage(document, (*here, name), name, body, mistakes)
            if spec is not None:
                specs.append(spec)
    return specs


def _read_stage(
    document: LinedYaml, at: KeyPath, name: str, body: Any, mistakes: list[str]
) -> StageSpec | None:
    module = STAGES.get(name)
    if module is None:
        message = f"invalid {name} stage config: Unknown stage type: {name}"
        mistakes.append(document.complain(at, message))
        return None
    try:
        return StageSpec(name, module.Config.model_validate({} if body is None else body))
    except ValidationError as error:
        mistakes += _texts(document, at, error, f"invalid {name} stage config: ")
        return None


def _texts(
    document: LinedYaml, base: KeyPath, error: ValidationError, prefix: str = ""
) -> list[str]:
    """One line for each mistake that pydantic found."""
    out: list[str] = []
    for mistake in error.errors(include_url=False):
        path: KeyPath = (*base, *mistake["loc"])
        if mistake["type"] == "extra_forbidden":
            known = path[-1] in ABSENT
            message = "not supported" if known else "unknown key"
        elif mistake["type"] == "missing":
            message = "this key is required"
        else:
            message = mistake["msg"].removeprefix("Value error, ").partition("\n")[0]
            message = message[:1].lower() + message[1:] if not prefix else message
        text = document.complain(path, prefix + message)
        if text not in out:
            out.append(text)
    return out
