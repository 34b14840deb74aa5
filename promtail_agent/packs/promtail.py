"""What do packs look like without this agent? Promtail's own words: `match` stages, rules, jobs.

A line has one format of a pass: the stage that takes it sets `pack` to another value, so that the
stages behind, whose selectors name the pack, do not see it. The label goes at the end.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from promtail_agent.packs.choice import PACK, choosing_rules
from promtail_agent.packs.manifest import StreamFormat
from promtail_agent.packs.pack import Pack

Stages = list[dict[str, Any]]


def job_of(job: Mapping[str, Any], packs: Sequence[Pack]) -> dict[str, Any]:
    """A job of one's own with what its packs add, in words that Promtail knows."""
    rules = [*job.get("relabel_configs", ()), *choosing_rules(packs)]
    stages = [*job.get("pipeline_stages", ()), *stages_of(packs)]
    rest = {n: v for n, v in job.items() if n not in ("packs", "relabel_configs")}
    return {**rest, "relabel_configs": rules, "pipeline_stages": stages}


def stages_of(packs: Iterable[Pack]) -> Stages:
    """The stages of all packs, a `match` each; they end the label `pack`."""
    found = [
        {"match": {"selector": f'{{{PACK}="{pack.name}"}}', "stages": stages}}
        for pack in packs
        if (stages := _of_pack(pack))
    ]
    return [*found, {"labeldrop": [PACK]}]


def _of_pack(pack: Pack) -> Stages:
    found: Stages = []
    before = pack.name
    for number, streams in enumerate(pack.passes(), 1):
        after = f"{pack.name}/{number}"
        for stream, stages in streams:
            selector = _selector(stream, before)
            inner = [{"static_labels": {PACK: after}}, *(dict(stage) for stage in stages)]
            found.append({"match": {"selector": selector, "stages": inner}})
        before = f"{pack.name}(/{number})?"
    return found


def _selector(stream: StreamFormat, pack: str) -> str:
    op = "=~" if "(" in pack else "="
    matchers = [f"{PACK}{op}{_quoted(pack)}"]
    if "*" not in stream.component:
        matchers.append(f"component=~{_quoted('|'.join(_regex(w) for w in stream.component))}")
    filters = f" |~ {_quoted(stream.detect)}" if stream.detect else ""
    return "{" + ",".join(matchers) + "}" + filters


def _regex(word: str) -> str:
    return word.replace(".", r"\.").replace("*", ".*")


def _quoted(text: str) -> str:
    """As Promtail's selectors have it, which know no backquotes."""
    return json.dumps(text, ensure_ascii=False)
