"""`narfi packs render`: everything of packs as a configuration of some program, nothing hidden."""

import sys
from collections.abc import Callable, Mapping, Sequence

from narfi.bundled.rules import rules_text
from narfi.cli.flags import UsageError
from narfi.packs.dashboard import dashboard_text
from promtail_agent.packs.alloy import alloy_text
from promtail_agent.packs.kustomize import kustomize_text
from promtail_agent.packs.load import Shelf
from promtail_agent.packs.otelcol import otelcol_text
from promtail_agent.packs.pack import Pack
from promtail_agent.packs.scrape import variables_of
from promtail_agent.packs.whole import DEFAULTS, agent_text, rendered_jobs

Render = Callable[[Sequence[Pack], Mapping[str, str]], str]


def _one_by_one(text: Callable[[Pack], str]) -> Render:
    return lambda packs, _given: "".join(text(pack) for pack in packs)


FORMATS: Mapping[str, Render] = {
    "agent": agent_text,
    "promtail": agent_text,
    "alloy": alloy_text,
    "otelcol": otelcol_text,
    "kustomize": kustomize_text,
    "grafana": _one_by_one(dashboard_text),
    "rules": _one_by_one(rules_text),
}


_OF_FORMATS = {"otelcol": ("files",)}
"""Variables of a format, beside those of packs and of all."""
_WITH_JOBS = ("agent", "promtail", "alloy", "kustomize")


def run(names: Sequence[str], given: Sequence[str], form: str) -> None:
    """Print it."""
    if form not in FORMATS:
        raise UsageError(f'there is no format "{form}": one of {", ".join(FORMATS)}')
    if form == "grafana" and len(names) > 1:
        raise UsageError("a dashboard is of one pack: name one")
    values: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f'--set takes NAME=VALUE, not "{text}"')
        values[name] = value
    shelf = Shelf.of_environment()
    packs = [shelf.find(name) for name in names]
    known = set(DEFAULTS).union(_OF_FORMATS.get(form, ()), *map(variables_of, packs))
    if strange := sorted(set(values) - known):
        listed = ", ".join(sorted(known))
        raise UsageError(f"--set {strange[0]}: no such variable of {', '.join(names)}: {listed}")
    sys.stdout.write(FORMATS[form](packs, values))
    if form in _WITH_JOBS:
        for remark in rendered_jobs(packs, values).remarks:
            print(f"narfi: {remark}", file=sys.stderr)  # the output is a file, most often
