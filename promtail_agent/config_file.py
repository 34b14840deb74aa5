"""How does a file become an `AgentConfig`? Checked as a whole, mistakes with their lines."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from promtail_agent.config import ABSENT, AgentConfig
from promtail_agent.config_base import without_nulls
from promtail_agent.errors import ConfigError
from promtail_agent.pipeline import StageSpec, stage_spec
from promtail_agent.stage_keys import known_keys
from promtail_agent.stages.registry import STAGES
from promtail_agent.yaml_lines import KeyPath, LinedYaml, load_lined_yaml

_NO_FILE = LinedYaml("command line", {}, {(): 1})
Overrides = Mapping[KeyPath, object]
"""Settings of the command line: a path such as ("positions", "filename") to its value."""


def load_agent_config(
    path: str | Path,
    expand_env: bool = False,
    overrides: Overrides | None = None,
    client: Mapping[Any, object] | None = None,
    external_labels: Mapping[str, str] | None = None,
) -> AgentConfig:
    """Read, check and freeze a configuration; raises `ConfigError` with a line for each mistake.

    `overrides` go before the file. `client`, by key or by a path of keys, is one more server to
    push to; without a url it goes before the deprecated `client` of the file. `external_labels` are
    added to all, their own winning. Without a path only these count.
    """
    document = load_lined_yaml(Path(path), expand_env) if path else _NO_FILE
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        raise ConfigError(f"{path}:1: the configuration must be a mapping of keys to values")
    mistakes: list[str] = []
    notices: list[str] = []
    _add_clients(value, client or {}, external_labels or {}, notices)
    for key_path, given in (overrides or {}).items():
        if isinstance(value.get(str(key_path[0])), dict | None):  # else it is told below what it is
            _set(value, key_path, given)
    for i, job in enumerate(_items(value.get("scrape_configs"))):
        if isinstance(job, dict) and isinstance(job.get("pipeline_stages"), list):
            reader = _StageReader(document, mistakes, notices)
            at = ("scrape_configs", i, "pipeline_stages")
            job["pipeline_stages"] = reader.read(at, job["pipeline_stages"])
    try:
        config = AgentConfig.model_validate(value)
    except ValidationError as error:
        mistakes += _texts(document, (), error)
    if mistakes:
        mistakes.sort(key=lambda text: int(text.removeprefix(f"{document.name}:").split(":")[0]))
        raise ConfigError("\n".join(mistakes))
    return config.with_notices(notices)


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _add_clients(
    value: dict[str, Any],
    client: Mapping[Any, object],
    external_labels: Mapping[str, str],
    notices: list[str],
) -> None:
    """Make `clients` of the deprecated `client`, of the list, and of the command line's."""
    if "client" in value and value["client"] is None:
        del value["client"]
    if not isinstance(value.get("clients"), list | None):
        return  # it is told below what it is
    clients = list(value.get("clients") or [])
    given: dict[str, Any] = {}
    for key_path, setting in client.items():
        _set(given, key_path if isinstance(key_path, tuple) else (key_path,), setting)
    deprecated = value.get("client")
    if isinstance(deprecated, dict):
        del value["client"]
        clients.insert(0, deprecated)
    if given.get("url"):
        clients.append(given)
    elif isinstance(deprecated, dict):
        deprecated.update(given)
    elif given:
        notices.append("flags of a client have no effect without -client.url")
    if clients:
        value["clients"] = clients
    for found in clients:
        if external_labels and isinstance(found, dict):
            own = without_nulls(found.get("external_labels") or {})
            if isinstance(own, dict):
                found["external_labels"] = {**external_labels, **own}


def _set(value: dict[str, Any], path: KeyPath, given: object) -> None:
    *parents, last = (str(part) for part in path)
    for part in parents:
        if value.get(part) is None:
            value[part] = {}
        value = value[part]
        if not isinstance(value, dict):
            return  # it is told what the file has there
    value[last] = given


class _StageReader:
    """Reads the stages of one document; what is wrong and what is ignored goes to its lists."""

    def __init__(self, document: LinedYaml, mistakes: list[str], notices: list[str]) -> None:
        self._document, self._mistakes, self._notices = document, mistakes, notices

    def read(self, at: KeyPath, stages: list[object]) -> list[StageSpec]:
        """The stages of a job that could be read."""
        found = [self._entry((*at, i), stage) for i, stage in enumerate(stages)]
        return [spec for spec in found if spec is not None]

    def _entry(self, at: KeyPath, stage: object) -> StageSpec | None:
        if not isinstance(stage, dict):
            message = (
                "invalid YAML config, make sure each stage of your pipeline is a YAML object "
                f"(must end with a `:`), check stage `- {stage}`"
            )
            self._mistake(at, message)
            return None
        if len(stage) != 1:
            self._mistake(at, "pipeline stage must contain only one key")
            return None
        [(name, body)] = stage.items()
        at = (*at, name)
        if name not in STAGES:
            self._mistake(at, f"invalid {name} stage config: Unknown stage type: {name}")
            return None
        body = known_keys(name, body, at, self._ignored)
        try:
            return stage_spec(name, body)
        except ValidationError as error:
            self._mistakes += _texts(self._document, at, error, f"invalid {name} stage config: ")
            return None

    def _mistake(self, at: KeyPath, message: str) -> None:
        self._mistakes.append(self._document.complain(at, message))

    def _ignored(self, at: KeyPath) -> None:
        self._notices.append(self._document.complain(at, "not a key of this stage, ignored"))


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
