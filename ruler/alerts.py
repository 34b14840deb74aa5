"""In which state is an alert? Inactive, pending, firing: one step of the machine per evaluation.

    not there  -> pending       the series is in the result; firing at once without `for`
    pending    -> firing        it was there for `for`
    pending    -> not there     it is gone: nobody heard of it
    firing     -> inactive      it is gone, since `keep_firing_for` if there is one
    inactive   -> pending       it is back: a new alert
    inactive   -> not there     after 15 minutes, in which "it is over" is repeated

Pure: times come in, and alerts are values. A restart is nothing special: a gap between two
evaluations counts as if the series had been there all the time, but what was pending before a gap
longer than the tolerance begins anew.
Invariant: an alert that fired leaves only through inactive, so that it can be told to be over.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

Key = tuple[tuple[str, str], ...]
"""An alert's labels, sorted by name: its identity."""

FORGET_NS = 15 * 60 * 10**9
"""For so long after its end an alert is told to be over."""


class State(StrEnum):
    """Of an alert, or of a rule as the highest of its alerts."""

    UNKNOWN = "unknown"
    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"


@dataclass(frozen=True, slots=True)
class Found:
    """What the query gave for an alert at an evaluation."""

    value: float
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert of a rule; times are ns since the epoch, 0 is never."""

    labels: Key
    annotations: Mapping[str, str]
    value: float
    state: State
    active_ns: int  # since when it is pending or was
    fired_ns: int = 0
    resolved_ns: int = 0
    kept_since_ns: int = 0  # gone, and firing on by `keep_firing_for`

    @property
    def is_active(self) -> bool:
        """Pending or firing."""
        return self.state is not State.INACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What of a rule the machine looks at."""

    for_ns: int = 0
    keep_firing_for_ns: int = 0
    tolerance_ns: int  # of a gap, over which `for` goes on


def step(
    alerts: Mapping[Key, Alert],
    found: Mapping[Key, Found],
    terms: Terms,
    now_ns: int,
    last_ns: int,
    *,
    partial: bool = False,
) -> dict[Key, Alert]:
    """The alerts after an evaluation at `now_ns`; `last_ns` is the one before, 0 for none.

    With `partial` the result may miss series: what is not in it stays as it is.
    """
    too_long = last_ns > 0 and now_ns - last_ns > terms.tolerance_ns
    after: dict[Key, Alert] = {}
    for key, alert in alerts.items():
        here = found.get(key)
        if here is not None and alert.is_active:
            after[key] = _seen(alert, here, terms, now_ns, begins_anew=too_long)
        elif here is None:
            left = alert if partial and alert.is_active else _missed(alert, terms, now_ns)
            if left is not None:
                after[key] = left
    for key, here in found.items():
        if key not in after:
            new = Alert(
                labels=key,
                annotations=here.annotations,
                value=here.value,
                state=State.PENDING,
                active_ns=now_ns,
            )
            after[key] = _risen(new, terms, now_ns)
    return after


def _seen(alert: Alert, here: Found, terms: Terms, now_ns: int, *, begins_anew: bool) -> Alert:
    active_ns = min(alert.active_ns, now_ns)  # the clock may have been put back
    if begins_anew and alert.state is State.PENDING:
        active_ns = now_ns
    same = replace(
        alert,
        value=here.value,
        annotations=here.annotations,
        active_ns=active_ns,
        kept_since_ns=0,
    )
    return _risen(same, terms, now_ns)


def _risen(alert: Alert, terms: Terms, now_ns: int) -> Alert:
    """Pending for long enough is firing."""
    if alert.state is State.PENDING and now_ns - alert.active_ns >= terms.for_ns:
        return replace(alert, state=State.FIRING, fired_ns=now_ns)
    return alert


def _missed(alert: Alert, terms: Terms, now_ns: int) -> Alert | None:
    """An alert whose series is gone; None is forgotten."""
    match alert.state:
        case State.FIRING:
            kept_since = min(alert.kept_since_ns or now_ns, now_ns)
            if terms.keep_firing_for_ns and now_ns - kept_since < terms.keep_firing_for_ns:
                return replace(alert, kept_since_ns=kept_since)
            return over(alert, now_ns)
        case State.INACTIVE:
            return None if now_ns - alert.resolved_ns > FORGET_NS else alert
    return None


def over(alert: Alert, now_ns: int) -> Alert:
    """A firing alert that ends now."""
    return replace(alert, state=State.INACTIVE, resolved_ns=now_ns, kept_since_ns=0)


def ended(alerts: Mapping[Key, Alert], now_ns: int) -> dict[Key, Alert]:
    """What is left when nobody asks any more, because the rule is gone."""
    nothing = Terms(tolerance_ns=0)
    found = {key: _missed(alert, nothing, now_ns) for key, alert in alerts.items()}
    return {key: alert for key, alert in found.items() if alert is not None}


def highest(alerts: Mapping[Key, Alert]) -> State:
    """The state of a rule with these alerts."""
    states = {alert.state for alert in alerts.values()}
    for state in (State.FIRING, State.PENDING):
        if state in states:
            return state
    return State.INACTIVE
