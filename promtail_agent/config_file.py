"""How does a file become an `AgentConfig`? Checked as a whole, mistakes with their lines."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from promtail_agent.config import ABSENT, AgentConfig
from promtail_agent.config_base import without_nulls
from promtail_agent.errors import ConfigError
from promtail_agent.packs.compose import put_packs_in
from promtail_agent.packs.load import Shelf
from promtail_agent.stage_reader import StageReader
from promtail_agent.yaml_lines import KeyPath, LinedYaml, load_lined_yaml
from promtail_agent.yaml_mistakes import mistake_texts

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

    def complain(at: KeyPath, message: str) -> None:
        mistakes.append(document.complain(at, message))

    put_packs_in(value, Shelf.of_environment(), Path(path).parent, complain)
    for i, job in enumerate(_items(value.get("scrape_configs"))):
        if isinstance(job, dict) and isinstance(job.get("pipeline_stages"), list):
            reader = StageReader(document, mistakes, notices)
            at = ("scrape_configs", i, "pipeline_stages")
            job["pipeline_stages"] = reader.read(at, job["pipeline_stages"])
    try:
        config = AgentConfig.model_validate(value)
    except ValidationError as error:
        mistakes += mistake_texts(document, (), error, absent=ABSENT, model=AgentConfig)
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
