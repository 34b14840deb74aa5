"""What became of a rule? Its evaluation at a slot, and what the API shows of it.

One thread evaluates a rule at a time; `view` is replaced whole, so that others may read it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import structlog

from narfi.core.clock import Clock
from narfi.core.errors import AppError
from narfi.core.tenant import TenantId
from narfi.core.text.template.values import Structs
from querier.budget import Budget
from ruler.alerts import Alert, Found, Key, State, Terms, highest, step
from ruler.asking import Asking, EvaluationError, Result, Whose, canonical
from ruler.group import Group, Rule
from ruler.sample_lines import FoundLine, LinesQuery, SampleLines
from ruler.series import series_of_alerts
from ruler.state_text import RuleKey, Seen, alerts_text
from ruler.template_functions import Pairs, TemplateWorld, line_of
from ruler.templates import Expander, expander

log = structlog.get_logger(__name__)


SAMPLE_LINES = "sample_lines"
"""The annotation that a rule's key of this name makes."""
MAX_TEXT = 4 * 2**20
"""Characters of the labels and annotations of one rule's alerts: they are kept in memory and in the
catalog, and until they are told."""
ALL_LINES = "{{ range $n, $line := lines }}{{ if $n }}\n{{ end }}{{ $line.Line }}{{ end }}"


class DuplicateSeriesError(EvaluationError):
    """Two series of a result have the same labels at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleView:
    """A rule as it is shown."""

    state: State = State.UNKNOWN
    health: str = "unknown"  # ok, err
    last_error: str = ""
    last_evaluation_ns: int = 0
    evaluation_s: float = 0.0
    alerts: tuple[Alert, ...] = ()  # pending and firing
    samples: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What rules are evaluated with."""

    asker: Asking
    clock: Clock
    world: TemplateWorld
    tolerance_ns: int


