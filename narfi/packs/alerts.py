"""Do a pack's alerts fire for the samples that they should, and for no others?

Every sample is asked alone, at the times of its entries. Whether a condition holds is asked, not
for how long: a sample lasts seconds.
"""

import time
from collections.abc import Iterator, Sequence

from narfi.bundled.rules import rule_groups
from narfi.core.clock import NS_PER_S
from narfi.core.errors import AppError
from narfi.packs.gather import Sent, push_body
from narfi.packs.samples import SampleSet
from narfi.server.lab import Bench
from promtail_agent.packs.pack import Pack
from ruler.asking import Whose
from ruler.group import Rule

RUNBOOK = "runbook"
_MINUTE_NS = 60 * NS_PER_S


def alert_faults(
    pack: Pack, samples: SampleSet, sent: Sequence[Sent], bench: Bench, tenant: str
) -> Iterator[str]:
    """Point 5."""
    rules = [rule for group in rule_groups(pack) for rule in group.rules]
    alerts = [rule for rule in rules if rule.alert]
    fired: dict[str, set[str]] = {rule.alert: set() for rule in alerts}
    by_component: dict[str, list[Sent]] = {}
    for one in sent:
        by_component.setdefault(one.values["component"], []).append(one)
    for component, entries in by_component.items():
        own = f"{tenant}-alone-{component}"
        bench.push(own, push_body(entries))
        for rule in rules:
            try:
                if _holds(rule, entries, bench, own) and rule.alert:
                    fired[rule.alert].add(component)
            except AppError as error:
                yield f"rule {rule.alert or rule.record}: {error.message}"
    for rule in alerts:
        if not dict(rule.annotations).get(RUNBOOK):
            yield f"alert {rule.alert} has no annotation {RUNBOOK}"
    if samples.fires is None:
        return
    for name in sorted(samples.fires.keys() - fired.keys()):
        yield f"fires.yaml: there is no alert {name}"
    for name, found in fired.items():
        wanted = set(samples.fires.get(name, ()))
        if not wanted:
            yield f"alert {name}: fires.yaml names no sample that makes it fire"
        if found != wanted:
            yield f"alert {name} fires for {_listed(found)}, not for {_listed(wanted)}"


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _holds(rule: Rule, entries: Sequence[Sent], bench: Bench, tenant: str) -> bool:
    """Whether the rule's query finds anything at a time shortly after an entry."""
    times = {(one.ts_ns // _MINUTE_NS + 1) * _MINUTE_NS for one in entries} or {time.time_ns()}
    lab = bench.lab_of(tenant)
    for at_ns in sorted(times):
        with lab.asker.budget(lab.tenant) as budget:
            if lab.asker.ask(Whose(lab.tenant), rule.expr, at_ns, budget).samples:
                return True
    return False
