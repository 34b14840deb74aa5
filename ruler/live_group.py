"""What happens when a group is evaluated? Its rules in turn, all at the time of the slot.

What a rule's alerts became is in the catalog before anybody is told of it. So a process that is
killed tells the rest when it is back, and never that something is over which was not seen to end.
Where the catalog cannot be written alerts go on, and it is tried again at the next slot.
Where there are other rulers, what a group became is written at each evaluation, for all to show,
and only by the one that has claimed it: another one ends the evaluation there.
Invariant: one thread at a time evaluates or changes a group (`schedule.py` sees to it).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from narfi.core.errors import AppError
from narfi.core.tenant import TenantId
from ruler import metrics
from ruler.alerts import Alert, Key, State, ended, over
from ruler.claims import ALONE, Claims
from ruler.group import Group
from ruler.live_rule import LiveRule, Means, live_rules, remembered
from ruler.notices import Notice, Telling, always, due
from ruler.series import WrittenSample, samples_of
from ruler.state_text import StateError, read_seen, read_state, write_state
from storage.catalog.rule_claims import ClaimLostError
from storage.catalog.rule_keys import GroupKey
from storage.catalog.rules import RuleStore, StateRow

log = structlog.get_logger(__name__)

HEARTBEAT_NS = 300 * 10**9
"""An unchanged state with alerts in it is written again after so long: it tells when the group was
evaluated last, which decides whether `for` goes on after an outage."""

Tell = Callable[[TenantId, Sequence[Notice]], None]
Write = Callable[[TenantId, Sequence[WrittenSample], int], None]
"""Samples of a tenant, and their time in ns."""


def write_nothing(_tenant: TenantId, _samples: Sequence[WrittenSample], _ts_ns: int) -> None:
    """A `Write` where no receiver is set up."""


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where the results of evaluations go."""

    tell: Tell
    write: Write = write_nothing


