"""How do `packs` of a configuration come to work? Each job gets its packs and rules that choose.

`packs` of the top level are those of every job that names none; where there is no job at all, one
reads the pods of this node.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from promtail_agent.errors import ConfigError
from promtail_agent.packs.choice import choosing
from promtail_agent.packs.load import Shelf
from promtail_agent.packs.pack import Pack
from promtail_agent.packs.pods import pods_job
from promtail_agent.yaml_lines import KeyPath

Complain = Callable[[KeyPath, str], None]
"""Told of each mistake and where it is."""


def put_packs_in(value: dict[str, Any], shelf: Shelf, base: Path, complain: Complain) -> None:
    """Replace names of packs by the packs, in the values of a configuration file.

    Relative folders are below `base`. Of what has another form than it should, nothing is said:
    that is told when the configuration is checked.
    """
    common = _packs(value, ("packs",), shelf, base, complain)
    if common and value.get("scrape_configs") is None:
        value["scrape_configs"] = [pods_job()]
    jobs = value.get("scrape_configs")
    for i, job in enumerate(jobs if isinstance(jobs, list) else []):
        if not isinstance(job, dict):
            continue
        packs = common
        if job.get("packs") is not None:
            packs = _packs(job, ("scrape_configs", i, "packs"), shelf, base, complain)
        if packs:
            job["packs"] = packs
            given = job.get("relabel_configs")
            if isinstance(given, list | None):
                job["relabel_configs"] = [*(given or []), choosing(packs)]


def _packs(
    section: dict[str, Any], at: KeyPath, shelf: Shelf, base: Path, complain: Complain
) -> list[Pack]:
    names = section.get("packs")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return []
    found: list[Pack] = []
    for i, name in enumerate(names):
        try:
            pack = shelf.find(name, base)
        except ConfigError as error:
            complain((*at, i), error.message)
            continue
        if any(other.name == pack.name for other in found):
            complain((*at, i), f'pack "{pack.name}" is there twice')
        found.append(pack)
    section["packs"] = found
    return found
