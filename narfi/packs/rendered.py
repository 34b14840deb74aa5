"""Which configurations run samples? A job of static files, or of syslog, with the pack's stages."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from promtail_agent.packs.choice import PACK
from promtail_agent.packs.pack import Pack
from promtail_agent.packs.promtail import job_of

_SYSLOG_RULES = [
    {"source_labels": ["__syslog_message_app_name"], "target_label": "component"},
]


def files_job(system: str, pack: Pack, files: Mapping[str, Path]) -> dict[str, Any]:
    """A job that reads a file a component."""
    return {
        "job_name": "samples",
        "static_configs": [
            {
                "targets": ["localhost"],
                "labels": {
                    "app": system,
                    "component": component,
                    PACK: pack.name,
                    "__path__": str(file),
                },
            }
            for component, file in files.items()
        ],
    }


def syslog_job(system: str) -> dict[str, Any]:
    """A job that takes messages, with the name of their program as component and no stages."""
    return {
        "job_name": "samples",
        "syslog": {
            "listen_address": "127.0.0.1:0",
            "use_incoming_timestamp": True,
            "labels": {"app": system},
        },
        "relabel_configs": _SYSLOG_RULES,
    }


def write_config(file: Path, jobs: Sequence[Mapping[str, Any]]) -> Path:
    """A whole configuration with these jobs."""
    config = {
        "clients": [{"url": "http://localhost:3100/loki/api/v1/push"}],
        "scrape_configs": list(jobs),
    }
    file.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=10_000))
    return file


def promtail_file(file: Path, job: Mapping[str, Any], pack: Pack) -> Path:
    """The job with the pack's stages in Promtail's words."""
    return write_config(file, [job_of(job, [pack])])


def agent_file(file: Path, job: Mapping[str, Any], pack: Pack) -> Path:
    """The job that names the pack."""
    return write_config(file, [{**job, "packs": [str(pack.folder)]}])
