"""What does a test file of rules say? Lines, times, and what rules and queries should give then.

The words are promtool's, with streams in place of series: a case begins at the epoch, and a line
that names no time of its own comes an `interval` after the one before. Read strictly: an unknown
key is an error, with its line. Times are ns.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import yaml

from logql.parser import parse_selector
from narfi.core.errors import AppError
from narfi.core.matchers import MatchOp
from ruler.yaml_nodes import (
    YamlError,
    duration_of,
    first_document,
    int_of,
    is_null,
    list_of,
    map_of,
    place_of,
    text_of,
    texts_of,
)

MINUTE_NS = 60 * 10**9
MOST_LINES = 1_000_000
"""Of one case: a test file is written by hand, and `times` is easily mistyped."""
FILE_KEYS = ("rule_files", "evaluation_interval", "group_eval_order", "tests")
CASE_KEYS = (
    "name",
    "interval",
    "input_streams",
    "alert_rule_test",
    "recording_rule_test",
    "logql_expr_test",
    "external_labels",
    "external_url",
)

Labels = tuple[tuple[str, str], ...]
"""Sorted by name."""


@dataclass(frozen=True, slots=True)
class InputLine:
    """A line that is pushed."""

    ts_ns: int
    line: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InputStream:
    """Lines of one stream."""

    labels: Labels
    lines: tuple[InputLine, ...]


@dataclass(frozen=True, slots=True)
class ExpectedAlert:
    """A firing alert; its labels hold `alertname`."""

    labels: Labels
    annotations: Labels


@dataclass(frozen=True, slots=True)
class ExpectedSample:
    """A series and its value."""

    labels: Labels
    value: float


@dataclass(frozen=True, slots=True)
class ExpectedLog:
    """A line; where the file does not say, any labels and any time will do."""

    line: str
    labels: Labels | None
    ts_ns: int | None


@dataclass(frozen=True, slots=True)
class AlertTest:
    """The alerts of a name that fire at a time."""

    at_ns: int
    alertname: str
    expected: tuple[ExpectedAlert, ...]


@dataclass(frozen=True, slots=True)
class RecordingTest:
    """The series that a recording rule gives at a time, without `__name__`."""

    at_ns: int
    record: str
    expected: tuple[ExpectedSample, ...]


@dataclass(frozen=True, slots=True)
class QueryTest:
    """What a query gives at a time: samples, or lines from the beginning until then."""

    at_ns: int
    expr: str
    samples: tuple[ExpectedSample, ...] | None
    logs: tuple[ExpectedLog, ...] | None


CaseTest = AlertTest | RecordingTest | QueryTest
"""One thing that a case looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Lines, and what should come of them."""

    name: str
    streams: tuple[InputStream, ...]
    alerts: tuple[AlertTest, ...] = ()
    recordings: tuple[RecordingTest, ...] = ()
    queries: tuple[QueryTest, ...] = ()
    external_labels: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""

    @property
    def tests(self) -> list[CaseTest]:
        """All that is looked at."""
        found: list[CaseTest] = [*self.alerts, *self.recordings]
        return found + list(self.queries)

    @property
    def end_ns(self) -> int:
        """The last time that is looked at."""
        return max([0, *(test.at_ns for test in self.tests)])


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """A whole file."""

    rule_files: tuple[str, ...]  # patterns, relative to the file
    interval_ns: int
    group_order: tuple[str, ...]
    cases: tuple[Case, ...]


def read_case_file(text: bytes) -> CaseFile:
    """Raises `YamlError`, which names the line."""
    node = first_document(text)
    if node is None:
        raise YamlError("there is nothing in it")
    found = _keys(node, FILE_KEYS)
    files = tuple(text_of(one) for one in list_of(found["rule_files"]))
    cases = [_case(one, number) for number, one in enumerate(list_of(found["tests"]), 1)]
    return CaseFile(
        rule_files=files,
        interval_ns=duration_of(found["evaluation_interval"]) or MINUTE_NS,
        group_order=tuple(text_of(one) for one in list_of(found["group_eval_order"])),
        cases=tuple(cases),
    )


def _keys(node: yaml.Node, known: Iterable[str]) -> dict[str, yaml.Node]:
    """Values by key, null for those that are not there; others are refused."""
    found = map_of(node)
    nothing = yaml.ScalarNode("tag:yaml.org,2002:null", "", node.start_mark)
    for name in found:
        if name not in known:
            raise YamlError(f"{place_of(node)}: unknown key {name!r}")
    return {name: found.get(name, nothing) for name in known}


def _case(node: yaml.Node, number: int) -> Case:
    found = _keys(node, CASE_KEYS)
    interval = duration_of(found["interval"]) or MINUTE_NS
    streams = tuple(_stream(one, interval) for one in list_of(found["input_streams"]))
    if sum(len(stream.lines) for stream in streams) > MOST_LINES:
        raise YamlError(f"{place_of(node)}: more than {MOST_LINES} lines")
    return Case(
        name=text_of(found["name"]) or f"case {number}",
        streams=streams,
        alerts=tuple(_alert_test(one) for one in list_of(found["alert_rule_test"])),
        recordings=tuple(_recording_test(one) for one in list_of(found["recording_rule_test"])),
        queries=tuple(_query_test(one) for one in list_of(found["logql_expr_test"])),
        external_labels=texts_of(found["external_labels"]),
        external_url=text_of(found["external_url"]),
    )


def _stream(node: yaml.Node, interval_ns: int) -> InputStream:
    found = _keys(node, ("labels", "lines"))
    labels = _labels(found["labels"])
    if not labels:
        raise YamlError(f"{place_of(node)}: a stream needs labels")
    lines: list[InputLine] = []
    at_ns = 0
    for item in list_of(found["lines"]):
        if isinstance(item, yaml.MappingNode):
            added = _lines(item, at_ns, interval_ns)
        else:
            added = [] if is_null(item) else [InputLine(at_ns, text_of(item))]
        lines += added
        at_ns = (added[-1].ts_ns if added else at_ns) + interval_ns
    return InputStream(labels, tuple(lines))


def _lines(node: yaml.Node, at_ns: int, interval_ns: int) -> list[InputLine]:
    """A line that says more of itself: when it comes first, how often, and how fast."""
    found = _keys(node, ("line", "at", "times", "every", "metadata"))
    first = at_ns if is_null(found["at"]) else duration_of(found["at"])
    times = 1 if is_null(found["times"]) else int_of(found["times"])
    every = interval_ns if is_null(found["every"]) else duration_of(found["every"])
    if not 0 <= times <= MOST_LINES:
        raise YamlError(f"{place_of(node)}: `times` must be between 0 and {MOST_LINES}")
    line, metadata = text_of(found["line"]), texts_of(found["metadata"])
    return [InputLine(first + k * every, line, metadata) for k in range(times)]


def _labels(node: yaml.Node) -> Labels:
    """A map, or a selector such as `{app="a"}`."""
    if not isinstance(node, yaml.ScalarNode):
        return tuple(sorted(texts_of(node).items()))
    text = text_of(node)
    if not text:
        return ()
    try:
        matchers = parse_selector(text, allow_empty_matchers=True).matchers
    except AppError as error:
        raise YamlError(f"{place_of(node)}: {error.message}") from error
    if any(matcher.op is not MatchOp.EQ for matcher in matchers):
        raise YamlError(f"{place_of(node)}: labels are given by `=` alone")
    return tuple(sorted((matcher.name, matcher.value) for matcher in matchers))


def _alert_test(node: yaml.Node) -> AlertTest:
    found = _keys(node, ("eval_time", "alertname", "exp_alerts"))
    name = text_of(found["alertname"])
    if not name:
        raise YamlError(f"{place_of(node)}: `alertname` is missing")
    return AlertTest(
        duration_of(found["eval_time"]),
        name,
        tuple(_alert(one, name) for one in list_of(found["exp_alerts"])),
    )


def _alert(node: yaml.Node, name: str) -> ExpectedAlert:
    found = _keys(node, ("exp_labels", "exp_annotations"))
    labels = dict(_labels(found["exp_labels"])) | {"alertname": name}
    annotations = texts_of(found["exp_annotations"])
    return ExpectedAlert(tuple(sorted(labels.items())), tuple(sorted(annotations.items())))


def _recording_test(node: yaml.Node) -> RecordingTest:
    found = _keys(node, ("eval_time", "record", "exp_samples"))
    name = text_of(found["record"])
    if not name:
        raise YamlError(f"{place_of(node)}: `record` is missing")
    return RecordingTest(duration_of(found["eval_time"]), name, _samples(found["exp_samples"]))


def _query_test(node: yaml.Node) -> QueryTest:
    found = _keys(node, ("expr", "eval_time", "exp_samples", "exp_logs"))
    samples, logs = found["exp_samples"], found["exp_logs"]
    if not is_null(samples) and not is_null(logs):
        raise YamlError(f"{place_of(node)}: either `exp_samples` or `exp_logs`")
    return QueryTest(
        duration_of(found["eval_time"]),
        text_of(found["expr"]),
        None if is_null(samples) else _samples(samples),
        None if is_null(logs) else tuple(_log(one) for one in list_of(logs)),
    )


def _samples(node: yaml.Node) -> tuple[ExpectedSample, ...]:
    found = []
    for one in list_of(node):
        keys = _keys(one, ("labels", "value"))
        found.append(ExpectedSample(_labels(keys["labels"]), _number(keys["value"])))
    return tuple(found)


def _number(node: yaml.Node) -> float:
    try:
        return float(text_of(node).lstrip("."))
    except ValueError:
        raise YamlError(f"{place_of(node)}: must be a number") from None


def _log(node: yaml.Node) -> ExpectedLog:
    if isinstance(node, yaml.ScalarNode):
        return ExpectedLog(text_of(node), None, None)
    found = _keys(node, ("line", "labels", "timestamp"))
    labels, at = found["labels"], found["timestamp"]
    return ExpectedLog(
        text_of(found["line"]),
        None if is_null(labels) else _labels(labels),
        None if is_null(at) else duration_of(at),
    )
