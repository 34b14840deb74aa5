"""What does a case of a test file give? Every failure as a text; none for a case that holds.

Rules are evaluated by the code that evaluates them in a server, at the multiples of their group's
interval from the epoch until the last time that the case looks at.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from narfi.core.clock import ManualClock
from narfi.core.errors import AppError
from narfi.core.labels import labels_text
from narfi.core.tenant import TenantId
from narfi.core.units import format_prometheus_duration
from ruler.alerts import State
from ruler.asking import Asking, Whose
from ruler.group import Group
from ruler.live_rule import LiveRule, Means, live_rules
from ruler.rule_tests.case_file import (
    MOST_LINES,
    AlertTest,
    Case,
    CaseTest,
    ExpectedAlert,
    ExpectedLog,
    ExpectedSample,
    Labels,
    QueryTest,
    RecordingTest,
)
from ruler.sample_lines import FoundLine, LinesQuery
from ruler.series import NAME
from ruler.template_functions import TemplateWorld

TOLERANCE = 1e-9
"""Of a value, relative: sums of floats in another order are the same sum."""
NO_GAP_NS = 2**62
"""A test's alerts never begin anew for want of an evaluation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """Where the lines of a case lie, and how they are asked for."""

    tenant: TenantId
    asker: Asking


class CaseRun:
    """Evaluates the rules of a case and compares."""

    def __init__(self, case: Case, groups: Sequence[Group], interval_ns: int, lab: Lab) -> None:
        self._case, self._lab = case, lab
        world = TemplateWorld(
            external_url=case.external_url, external_labels=dict(case.external_labels)
        )
        self._clock = ManualClock(0)
        self._means = Means(asker=lab.asker, clock=self._clock, world=world, tolerance_ns=NO_GAP_NS)
        self._groups = [
            (group.interval_ns or interval_ns, live_rules(lab.tenant, group)) for group in groups
        ]
        self._failures: list[str] = []

    def failures(self) -> list[str]:
        """Run the case."""
        tests = self._case.tests
        times = {test.at_ns for test in tests}
        for interval, _ in self._groups:
            times.update(range(0, self._case.end_ns + 1, interval))
        for at_ns in sorted(times):
            self._clock.advance(at_ns - self._clock.now_ns())
            self._evaluate(at_ns)
            for test in tests:
                if test.at_ns == at_ns:
                    self._failures += self._failed(test)
        return self._failures

    def _evaluate(self, at_ns: int) -> None:
        for interval, rules in self._groups:
            if at_ns % interval == 0:
                for rule in rules:
                    rule.evaluate(self._means, at_ns, max(at_ns - interval, 0))

    def _failed(self, test: CaseTest) -> list[str]:
        match test:
            case AlertTest():
                return self._alerts(test)
            case RecordingTest():
                return self._recorded(test)
            case QueryTest():
                return self._asked(test)

    def _named(self, name: str, *, alerts: bool) -> list[LiveRule]:
        rules = (rule for _, group in self._groups for rule in group)
        return [r for r in rules if (r.rule.alert if alerts else r.rule.record) == name]

    def _alerts(self, test: AlertTest) -> list[str]:
        where = f"alert {test.alertname} at {format_prometheus_duration(test.at_ns)}"
        rules = self._named(test.alertname, alerts=True)
        if not rules:
            return [f"{where}: no rule has this name"]
        wrong = _errors(where, rules)
        found = [
            ExpectedAlert(alert.labels, tuple(sorted(alert.annotations.items())))
            for rule in rules
            for alert in rule.view.alerts
            if alert.state is State.FIRING
        ]
        return wrong + _difference(where, test.expected, found)

    def _recorded(self, test: RecordingTest) -> list[str]:
        where = f"series {test.record} at {format_prometheus_duration(test.at_ns)}"
        rules = self._named(test.record, alerts=False)
        if not rules:
            return [f"{where}: no rule has this name"]
        found = [
            ExpectedSample(tuple(p for p in labels if p[0] != NAME), value)
            for rule in rules
            for labels, value in rule.series.items()
        ]
        return _errors(where, rules) + _samples(where, test.expected, found)

    def _asked(self, test: QueryTest) -> list[str]:
        where = f"query {test.expr} at {format_prometheus_duration(test.at_ns)}"
        lab = self._lab
        try:
            with lab.asker.budget(lab.tenant) as budget:
                if test.logs is not None:
                    asked = LinesQuery(test.expr, 0, test.at_ns + 1, MOST_LINES)
                    lines = lab.asker.lines(Whose(lab.tenant), asked, budget)
                    return _logs(where, test.logs, lines[::-1])
                samples = lab.asker.ask(Whose(lab.tenant), test.expr, test.at_ns, budget).samples
        except AppError as error:
            return [f"{where}: {error.message}"]
        found = [ExpectedSample(tuple(sorted(labels)), value) for labels, value in samples]
        return _samples(where, test.samples or (), found)


def _errors(where: str, rules: Iterable[LiveRule]) -> list[str]:
    return [f"{where}: {rule.view.last_error}" for rule in rules if rule.view.last_error]


def _difference(
    where: str, expected: Sequence[ExpectedAlert], found: Sequence[ExpectedAlert]
) -> list[str]:
    left = list(found)
    missing = []
    for one in expected:
        if one in left:
            left.remove(one)
        else:
            missing.append(one)
    return [f"{where}: not there: {_alert_text(one)}" for one in missing] + [
        f"{where}: not expected: {_alert_text(one)}" for one in left
    ]


def _samples(
    where: str, expected: Sequence[ExpectedSample], found: Sequence[ExpectedSample]
) -> list[str]:
    left: dict[Labels, float] = {one.labels: one.value for one in found}
    wrong = []
    for one in expected:
        value = left.pop(one.labels, None)
        name = labels_text(one.labels)
        if value is None:
            wrong.append(f"{where}: not there: {name} {one.value}")
        elif not _same(value, one.value):
            wrong.append(f"{where}: {name} is {value}, not {one.value}")
    return wrong + [
        f"{where}: not expected: {labels_text(labels)} {value}" for labels, value in left.items()
    ]


def _same(found: float, expected: float) -> bool:
    if math.isnan(found) or math.isnan(expected):
        return math.isnan(found) and math.isnan(expected)
    return math.isclose(found, expected, rel_tol=TOLERANCE)


def _logs(where: str, expected: Sequence[ExpectedLog], found: Sequence[FoundLine]) -> list[str]:
    if len(expected) != len(found):
        lines = "".join(f"\n    {one.line}" for one in found)
        return [f"{where}: {len(found)} lines, not {len(expected)}:{lines}"]
    wrong = []
    for number, (want, got) in enumerate(zip(expected, found, strict=True), 1):
        if want.line != got.line:
            wrong.append(f"{where}: line {number} is {got.line!r}, not {want.line!r}")
        if want.labels is not None and want.labels != got.labels:
            wrong.append(
                f"{where}: line {number} has {labels_text(got.labels)}, "
                f"not {labels_text(want.labels)}"
            )
        if want.ts_ns is not None and want.ts_ns != got.ts_ns:
            wrong.append(
                f"{where}: line {number} is of {format_prometheus_duration(got.ts_ns)}, "
                f"not {format_prometheus_duration(want.ts_ns)}"
            )
    return wrong


def _alert_text(alert: ExpectedAlert) -> str:
    annotations: Mapping[str, str] = dict(alert.annotations)
    shown = f" with {annotations}" if annotations else " without annotations"
    return labels_text(alert.labels) + shown
