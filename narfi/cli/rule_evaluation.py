"""`narfi rules eval`: what would rules of a file say, now, then, or over a time that has passed?"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from narfi.cli.client import Connection
from narfi.cli.flags import UsageError, parse_time
from narfi.cli.rule_replay import Replay, ServerAsker, Times, groups_of
from narfi.core.errors import AppError
from narfi.core.labels import labels_text
from narfi.core.units import parse_prometheus_duration
from ruler.alerts import Alert, Key, State
from ruler.group import Group
from ruler.live_rule import LiveRule
from ruler.series import NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Times and names, as flags give them."""

    at: str
    start: str
    end: str
    rule: str
    interval: str

    def times(self, group: Group) -> Times:
        """The multiples of the group's interval in the range."""
        step = group.interval_ns or parse_prometheus_duration(self.interval)
        if step <= 0:
            raise UsageError("--interval must be above 0")
        start = parse_time(self.start, "from")
        end = parse_time(self.end, "to") if self.end else time.time_ns()
        first, last = -(-start // step) * step, end // step * step
        if first > last:
            raise UsageError("there is no evaluation between --from and --to")
        return Times(first, last, step)


def run(connection: Connection, files: Sequence[Path], wanted: Wanted) -> int:
    """Print what the rules give; how many could not be evaluated."""
    if wanted.at and (wanted.start or wanted.end):
        raise UsageError("either --at, or --from and --to")
    if wanted.end and not wanted.start:
        raise UsageError("--to needs --from")
    replay = Replay(ServerAsker(connection))
    failed = 0
    for group in groups_of(files, wanted.rule):
        for rule in replay.rules(group):
            try:
                if wanted.start:
                    _over(replay, rule, wanted.times(group))
                else:
                    at_ns = parse_time(wanted.at, "at") if wanted.at else time.time_ns()
                    replay.at(rule, at_ns, 0)
                    _show(rule)
            except UsageError:
                raise
            except AppError as error:
                failed += 1
                print(f"{group.name}: {error.message}")
    return failed


def _show(rule: LiveRule) -> None:
    """What a rule gave."""
    name = f"{rule.group.name}: {rule.rule.name}"
    if rule.view.last_error:
        print(f"{name}: {rule.view.last_error}")
    if rule.rule.record:
        for labels, value in rule.series.items():
            print(f"{name}: {labels_text(p for p in labels if p[0] != NAME)} {value:g}")
        found = len(rule.series)
    else:
        for alert in rule.view.alerts:
            print(f"{name}: {_alert_text(alert)}")
        found = len(rule.view.alerts)
    if not found:
        print(f"{name}: nothing")


def _alert_text(alert: Alert) -> str:
    annotations = "".join(f"\n    {name}: {text}" for name, text in alert.annotations.items())
    return f"{alert.state} {labels_text(alert.labels)} {alert.value:g}{annotations}"


def _over(replay: Replay, rule: LiveRule, times: Times) -> None:
    """Print each change of an alert; of recorded series, how many samples there are."""
    name, samples = f"{rule.group.name}: {rule.rule.name}", 0
    before: dict[Key, State] = {}
    for at_ns in replay.over(rule, times):
        samples += len(rule.series)
        now = {key: alert.state for key, alert in rule.alerts.items()}
        for key, state in now.items():
            if state is not before.get(key, State.INACTIVE):
                print(f"{_moment(at_ns)} {name}: {_alert_text(rule.alerts[key])}")
        for key, state in before.items():
            if key not in now and state is State.PENDING:
                print(f"{_moment(at_ns)} {name}: {State.INACTIVE} {labels_text(key)}")
        before = now
    if rule.rule.record:
        print(f"{name}: {samples} samples")


def _moment(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat().replace("+00:00", "Z")