class LiveGroup:
    """A group that is evaluated from time to time; without rules, what is left of one."""

    def __init__(
        self,
        key: GroupKey,
        group: Group,
        *,
        interval_ns: int,
        store: RuleStore,
        telling: Telling,
        claims: Claims = ALONE,
    ) -> None:
        self.key, self.group, self.interval_ns = key, group, interval_ns
        self._store, self._telling, self._claims = store, telling, claims
        self.rules = live_rules(key.tenant, group)
        self.departed: dict[Key, Alert] = {}  # of rules that are gone
        self._departed_sent: dict[Key, int] = {}
        self._departed_queries: dict[Key, str] = {}  # not remembered over a restart
        self._departed_series: set[Key] = set()  # written by rules that are gone
        self.last_ns = 0  # slot of the last evaluation, of another process too
        self.last_evaluation_ns = 0
        self.evaluation_s = 0.0
        self.is_stale = False  # there is another version, to be taken when this one is not busy
        self._saved: object = None
        self._saved_ns = 0

    @property
    def metric_labels(self) -> tuple[str, str]:
        """`user` and `rule_group`."""
        return self.key.tenant, f"{self.key.namespace};{self.key.name}"

    def restore(self, row: StateRow) -> None:
        """Go on with what was remembered; what belongs to no rule here has ended by now."""
        try:
            rules, departed = read_state(row.body)
        except StateError as error:
            log.error("alerts are not remembered", group=self.key.name, error=error.message)
            return
        self.last_ns = self._saved_ns = row.slot_ns
        self.departed = {alert.labels: alert for alert in departed}
        for rule in self.rules:
            rule.restore(rules.pop(rule.key, {}))
        for alerts in rules.values():
            self.departed.update(alerts)

    def show(self, row: StateRow) -> None:
        """Look as another process said that the group does."""
        try:
            alerts, _ = read_state(row.body)
            seen = read_seen(row.body)
        except StateError as error:
            log.error("alerts of another ruler cannot be shown", error=error.message)
            return
        for rule in self.rules:
            rule.show(alerts.get(rule.key, {}), seen.get(rule.key))
        views = [rule.view for rule in self.rules]
        self.last_evaluation_ns = max((view.last_evaluation_ns for view in views), default=0)
        self.evaluation_s = sum(view.evaluation_s for view in views)

    def go_on_as(self, other: "LiveGroup") -> None:
        """Take over from another version of the group, rule by rule."""
        known = {rule.key: rule for rule in other.rules}
        for rule in self.rules:
            before = known.pop(rule.key, None)
            if before is not None:
                rule.go_on_as(before)
        self.departed, self._departed_sent = other.departed, other._departed_sent
        self._departed_series = set(other._departed_series)
        self._departed_queries = dict(other._departed_queries)
        for before in known.values():
            self.departed.update(before.alerts)
            self._departed_sent.update(before.sent)
            if before.alerts:  # else its query need not be read
                self._departed_queries.update(dict.fromkeys(before.alerts, before.query))
            self._departed_series.update(before.series)
        self.last_ns = other.last_ns
        self.last_evaluation_ns, self.evaluation_s = other.last_evaluation_ns, other.evaluation_s
        self._saved, self._saved_ns = other._saved, other._saved_ns

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to evaluate or to tell."""
        return not self.rules and not self.departed

    @property
    def has_departed(self) -> bool:
        """Whether something of a rule that is gone has still to be told to be over."""
        series = self._departed_series and not self.rules
        return bool(series) or any(a.is_active for a in self.departed.values())

    def end_departed(self, now_ns: int, outlets: Outlets) -> None:
        """Tell that alerts of rules that are gone are over; their series when no rule is left.

        Where there are rules, the next evaluation shows which of the series go on.
        """
        if not self.rules:
            self._end_series(now_ns, outlets.write)
        back = {key for rule in self.rules for key, one in rule.alerts.items() if one.is_active}
        self.departed = {
            key: over(alert, now_ns) if alert.state is State.FIRING else alert
            for key, alert in self.departed.items()
            if alert.state is not State.PENDING and key not in back
        }
        self.departed = ended(self.departed, now_ns)
        self._departed_sent = {k: v for k, v in self._departed_sent.items() if k in self.departed}
        queries = self._departed_queries
        self._departed_queries = {k: q for k, q in queries.items() if k in self.departed}
        if not self._save(now_ns):
            return
        self._tell(
            outlets.tell,
            self.departed,
            self._departed_sent,
            lambda key: self._departed_queries.get(key, ""),
            now_ns,
        )

    def _end_series(self, now_ns: int, write: Write) -> None:
        """Series that no rule writes any more; one that another rule writes now goes on."""
        written = {key for rule in self.rules for key in rule.series}
        gone = sorted(self._departed_series - written)
        self._departed_series = set()
        if gone:
            write(self.key.tenant, samples_of({}, gone), now_ns - self.group.query_offset_ns)

    def evaluate(
        self, means: Means, slot_ns: int, outlets: Outlets, stopping: Callable[[], bool]
    ) -> None:
        """Evaluate every rule at the slot."""
        labels, began = self.metric_labels, means.clock.now_ns()
        if not self._claims.is_held(self.key):
            return
        for rule in self.rules:
            before = rule.series
            well = rule.evaluate(means, slot_ns, self.last_ns)
            if stopping() or not self._claims.is_held(self.key):
                return  # its query was cancelled: nothing was seen; or another one saw it
            metrics.EVALUATIONS.labels(*labels).inc()
            metrics.EVALUATION_FAILURES.labels(*labels).inc(not well)
            metrics.EVALUATION_SECONDS.labels(labels[0]).observe(rule.view.evaluation_s)
            if well and rule.view.last_error:
                metrics.PARTIAL.labels(labels[0]).inc()
            if rule.rule.alert and well:
                if not self._save(slot_ns):
                    return
                self._tell(outlets.tell, rule.alerts, rule.sent, always(rule.query), slot_ns)
            if well and (rule.series or before):
                samples = samples_of(rule.series, self._ended(rule, before))
                outlets.write(self.key.tenant, samples, slot_ns - self.group.query_offset_ns)
        if self._claims.holder and not self._save(slot_ns, whole=True):
            return
        self.last_ns = slot_ns
        self._end_series(slot_ns, outlets.write)
        if self.departed:
            self.end_departed(slot_ns, outlets)
        self.last_evaluation_ns = began
        self.evaluation_s = (means.clock.now_ns() - began) / 1e9
        self._show()

    def _ended(self, rule: LiveRule, before: Mapping[Key, float]) -> list[Key]:
        """Series that the rule wrote and does not now, and that no other rule writes."""
        gone = [key for key in before if key not in rule.series]
        others = [other.series for other in self.rules if other is not rule]
        return [key for key in gone if not any(key in series for series in others)]

    def _show(self) -> None:
        labels = self.metric_labels
        metrics.GROUP_SECONDS.labels(labels[0]).observe(self.evaluation_s)
        metrics.LAST_SECONDS.labels(*labels).set(self.evaluation_s)
        metrics.LAST_TIMESTAMP.labels(*labels).set(self.last_evaluation_ns / 1e9)
        metrics.LAST_SAMPLES.labels(*labels).set(sum(rule.view.samples for rule in self.rules))

    def _tell(
        self,
        tell: Tell,
        alerts: Mapping[Key, Alert],
        sent: dict[Key, int],
        query_of: Callable[[Key], str],
        now_ns: int,
    ) -> None:
        found = due(alerts, sent, self._telling, query_of, now_ns, interval_ns=self.interval_ns)
        if found:
            tell(self.key.tenant, found)

    def _save(self, slot_ns: int, *, whole: bool = False) -> bool:
        """Write the state where it changed, or is old; False when the group is another ruler's.

        With `whole` always: how the evaluation went is in it.
        """
        now = [*(rule.kept for rule in self.rules), remembered(self.departed)]
        holder = self._claims.holder
        there = any(now) or bool(whole and self.rules)
        is_old = there and (whole or slot_ns - self._saved_ns >= HEARTBEAT_NS)
        if now == self._saved and not is_old:
            return True
        try:
            if there:
                seen = {rule.key: rule.seen() for rule in self.rules} if holder else None
                fresh = whole or is_old
                texts = (rule.state_text(fresh=fresh) for rule in self.rules)
                body = write_state(texts, list(self.departed.values()), seen)
                self._store.save_state(StateRow(self.key, body, slot_ns), holder)
            elif self._saved is not None or self._saved_ns:
                self._store.forget_state(self.key, holder)
        except ClaimLostError:
            log.warning("a rule group is evaluated by another ruler by now", group=self.key.name)
            return False
        except AppError as error:
            metrics.STATE_FAILURES.inc()
            log.error("alerts cannot be remembered", group=self.key.name, error=error.message)
            return self._claims.is_held(self.key)
        self._saved, self._saved_ns = now, slot_ns
        return True
