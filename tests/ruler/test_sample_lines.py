"""Does an alert bring along the newest lines that made it, its own and no others?"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from narfi.server.lab import Bench, bench
from ruler.group import Group, Rule
from ruler.live_rule import SAMPLE_LINES
from ruler.rule_tests.case_file import AlertTest, Case, ExpectedAlert, InputLine, InputStream
from ruler.rule_tests.cases import CaseRun
from ruler.sample_lines import (
    ALERTS,
    DEFAULT,
    LINE_BYTES,
    MOST,
    FoundLine,
    LinesQuery,
    SampleLines,
    log_range_of,
)
from ruler.validate import rule_error

S = 10**9
STREAMS = tuple(
    InputStream(
        (("app", app),),
        tuple(InputLine(k * S, f"level={level} n={k} of={app}") for k in range(60)),
    )
    for app, level in (("web", "error"), ("pay", "error"), ("db", "info"))
)
RULE = Rule(
    alert="Errors",
    expr='sum by (app, lvl) (count_over_time({app=~".+"} | logfmt lvl="level" | lvl="error" [20s] '
    "offset 10s)) > 2",
    annotations={
        "all": "{{ range lines }}[{{ .Line }} {{ .Labels.lvl }} {{ .Timestamp.Unix }}]{{ end }}",
        "first": "{{ firstLine }}",
    },
    sample_lines=2,
)


@pytest.fixture(scope="module")
def there() -> Iterator[Bench]:
    with bench() as found:
        yield found


def annotations_of(app: str) -> tuple[tuple[str, str], ...]:
    """At 1 m: of the 20 s before the last ten."""
    newest = [f"level=error n={k} of={app}" for k in (50, 49)]
    found = {
        "all": "".join(f"[{line} error {k}]" for line, k in zip(newest, (50, 49), strict=True)),
        "first": newest[0],
        SAMPLE_LINES: "\n".join(newest),
    }
    return tuple(sorted(found.items()))


def test_the_newest_lines_of_each_alert(there: Bench) -> None:
    expected = tuple(
        ExpectedAlert(
            (("alertname", "Errors"), ("app", app), ("lvl", "error")), annotations_of(app)
        )
        for app in ("web", "pay")
    )
    case = Case(name="", streams=STREAMS, alerts=(AlertTest(60 * S, "Errors", expected),))
    group = Group(name="g", rules=(RULE,))
    lab = there.lab("newest", STREAMS)
    assert CaseRun(case, [group], 60 * S, lab).failures() == []


def test_a_query_for_lines_that_fails_says_so_and_the_alert_goes_on(there: Bench) -> None:
    rule = Rule(
        alert="Odd",
        expr='label_replace(sum(count_over_time({app="web"}[1h])), "a", "b", "", "") > 0',
        annotations={"all": "{{ range lines }}{{ .Line }}{{ end }}none"},
    )
    labels = (("a", "b"), ("alertname", "Odd"))
    expected = (ExpectedAlert(labels, (("all", "none"),)),)
    case = Case(name="", streams=STREAMS, alerts=(AlertTest(60 * S, "Odd", expected),))
    lab = there.lab("odd", STREAMS)
    group = Group(name="g", rules=(rule,))
    assert CaseRun(case, [group], 60 * S, lab).failures() == []


@pytest.mark.parametrize(
    ("expr", "inner"),
    [
        ('sum(rate({a="1"} |= "x" [5m])) / sum(rate({a="1"}[5m])) > 0.1', '{a="1"} |= "x"'),
        ("vector(1) > 0", None),
        ('absent_over_time({a="1"}[5m])', None),
        ('vector(0) or sum(rate({a="2"}[5m]))', '{a="2"}'),
        ('{a="1"}', None),
        ("no query", None),
    ],
)
def test_which_lines_are_meant(expr: str, inner: str | None) -> None:
    asked: list[LinesQuery] = []

    def ask(query: LinesQuery) -> list[FoundLine]:
        asked.append(query)
        return []

    SampleLines(expr, 10**12, 0, ask).of(())
    assert [query.text for query in asked] == ([] if inner is None else [inner])
    assert (log_range_of(expr) is None) == (inner is None)
    for query in asked:
        assert (query.start_ns, query.end_ns) == (10**12 + 1 - 300 * S, 10**12 + 1)
        assert query.limit == DEFAULT


def test_long_lines_are_cut_and_only_some_alerts_get_any() -> None:
    asked: list[str] = []

    def ask(query: LinesQuery) -> list[FoundLine]:
        asked.append(query.text)
        return [FoundLine(1, "x" * 2 * LINE_BYTES, ())]

    lines = SampleLines('count_over_time({a="1"}[5m]) > 0', 0, MOST + 5, ask)
    assert lines.of([("b", '"')])[0].line == "x" * LINE_BYTES + "..."
    assert lines.of([("b", '"')]) == lines.of([("b", '"')])
    assert asked == ['{a="1"} | b="\\""']
    for k in range(2 * ALERTS):
        lines.of([("b", str(k))])
    assert len(asked) == ALERTS
    assert lines.of([("b", str(2 * ALERTS - 1))]) == ()


def test_what_a_rule_may_ask_for() -> None:
    assert rule_error(RULE, "g") is None
    assert "at most 10" in str(rule_error(replace(RULE, sample_lines=11), "g"))
    assert "at most 10" in str(rule_error(replace(RULE, sample_lines=-1), "g"))
    record = Rule(record="a:b", expr="vector(1)", sample_lines=1)
    assert rule_error(record, "g") == "invalid field 'sample_lines' in recording rule"
