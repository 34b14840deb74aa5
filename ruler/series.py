"""Which series does a rule give to be written, and which of them have ended?

A recording rule gives what its query found, an alerting rule `ALERTS` and `ALERTS_FOR_STATE` of
each pending and firing alert. A series that was given before and is not now has ended: receivers
are told, so that nobody sees its last value for five minutes more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from narfi.core.clock import NS_PER_S
from ruler.alerts import Alert, Key, State

NAME = "__name__"
ALERTS = "ALERTS"
FOR_STATE = "ALERTS_FOR_STATE"
STATE = "alertstate"


@dataclass(frozen=True, slots=True)
class WrittenSample:
    """One value of a series at the time of its evaluation; None: the series has ended."""

    labels: Key  # with `__name__`, sorted
    value: float | None


def series_of_alerts(alerts: Iterable[Alert]) -> dict[Key, float]:
    """What is written of alerts; those that are over are not written any more."""
    found: dict[Key, float] = {}
    for alert in alerts:
        if alert.state not in (State.PENDING, State.FIRING):
            continue
        labels = dict(alert.labels)
        state = {**labels, NAME: ALERTS, STATE: alert.state.value}
        found[tuple(sorted(state.items()))] = 1.0
        since = {**labels, NAME: FOR_STATE}
        found[tuple(sorted(since.items()))] = float(alert.active_ns // NS_PER_S)
    return found


def samples_of(series: Mapping[Key, float], before: Iterable[Key]) -> list[WrittenSample]:
    """The values of now, then the end of each series of `before` that is not among them."""
    found = [WrittenSample(labels, value) for labels, value in series.items()]
    return found + [WrittenSample(labels, None) for labels in before if labels not in series]