class LiveRule:
    """A rule that is evaluated from time to time."""

    def __init__(self, tenant: TenantId, group: Group, rule: Rule, number: int) -> None:
        self.tenant, self.rule, self.group = tenant, rule, group
        self.whose = Whose(tenant, tuple(TenantId(source) for source in group.source_tenants))
        kind = "record" if rule.record else "alert"
        self.key: RuleKey = (f"{kind} {rule.name}", tuple(sorted(rule.labels.items())), number)
        self.labels = group.labels_of(rule)
        self.annotations = {**rule.annotations}
        if rule.sample_lines:
            self.annotations.setdefault(SAMPLE_LINES, ALL_LINES)
        self.alerts: dict[Key, Alert] = {}
        self.kept: Mapping[Key, Alert] = {}
        """Alerts without what changes at every evaluation: the same object while they are equal."""
        self._text: tuple[object, str] = (None, "")  # of which `kept`, and its text
        self.sent: dict[Key, int] = {}
        self.series: Mapping[Key, float] = {}  # what is written, of its last good evaluation
        self.view = RuleView()

    @cached_property
    def query(self) -> str:
        """The text that is evaluated and shown; made when it is wanted, since parsing costs."""
        return canonical(self.rule.expr)

    def go_on_as(self, other: "LiveRule") -> None:
        """Take over what another version of the rule knows."""
        self._take(other.alerts)
        self.sent, self.series, self.view = other.sent, other.series, other.view

    def restore(self, alerts: Mapping[Key, Alert]) -> None:
        """Alerts that were remembered over a restart."""
        self._take(dict(alerts))
        active = tuple(alert for alert in alerts.values() if alert.is_active)
        self.view = RuleView(state=highest(alerts), alerts=active)

    def _take(self, alerts: dict[Key, Alert]) -> None:
        self.alerts, kept = alerts, remembered(alerts)
        if kept != self.kept:
            self.kept = kept

    def state_text(self, *, fresh: bool) -> str:
        """Its alerts for the catalog; with the values of now if it is `fresh`, else of any time."""
        if fresh or self._text[0] is not self.kept:
            self._text = self.kept, alerts_text(self.key, self.alerts)
        return self._text[1]

    def show(self, alerts: Mapping[Key, Alert], seen: Seen | None) -> None:
        """Look as another process said that the rule does."""
        self.restore(alerts)
        if seen is not None:
            self.view = replace(
                self.view,
                health=seen.health,
                last_error=seen.last_error,
                last_evaluation_ns=seen.last_evaluation_ns,
                evaluation_s=seen.evaluation_s,
                samples=seen.samples,
            )

    def seen(self) -> Seen:
        """What `show` is told elsewhere."""
        view = self.view
        return Seen(
            health=view.health,
            last_error=view.last_error,
            last_evaluation_ns=view.last_evaluation_ns,
            evaluation_s=view.evaluation_s,
            samples=view.samples,
        )

    def evaluate(self, means: Means, slot_ns: int, last_ns: int) -> bool:
        """Evaluate at a slot; whether it went well. What fails holds the alerts as they are."""
        began = means.clock.now_ns()
        error, count = "", self.view.samples
        warnings: tuple[str, ...] = ()
        try:
            with means.asker.budget(self.tenant) as budget:
                at_ns = slot_ns - self.group.query_offset_ns
                result = means.asker.ask(self.whose, self.query, at_ns, budget)
                warnings, count = result.warnings, len(result.samples)
                if self.rule.alert:
                    self._alert(means, result, slot_ns, last_ns, budget)
                    self.series = series_of_alerts(self.alerts.values())
                else:
                    self._record(result)
        except AppError as failure:
            error = failure.message
        except Exception as failure:
            error = f"rule evaluation failed: {failure!r}"
            log.error("a rule cannot be evaluated", rule=self.rule.name, exc_info=failure)
        told = error or "".join(f"evaluated over incomplete data: {text}" for text in warnings[:1])
        self.view = RuleView(
            state=highest(self.alerts),
            health="err" if error else "ok",
            last_error=told,
            last_evaluation_ns=began,
            evaluation_s=(means.clock.now_ns() - began) / 1e9,
            alerts=tuple(alert for alert in self.alerts.values() if alert.is_active),
            samples=count,
        )
        return not error

    def _alert(
        self, means: Means, result: Result, slot_ns: int, last_ns: int, budget: Budget
    ) -> None:
        expand = self._expander(means, slot_ns, budget)
        found: dict[Key, Found] = {}
        size = 0
        for pairs, value in result.samples:
            labels = [(name, text) for name, text in pairs if name != "__name__" and text]
            key = self._labels_of(expand, labels, value)
            if key in found:
                raise DuplicateSeriesError(
                    "vector contains metrics with the same labelset after applying alert labels"
                )
            annotations = {
                name: expand.expand(text, labels, value) for name, text in self.annotations.items()
            }
            size += sum(map(len, annotations.values())) + sum(len(text) for _, text in key)
            if size > MAX_TEXT:
                raise EvaluationError(
                    f"labels and annotations of this rule's alerts have more than {MAX_TEXT} "
                    "characters"
                )
            found[key] = Found(value, annotations)
        terms = Terms(
            for_ns=self.rule.for_ns,
            keep_firing_for_ns=self.rule.keep_firing_for_ns,
            tolerance_ns=means.tolerance_ns,
        )
        after = step(self.alerts, found, terms, slot_ns, last_ns, partial=bool(result.warnings))
        active = sum(alert.is_active for alert in after.values())
        self._check_limit(active, "alerts")
        self._take(after)

    def _check_limit(self, count: int, what: str) -> None:
        limit = self.group.limit
        if 0 < limit < count:
            raise EvaluationError(f"exceeded limit of {limit} with {count} {what}")

    def _expander(self, means: Means, slot_ns: int, budget: Budget) -> Expander:
        def query(text: str) -> Sequence[tuple[Pairs, float]]:
            return means.asker.ask(self.whose, text, slot_ns, budget).samples

        def ask(asked: LinesQuery) -> Sequence[FoundLine]:
            return means.asker.lines(self.whose, asked, budget)

        at_ns = slot_ns - self.group.query_offset_ns
        found = SampleLines(self.rule.expr, at_ns, self.rule.sample_lines, ask)

        def lines(labels: Pairs) -> Structs:
            return Structs(line_of(one.ts_ns, one.line, one.labels) for one in found.of(labels))

        return expander(self.rule.alert, means.world, query, lines, budget.check, at_ns=slot_ns)

    def _labels_of(self, expand: Expander, series: Pairs, value: float) -> Key:
        labels = dict(series)
        for name, text in self.labels.items():
            made = expand.expand(text, series, value)
            if made:
                labels[name] = made
            else:
                labels.pop(name, None)
        labels["alertname"] = self.rule.alert
        return tuple(sorted(labels.items()))

    def _record(self, result: Result) -> None:
        found: dict[Key, float] = {}
        for pairs, value in result.samples:
            labels = {name: text for name, text in pairs if text} | self.labels
            named = {name: text for name, text in labels.items() if text}
            key = tuple(sorted((named | {"__name__": self.rule.record}).items()))
            if key in found:
                raise DuplicateSeriesError(
                    "vector contains metrics with the same labelset after applying rule labels"
                )
            found[key] = value
        self._check_limit(len(found), "series")
        self.series = found


def live_rules(tenant: TenantId, group: Group) -> list[LiveRule]:
    """The rules of a group; those that have name and labels in common are numbered."""
    found: list[LiveRule] = []
    counts: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
    for rule in group.rules:
        same = (rule.name, tuple(sorted(rule.labels.items())))
        number = counts.get(same, 0)
        counts[same] = number + 1
        found.append(LiveRule(tenant, group, rule, number))
    return found


def remembered(alerts: Mapping[Key, Alert]) -> dict[Key, Alert]:
    """Alerts without what changes at every evaluation: equal ones need not be written again."""
    return {key: replace(one, value=0.0, annotations={}) for key, one in alerts.items()}
