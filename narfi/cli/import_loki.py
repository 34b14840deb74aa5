"""`narfi import loki`: from a running server, all tenants and streams that were asked for."""

import json
import sys
import time
from dataclasses import dataclass

from narfi.cli.flags import parse_time
from narfi.cli.import_flags import EXIT_MISSING, ImportFlags
from narfi.cli.import_run import (
    MOST_SHOWN,
    bring,
    look_at_target,
    resumable,
    tell,
    tell_differences,
)
from narfi.cli.progress import Progress
from narfi.core.errors import AppError
from narfi.core.units import NS, parse_prometheus_duration
from narfi.history.connecting import asker_of, client_of
from narfi.history.errors import HistoryError, NotBegunError
from narfi.history.loki.asking import Asker
from narfi.history.loki.listing import series
from narfi.history.loki.paging import LokiSource, Part
from narfi.history.loki.selectors import all_streams
from narfi.history.place import Place
from narfi.history.preflight import Limits, Wanted, ask_limits, of_source
from narfi.history.state import State
from narfi.history.verify import Difference, Expected, Side, Verified, differences, windows

_MOST_WINDOWS = 400
_WINDOWS_NS = tuple(hours * 3600 * 10**9 for hours in (1, 6, 24, 24 * 7, 24 * 91))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be imported."""

    source: Place
    tenants: tuple[str, ...]
    match: str
    since: str
    until: str
    queries_per_s: float
    batch: int


def run(asked: Asked, flags: ImportFlags) -> int:
    """Import, or go on with it; the exit status."""
    tenants = asked.tenants or ("",)
    if flags.to_tenant and len(tenants) > 1:
        raise HistoryError("--to-tenant would mix the tenants of the source: give it with one")
    if asked.source.address() == flags.target.address() and flags.to_tenant in ("", *tenants):
        raise HistoryError("--from and --to are the same server: give another --to-tenant")
    about = {
        "source": asked.source.address(),
        "target": flags.target.address(),
        "tenants": json.dumps([tenants, flags.to_tenant]),
        "match": asked.match,
        "since": asked.since,
        "until": asked.until,
    }
    progress = Progress()
    with client_of(asked.source) as client:
        asker = asker_of(
            asked.source, client, flags.give_up_s, progress, queries_per_s=asked.queries_per_s
        )
        if flags.check:
            return _check(asked, flags, asker, tenants)
        with resumable(State(flags.state, about)) as state:
            return _run(asked, flags, asker, (tenants, state))


def _check(asked: Asked, flags: ImportFlags, asker: Asker, tenants: tuple[str, ...]) -> int:
    span = span_of(asked.since, asked.until, time.time_ns())
    good = True
    for tenant in tenants:
        good &= _look(asked, flags, asker.of_tenant(tenant), span)
    return 0 if good else 1


def _look(asked: Asked, flags: ImportFlags, asker: Asker, span: tuple[int, int]) -> bool:
    """Look at one tenant of both sides, and say what was seen."""
    start_ns, end_ns = span
    tenant = asker.tenant
    selectors = _selectors(asked, asker, span)
    streams = sum(len(series(asker, one, start_ns, end_ns)) for one in selectors)
    whose = f"source, tenant {tenant!r}" if tenant else "source"
    print(f"{whose}: {streams} streams in that time", file=sys.stderr)
    if not streams:
        print(f"{whose}: is it the right tenant and time?", file=sys.stderr)
    wanted = Wanted(
        start_ns=start_ns,
        end_ns=end_ns,
        now_ns=time.time_ns(),
        rate_bytes=flags.rate_bytes,
        body_bytes=flags.body_bytes,
        streams=streams,
    )
    limits = ask_limits(asker)
    hidden = of_source(limits, wanted) if isinstance(limits, Limits) else []
    for one in hidden:
        print(f"{whose}: {one.text}", file=sys.stderr)
    if hidden:
        return False
    to_tenant = flags.to_tenant or tenant
    return look_at_target(flags, to_tenant, wanted, told=lambda _: None) and bool(streams)


def _selectors(asked: Asked, asker: Asker, span: tuple[int, int]) -> list[str]:
    return [asked.match] if asked.match else all_streams(asker, *span)


def span_of(since: str, until: str, now_ns: int) -> tuple[int, int]:
    """`[start, end)` in whole ms of ns; raises `HistoryError` and `UsageError`."""
    end_ns = _time(until, "until", now_ns) if until else now_ns
    start_ns = _time(since, "since", now_ns)
    start_ns, end_ns = start_ns - start_ns % NS["ms"], end_ns - end_ns % NS["ms"]
    if start_ns >= end_ns:
        raise HistoryError("--since is not before --until")
    return start_ns, end_ns


def _time(text: str, flag: str, now_ns: int) -> int:
    """RFC 3339, or how long ago."""
    try:
        return now_ns - parse_prometheus_duration(text)
    except AppError:
        return parse_time(text, flag)


def _run(
    asked: Asked, flags: ImportFlags, asker: Asker, work: tuple[tuple[str, ...], State]
) -> int:
    tenants, state = work

    def plan() -> str:
        start_ns, end_ns = span = span_of(asked.since, asked.until, time.time_ns())
        looked = [_look(asked, flags, asker.of_tenant(tenant), span) for tenant in tenants]
        if not all(looked) and not flags.force:
            raise NotBegunError("not begun; --force begins nevertheless")
        parts = [[t, one] for t in tenants for one in _selectors(asked, asker.of_tenant(t), span)]
        return json.dumps([start_ns, end_ns, _window_ns(end_ns - start_ns), parts])

    start_ns, end_ns, window_ns, planned = json.loads(state.keep("plan", plan))
    parts = [
        Part(tenant=tenant, to_tenant=flags.to_tenant or tenant, selector=selector)
        for tenant, selector in planned
    ]
    source = LokiSource(
        asker=asker, parts=parts, start_ns=start_ns, end_ns=end_ns, batch=asked.batch
    )
    done = bring(source, state, flags, window_ns)
    if source.merges_metadata:
        print(
            "note: the source does not keep metadata apart from labels (categorize-labels): what "
            "it had of it is labels now",
            file=sys.stderr,
        )
    status = 0 if tell(done, state) else EXIT_MISSING
    if flags.verify:
        status = _verify(flags, asker, parts, (state, start_ns, end_ns, window_ns)) or status
    return status


def _window_ns(length_ns: int) -> int:
    """The shortest window of which there are not too many."""
    least_ns = length_ns // _MOST_WINDOWS
    return next((w for w in _WINDOWS_NS if w >= least_ns), _WINDOWS_NS[-1])


def _verify(
    flags: ImportFlags, asker: Asker, parts: list[Part], facts: tuple[State, int, int, int]
) -> int:
    state, start_ns, end_ns, window_ns = facts
    progress, verified = Progress(), Verified()
    shown: list[Difference] = []
    with client_of(flags.target) as client:
        target = asker_of(flags.target, client, flags.give_up_s, progress)
        for to_tenant in sorted({part.to_tenant for part in parts}):
            mine = [part for part in parts if part.to_tenant == to_tenant]
            selectors = [part.selector for part in mine]
            expected = Expected(state, to_tenant, window_ns)
            sides = (
                (
                    Side(name="source", asker=asker.of_tenant(mine[0].tenant), selectors=selectors),
                    True,
                ),
                (
                    Side(name="target", asker=target.of_tenant(to_tenant), selectors=selectors),
                    False,
                ),
            )
            for number, first_ns, after_ns in windows(start_ns, end_ns, window_ns):
                progress(f"comparing window {number - start_ns // window_ns + 1}")
                found: list[Difference] = []
                for side, refused_too in sides:
                    cells = expected.of(number, refused_too=refused_too)
                    told = differences(side, cells, to_tenant, (first_ns, after_ns))
                    found += told if refused_too else verified.own(told, expected.streams)
                shown += found[: MOST_SHOWN - len(shown)]
                verified.add(expected.of(number, refused_too=False).values(), len(found))
    progress.close()
    return tell_differences(shown, verified)
