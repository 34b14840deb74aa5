"""How do rules of a file find what is in a server? Evaluated here, with queries that it answers.

What a rule gives at many times is asked for in one range query, and looked up at each of them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from narfi.cli.client import Connection, ServerError
from narfi.cli.rule_files import usable_groups
from narfi.core.clock import NS_PER_S, SystemClock
from narfi.core.errors import InvalidRequestError
from narfi.core.tenant import DEFAULT_TENANT, TenantId
from querier.budget import Budget
from querier.result import LabelPairs
from ruler.asking import EvaluationError, Result, Whose
from ruler.group import Group
from ruler.live_rule import LiveRule, Means, live_rules
from ruler.sample_lines import FoundLine, LinesQuery
from ruler.template_functions import TemplateWorld

POINTS = 1000
"""Of one range query."""
NO_GAP_NS = 2**62
"""Between two evaluations, over which `for` goes on."""

Samples = list[tuple[LabelPairs, float]]


@dataclass(frozen=True, slots=True)
class Times:
    """`first_ns`, then every `step_ns` until `last_ns`, which is one of them."""

    first_ns: int
    last_ns: int
    step_ns: int

    def parts(self) -> Iterator["Times"]:
        """The same times, as many in each as one query gives."""
        for first in range(self.first_ns, self.last_ns + 1, POINTS * self.step_ns):
            last = min(first + (POINTS - 1) * self.step_ns, self.last_ns)
            yield Times(first, last, self.step_ns)

    def each(self) -> range:
        """One after another."""
        return range(self.first_ns, self.last_ns + 1, self.step_ns)


@dataclass(slots=True)
class ServerAsker:
    """Asks a server for the queries of rules."""

    connection: Connection
    _fetched: dict[str, tuple[Times, dict[int, Samples]]] = field(default_factory=dict)

    @contextmanager
    def budget(self, _tenant: TenantId) -> Iterator[Budget]:
        """The server has its own."""
        found = Budget()
        try:
            yield found
        finally:
            found.close()

    def fetch(self, text: str, times: Times) -> None:
        """Ask for a query at all these times; `ask` then knows them."""
        step = times.step_ns / NS_PER_S
        parameters = [
            ("query", text),
            ("start", str(times.first_ns)),
            ("end", str(times.last_ns)),
            ("step", f"{step:.3f}"),
        ]
        try:
            data = self.connection.get("/loki/api/v1/query_range", parameters)["data"]
        except ServerError as error:
            raise EvaluationError(error.message) from error
        if data["resultType"] != "matrix":
            raise EvaluationError("rule result is not a vector or scalar")
        found: dict[int, Samples] = {}
        for series in data["result"]:
            labels = tuple(sorted(series["metric"].items()))
            for seconds, value in series["values"]:
                at_ns = round(seconds * 1000) * 10**6
                found.setdefault(at_ns, []).append((labels, float(value)))
        if strange := found.keys() - set(times.each()):
            raise EvaluationError(f"the server answered for other times, such as {min(strange)}")
        self._fetched[text] = times, found

    def ask(self, _whose: Whose, text: str, at_ns: int, _budget: Budget) -> Result:
        """What was fetched; else an instant query."""
        if text in self._fetched:
            times, found = self._fetched[text]
            if at_ns in times.each():
                return Result(found.get(at_ns, []))
        try:
            body = self.connection.get(
                "/loki/api/v1/query", [("query", text), ("time", str(at_ns))]
            )
        except ServerError as error:
            raise EvaluationError(error.message) from error
        return Result(_samples(body["data"]), tuple(body.get("warnings", ())))

    def lines(self, _whose: Whose, query: LinesQuery, _budget: Budget) -> Sequence[FoundLine]:
        """A range query."""
        parameters = [
            ("query", query.text),
            ("start", str(query.start_ns)),
            ("end", str(query.end_ns)),
            ("limit", str(query.limit)),
        ]
        try:
            return _lines(self.connection.get("/loki/api/v1/query_range", parameters)["data"])
        except ServerError as error:
            raise EvaluationError(error.message) from error


def _lines(data: Any) -> list[FoundLine]:
    if data["resultType"] != "streams":
        return []
    found = [
        FoundLine(int(ts), line, tuple(sorted(stream["stream"].items())))
        for stream in data["result"]
        for ts, line, *_ in stream["values"]
    ]
    return sorted(found, key=lambda line: -line.ts_ns)


def _samples(data: Any) -> Samples:
    match data["resultType"]:
        case "vector":
            return [
                (tuple(sorted(one["metric"].items())), float(one["value"][1]))
                for one in data["result"]
            ]
        case "scalar":
            return [((), float(data["result"][1]))]
    raise EvaluationError("rule result is not a vector or scalar")


def groups_of(files: Sequence[Path], only: str = "") -> list[Group]:
    """The groups of the files, with the rules of a name or all; every one must be usable."""
    found: list[Group] = []
    for path in files:
        for group in usable_groups(path)[1]:
            rules = tuple(rule for rule in group.rules if only in ("", rule.name))
            if rules:
                found.append(replace(group, rules=rules))
    if not found:
        raise InvalidRequestError(f"no rule is named {only}" if only else "there are no rules")
    return found


@dataclass(frozen=True, slots=True)
class Replay:
    """Evaluates rules as a ruler would have."""

    asker: ServerAsker

    def rules(self, group: Group) -> list[LiveRule]:
        """A group's rules, of which nothing is known yet."""
        return live_rules(DEFAULT_TENANT, group)

    def at(self, rule: LiveRule, slot_ns: int, last_ns: int) -> None:
        """Evaluate once; raises `EvaluationError`."""
        means = Means(
            asker=self.asker, clock=SystemClock(), world=TemplateWorld(), tolerance_ns=NO_GAP_NS
        )
        if not rule.evaluate(means, slot_ns, last_ns):
            raise EvaluationError(f"{rule.rule.name}: {rule.view.last_error}")

    def over(self, rule: LiveRule, times: Times) -> Iterator[int]:
        """Evaluate at each time, which is yielded when it was; times are those of the queries."""
        offset = rule.group.query_offset_ns
        last = 0
        for part in times.parts():
            self.asker.fetch(rule.query, part)
            for at_ns in part.each():
                self.at(rule, at_ns + offset, last)
                last = at_ns + offset
                yield at_ns
