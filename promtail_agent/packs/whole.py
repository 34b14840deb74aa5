"""What is a whole configuration for packs? Clients, positions, the job of pods, packs' own jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from promtail_agent.packs.pack import Pack
from promtail_agent.packs.pods import pods_job
from promtail_agent.packs.promtail import job_of
from promtail_agent.packs.scrape import own_jobs

DEFAULTS = {
    "url": "http://localhost:3100/loki/api/v1/push",
    "positions": "/var/lib/narfi-agent/positions.yaml",
}
"""Variables of every configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """Jobs, in Promtail's words, and remarks on what was left out."""

    jobs: Sequence[Mapping[str, Any]]
    remarks: Sequence[str]
    values: Mapping[str, str]


def rendered_jobs(packs: Sequence[Pack], given: Mapping[str, str]) -> Rendered:
    """One job for pods where a pack has any, then those that packs bring."""
    jobs: list[Mapping[str, Any]] = []
    remarks: list[str] = []
    if any(_has_pods(pack) for pack in packs):
        jobs.append(job_of(pods_job(), packs))
    for pack in packs:
        found = own_jobs(pack, given)
        jobs += [job_of(job, [pack]) for job in found.jobs]
        for name, lacking in found.lacking.items():
            flags = " ".join(f"--set {one}=…" for one in lacking)
            remarks.append(f"job {name} of pack {pack.name} is left out: it needs {flags}")
    return Rendered(jobs=jobs, remarks=remarks, values={**DEFAULTS, **given})


def _has_pods(pack: Pack) -> bool:
    return any(m.kubernetes or m.namespace or m.container or m.image for m in pack.match)


def agent_text(packs: Sequence[Pack], given: Mapping[str, str]) -> str:
    """The whole configuration; this agent and Promtail read it alike."""
    found = rendered_jobs(packs, given)
    config = {
        "server": {"http_listen_port": 9080},
        "clients": [{"url": found.values["url"]}],
        "positions": {"filename": found.values["positions"]},
        "limits_config": {"max_line_size": "256KB", "max_line_size_truncate": True},
        "scrape_configs": list(found.jobs),
    }
    named = ", ".join(pack.name for pack in packs)
    head = [f"# narfi packs render {named.replace(',', '')}", *(f"# {r}" for r in found.remarks)]
    return "\n".join(head) + "\n" + yaml_text(config)


class _Dumper(yaml.SafeDumper):
    """Writes every value where it stands: no anchors."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def yaml_text(value: object) -> str:
    """As people write it."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
