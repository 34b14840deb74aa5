"""Which pack has a target? Relabelling rules set the label `pack`, once for each target.

A label `pack` that a job sets itself goes before. The first clause that fits wins, in the order of
the packs. A target whose `service_name` or `app` is a pack's name has that pack.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import PrivateAttr

from narfi.core.relabel import RelabelRule, relabel
from promtail_agent.packs.pack import Pack

PACK = "pack"
"""The label by which a target's pack is known; no entry leaves the agent with it."""


_MAX_KNOWN = 4096
"""Sets of values that are remembered; labels of many values must not fill the memory."""


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


class Choosing(RelabelRule):
    """All rules that choose, as one: what they set is remembered for the values that they look at.

    Sources that come by themselves are relabelled entry by entry: it costs the same for any number
    of packs.
    """

    target_label: str = PACK
    rules: tuple[RelabelRule, ...]
    _looked_at: tuple[str, ...] = PrivateAttr(default=())
    _known: dict[tuple[str, ...], dict[str, str]] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: object, /) -> None:
        """Note which labels are looked at."""
        super().model_post_init(context)
        names = {name for rule in self.rules for name in rule.source_labels}
        self._looked_at = tuple(sorted(names))

    def change(self, labels: dict[str, str]) -> bool:
        """Set `pack`, and what its clause says."""
        key = tuple(labels.get(name, "") for name in self._looked_at)
        found = self._known.get(key)
        if found is None:
            before = {
                name: value for name, value in zip(self._looked_at, key, strict=True) if value
            }
            after = relabel(before, self.rules) or {}
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            found = {name: value for name, value in after.items() if before.get(name) != value}
            self._known[key] = found
        labels.update(found)
        return True


def choosing(packs: Iterable[Pack]) -> Choosing:
    """The rule of a job with these packs."""
    rules = tuple(RelabelRule.model_validate(rule) for rule in choosing_rules(packs))
    return Choosing(rules=rules)


def _rule(sources: Sequence[str], regex: str, target: str, replacement: str) -> Mapping[str, Any]:
    return {
        "source_labels": list(sources),
        "regex": regex,
        "target_label": target,
        "replacement": replacement,
    }
