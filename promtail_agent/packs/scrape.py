"""Which jobs does a pack bring of its own? `scrape.yaml`: files and listeners, with variables.

A variable is written `${NAME}`; its value is given by whoever asks, or is the manifest's. A job of
which a variable is empty is left out, and told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from promtail_agent.errors import ConfigError
from promtail_agent.packs.pack import Pack
from promtail_agent.yaml_lines import load_lined_yaml

FILE = "scrape.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnJobs:
    """Jobs with their variables replaced, and those that lack a value: name to variables."""

    jobs: Sequence[dict[str, Any]]
    lacking: Mapping[str, Sequence[str]]


def own_jobs(pack: Pack, given: Mapping[str, str]) -> OwnJobs:
    """The jobs of a pack; raises `ConfigError` with file and line."""
    file = pack.folder / FILE
    if not file.exists():
        return OwnJobs(jobs=(), lacking={})
    document = load_lined_yaml(file, expand_env=False)
    raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(raw, list):
        raise ConfigError(f"{file}:1: a list of jobs was expected")
    values = {**pack.manifest.variables, **given}
    jobs: list[dict[str, Any]] = []
    lacking: dict[str, list[str]] = {}
    for i, job in enumerate(raw):
        if not isinstance(job, dict) or not job.get("job_name"):
            raise ConfigError(document.complain((i,), "a job needs a job_name"))
        missing: list[str] = []
        found = _with_values(job, values, missing)
        if missing:
            lacking[str(job["job_name"])] = sorted(set(missing))
        else:
            jobs.append(found)
    return OwnJobs(jobs=jobs, lacking=lacking)


def variables_of(pack: Pack) -> set[str]:
    """Names of all variables that a pack knows: its manifest's, and those of its jobs."""
    missing: list[str] = []
    file = pack.folder / FILE
    if file.exists():
        _with_values(yaml.safe_load(file.read_text(encoding="utf-8")), {}, missing)
    return {*pack.manifest.variables, *missing}


def _with_values(value: Any, values: Mapping[str, str], missing: list[str]) -> Any:
    if isinstance(value, dict):
        return {key: _with_values(item, values, missing) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_values(item, values, missing) for item in value]
    if isinstance(value, str) and "${" in value:
        return _replaced(value, values, missing)
    return value


def _replaced(text: str, values: Mapping[str, str], missing: list[str]) -> str:
    head, *parts = text.split("${")
    found = [head]
    for part in parts:
        name, _, rest = part.partition("}")
        if not values.get(name):
            missing.append(name)
        found += [values.get(name, ""), rest]
    return "".join(found)
