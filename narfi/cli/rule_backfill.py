"""`narfi rules backfill`: what would recording rules have written before they were there?

To a receiver of remote write, in order of time over all rules, or as a file of OpenMetrics for
`promtool tsdb create-blocks-from openmetrics`, metric by metric. Samples are of the multiples of
each group's interval. Written twice, they are the same samples again.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from narfi.cli.client import Connection, ServerError
from narfi.cli.flags import UsageError
from narfi.cli.rule_evaluation import Wanted
from narfi.cli.rule_replay import Replay, ServerAsker, Times, groups_of
from ruler.group import Group
from ruler.live_rule import LiveRule
from ruler.remote_write.request import HEADERS, body_of, series_field
from ruler.series import NAME, WrittenSample, samples_of

SEND = 2000
"""Samples of a request."""
TRIES = 5
PAUSE_S = 0.5
"""Before the second try; doubled before each later one."""
SERVER_FAULT, TOO_MANY = 500, 429


@dataclass(frozen=True, slots=True)
class Outlet:
    """Where samples go: one of both."""

    url: str
    headers: tuple[str, ...]
    file: Path | None


def run(connection: Connection, files: Sequence[Path], wanted: Wanted, outlet: Outlet) -> None:
    """Evaluate, and write; tells how many samples there were."""
    if bool(outlet.url) == (outlet.file is not None):
        raise UsageError("either --remote-write, or --output-file")
    groups = _recording(groups_of(files, wanted.rule))
    replay = Replay(ServerAsker(connection))
    if outlet.file is None:
        count = _send_all(replay, groups, wanted, Receiver(outlet.url, outlet.headers))
    else:
        try:
            with outlet.file.open("w", encoding="utf-8") as out:
                count = _write_all(replay, groups, wanted, out)
        except OSError as error:
            raise UsageError(f"{outlet.file}: cannot be written: {error.strerror}") from error
    print(f"{count} samples", file=sys.stderr)


def _recording(groups: Sequence[Group]) -> list[Group]:
    found = [group for group in groups if any(rule.record for rule in group.rules)]
    if not found:
        raise UsageError("there are no recording rules")
    return found


def _rules_of(replay: Replay, group: Group) -> list[LiveRule]:
    return [rule for rule in replay.rules(group) if rule.rule.record]


# -- a receiver ------------------------------------------------------------------------------------


def _send_all(replay: Replay, groups: Sequence[Group], wanted: Wanted, receiver: "Receiver") -> int:
    """A day at most at once, so that what is held stays small and times of all rules rise."""
    runs = [(rule, wanted.times(group)) for group in groups for rule in _rules_of(replay, group)]
    count = 0
    parts = [(rule, list(times.parts())) for rule, times in runs]
    edges = sorted({part.last_ns for _, own in parts for part in own})
    walks = [(_walk(replay, rule, times), rule) for rule, times in runs]
    waiting: dict[int, tuple[int, list[WrittenSample]]] = {}
    for edge in edges:
        found: list[tuple[int, WrittenSample]] = []
        for number, (walk, _) in enumerate(walks):
            ready = waiting.pop(number, None) or next(walk, None)
            while ready is not None and ready[0] <= edge:
                found += [(ready[0], sample) for sample in ready[1]]
                ready = next(walk, None)
            if ready is not None:
                waiting[number] = ready
        found.sort(key=lambda one: one[0])
        for first in range(0, len(found), SEND):
            receiver.send(found[first : first + SEND])
        count += len(found)
    return count


def _walk(
    replay: Replay, rule: LiveRule, times: Times
) -> Iterator[tuple[int, list[WrittenSample]]]:
    """Samples of a rule by time; a series that is not there any more ends."""
    before = rule.series
    for at_ns in replay.over(rule, times):
        yield at_ns, samples_of(rule.series, before)
        before = rule.series


class Receiver:
    """Takes samples by remote write; tried again while it is away."""

    def __init__(self, url: str, headers: Sequence[str]) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"--remote-write: {url!r} is no URL")
        host = parts.netloc.rpartition("@")[2]
        self._url = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
        user = unquote(parts.username or "")
        self._auth = (user, unquote(parts.password or "")) if user else None
        self._headers = dict(HEADERS)
        for text in headers:
            name, colon, value = text.partition(":")
            if not colon:
                raise UsageError(f"--remote-write-header: {text!r} is not 'Name: value'")
            self._headers[name.strip()] = value.strip()

    def send(self, samples: Sequence[tuple[int, WrittenSample]]) -> None:
        """One request; raises `ServerError` when it is not taken."""
        import httpx

        body = body_of(series_field(sample, at_ns // 10**6) for at_ns, sample in samples)
        problem = ""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(PAUSE_S * 2 ** (attempt - 1))
            try:
                answer: Any = httpx.post(
                    self._url, content=body, headers=self._headers, auth=self._auth, timeout=30
                )
            except httpx.HTTPError as error:
                problem = f"cannot reach {self._url}: {error}"
                continue
            if answer.is_success:
                return
            problem = f"{self._url} answered {answer.status_code}: {answer.text.strip()[:500]}"
            if answer.status_code < SERVER_FAULT and answer.status_code != TOO_MANY:
                break
        raise ServerError(problem)


# -- a file ----------------------------------------------------------------------------------------


def _write_all(replay: Replay, groups: Sequence[Group], wanted: Wanted, out: IO[str]) -> int:
    """Metric by metric, as the format wants."""
    by_name: dict[str, list[tuple[LiveRule, Times]]] = {}
    for group in groups:
        for rule in _rules_of(replay, group):
            by_name.setdefault(rule.rule.record, []).append((rule, wanted.times(group)))
    count = 0
    for name, runs in by_name.items():
        out.write(f"# TYPE {name} gauge\n")
        for rule, times in runs:
            for at_ns in replay.over(rule, times):
                for labels, value in rule.series.items():
                    out.write(_line(name, labels, value, at_ns))
                count += len(rule.series)
    out.write("# EOF\n")
    return count


def _line(name: str, labels: Sequence[tuple[str, str]], value: float, at_ns: int) -> str:
    pairs = ",".join(f"{key}={_quoted(text)}" for key, text in labels if key != NAME)
    return f"{name}{{{pairs}}} {_number(value)} {at_ns / 1e9:.3f}\n"


def _number(value: float) -> str:
    return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}.get(repr(value), repr(value))


def _quoted(text: str) -> str:
    """The format knows three escapes."""
    return '"' + text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"') + '"'
