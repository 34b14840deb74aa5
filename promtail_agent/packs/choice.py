"""Which pack has a target? Relabelling rules set the label `pack`, once for each target.

A label `pack` that a job sets itself goes before. The first clause that fits wins, in the order of
the packs. A target whose `service_name` or `app` is a pack's name has that pack.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from promtail_agent.packs.pack import Pack

PACK = "pack"
"""The label by which a target's pack is known; no entry leaves the agent with it."""


def choosing_rules(packs: Iterable[Pack]) -> list[Mapping[str, Any]]:
    """Relabelling rules that set `pack`, and what its clause says of component and service."""
    found: list[Mapping[str, Any]] = []
    packs = list(packs)
    for pack in packs:
        for clause in pack.match:
            conditions = clause.conditions()
            names = [PACK, *(name for name, _ in conditions)]
            regex = ";".join(["", *(f"(?:{expression})" for _, expression in conditions)])
            given = {
                "component": clause.component,
                "service_name": clause.service_name,
                PACK: pack.name,
            }
            found += [_rule(names, regex, n, value) for n, value in given.items() if value]
    any_name = "|".join(pack.name for pack in packs)
    by_name = f";({any_name});.*|;[^;]*;({any_name})"
    return [*found, _rule([PACK, "service_name", "app"], by_name, PACK, "$1$2")]


def _rule(sources: Sequence[str], regex: str, target: str, replacement: str) -> Mapping[str, Any]:
    return {
        "source_labels": list(sources),
        "regex": regex,
        "target_label": target,
        "replacement": replacement,
    }
