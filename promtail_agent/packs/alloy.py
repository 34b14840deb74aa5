"""What do packs look like in Alloy's words? Components for each job, `loki.process` for its stages.

Written from the same jobs as Promtail's configuration, block by block: a stage has the same keys
there, but for a few names. A stage or source that is not known here is an error, never left out.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from promtail_agent.errors import ConfigError
from promtail_agent.packs.pack import Pack
from promtail_agent.packs.whole import rendered_jobs

_NAMES = {
    "cri": "cri",
    "decolorize": "decolorize",
    "docker": "docker",
    "drop": "drop",
    "json": "json",
    "labeldrop": "label_drop",
    "labels": "labels",
    "logfmt": "logfmt",
    "match": "match",
    "multiline": "multiline",
    "output": "output",
    "regex": "regex",
    "replace": "replace",
    "static_labels": "static_labels",
    "structured_metadata": "structured_metadata",
    "template": "template",
    "timestamp": "timestamp",
}
_AS_VALUES = frozenset(("labels", "labeldrop", "static_labels", "structured_metadata"))
"""Stages whose settings are a map or a list: `values` in Alloy."""

Lines = Iterable[str]


def alloy_text(packs: Sequence[Pack], given: Mapping[str, str]) -> str:
    """A whole configuration."""
    found = rendered_jobs(packs, given)
    out = [f"// narfi packs render {' '.join(p.name for p in packs)} --format alloy"]
    out += [f"// {remark}" for remark in found.remarks]
    endpoint = _block("endpoint", [f"url = {_value(found.values['url'])}"])
    out += ["", *_block('loki.write "narfi"', endpoint)]
    for job in found.jobs:
        out += ["", *_job(job)]
    return "\n".join(out) + "\n"


def _job(job: Mapping[str, Any]) -> Lines:
    name = "".join(c if c.isalnum() else "_" for c in str(job["job_name"]))
    sources = [key for key in _SOURCES if job.get(key)]
    if len(sources) != 1:
        raise ConfigError(f"job {job['job_name']}: Alloy's form knows {', '.join(_SOURCES)}")
    yield from _SOURCES[sources[0]](name, job)
    yield ""
    stages = [line for stage in job.get("pipeline_stages", ()) for line in _stage(stage)]
    yield from _block(
        f'loki.process "{name}"', ["forward_to = [loki.write.narfi.receiver]", *stages]
    )


def _pods(name: str, job: Mapping[str, Any]) -> Lines:
    yield from _block(f'discovery.kubernetes "{name}"', ['role = "pod"'])
    yield from _files(name, job, f"discovery.kubernetes.{name}.targets")


def _static(name: str, job: Mapping[str, Any]) -> Lines:
    targets = [
        {"__address__": "localhost", **group.get("labels", {})} for group in job["static_configs"]
    ]
    yield from _files(name, job, _value(targets))


def _files(name: str, job: Mapping[str, Any], targets: str) -> Lines:
    rules = [line for rule in job.get("relabel_configs", ()) for line in _rule(rule)]
    yield from _block(f'discovery.relabel "{name}"', [f"targets = {targets}", *rules])
    yield from _block(
        f'local.file_match "{name}"', [f"path_targets = discovery.relabel.{name}.output"]
    )
    yield from _block(
        f'loki.source.file "{name}"',
        [
            f"targets = local.file_match.{name}.targets",
            f"forward_to = [loki.process.{name}.receiver]",
        ],
    )


def _rules_of(name: str, job: Mapping[str, Any]) -> Lines:
    rules = [line for rule in job.get("relabel_configs", ()) for line in _rule(rule)]
    yield from _block(f'loki.relabel "{name}"', ["forward_to = []", *rules])


def _syslog(name: str, job: Mapping[str, Any]) -> Lines:
    given = dict(job["syslog"])
    address = given.pop("listen_address")
    protocol = given.pop("listen_protocol", "tcp")
    inner = [f"address = {_value(address)}", f"protocol = {_value(protocol)}", *_pairs(given)]
    yield from _rules_of(name, job)
    yield from _block(
        f'loki.source.syslog "{name}"',
        [
            *_block("listener", inner),
            f"relabel_rules = loki.relabel.{name}.rules",
            f"forward_to = [loki.process.{name}.receiver]",
        ],
    )


def _journal(name: str, job: Mapping[str, Any]) -> Lines:
    yield from _rules_of(name, job)
    yield from _block(
        f'loki.source.journal "{name}"',
        [
            *_pairs(job["journal"]),
            f"relabel_rules = loki.relabel.{name}.rules",
            f"forward_to = [loki.process.{name}.receiver]",
        ],
    )


_SOURCES: Mapping[str, Callable[[str, Mapping[str, Any]], Lines]] = {
    "kubernetes_sd_configs": _pods,
    "static_configs": _static,
    "syslog": _syslog,
    "journal": _journal,
}


def _rule(rule: Mapping[str, Any]) -> Lines:
    return _block("rule", _pairs(rule))


def _stage(stage: Mapping[str, Any]) -> Lines:
    [(name, body)] = stage.items()
    if name not in _NAMES:
        raise ConfigError(f"stage {name} has no form in Alloy's configuration")
    settings: dict[str, Any] = dict(body) if isinstance(body, Mapping) else {}
    inner: list[str] = []
    if name in _AS_VALUES:
        settings = {"values": body}
    if name == "match":
        inner = [line for one in settings.pop("stages", ()) for line in _stage(one)]
    if name == "drop" and isinstance(settings.get("source"), list):
        settings["source"] = ",".join(settings["source"])
    return _block(f"stage.{_NAMES[name]}", [*_pairs(settings), *inner])


def _pairs(settings: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {_value(value)}" for name, value in settings.items()]


def _value(value: Any) -> str:
    """A value as Alloy writes it; a name without a value takes its own."""
    match value:
        case None:
            return '""'
        case bool():
            return "true" if value else "false"
        case Mapping():
            inner = ", ".join(f"{json.dumps(str(n))} = {_value(v)}" for n, v in value.items())
            return f"{{{inner}}}"
        case list() | tuple():
            return f"[{', '.join(_value(one) for one in value)}]"
        case int():
            return str(value)
    return json.dumps(str(value), ensure_ascii=False)


def _block(head: str, inner: Iterable[str]) -> list[str]:
    lines = list(inner)
    if not lines:
        return [f"{head} {{ }}"]
    return [f"{head} {{", *(f"\t{line}" for line in lines), "}"]
