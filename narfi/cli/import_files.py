"""`narfi import jsonl|logcli|text|elastic|docker|cri`: entries of files."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from narfi.cli.flags import parse_time
from narfi.cli.import_flags import EXIT_MISSING, ImportFlags
from narfi.cli.import_run import bring, look_at_target, resumable, tell, verify_target
from narfi.core.errors import AppError
from narfi.core.text.template.zones import find_zone
from narfi.core.units import parse_prometheus_duration
from narfi.history.errors import HistoryError, NotBegunError
from narfi.history.files.file_source import Family, FileSource, first_time
from narfi.history.files.folders import cri_families, docker_families, plain_files
from narfi.history.files.forms.elastic import ElasticLines
from narfi.history.files.forms.jsonl import JsonLines, LogcliLines
from narfi.history.files.forms.text import TextLines
from narfi.history.files.moments import Moment
from narfi.history.files.records import Form, Names
from narfi.history.preflight import Wanted
from narfi.history.state import State

WINDOW_NS = 3600 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesAsked:
    """What is to be imported; `form` is the command's name."""

    form: str
    paths: tuple[Path, ...]
    labels: tuple[str, ...] = ()
    label_from: tuple[str, ...] = ()
    metadata_from: tuple[str, ...] = ()
    time_field: str = ""
    line_field: str = ""
    time_format: str = ""
    location: str = ""
    join: bool = False
    at: str = ""
    since: str = ""
    until: str = ""


def run(asked: FilesAsked, flags: ImportFlags) -> int:
    """Import, or go on with it; the exit status."""
    if asked.location and find_zone(asked.location) is None:
        raise HistoryError(
            f"--location {asked.location!r} is no time zone: write for instance Europe/Rome"
        )
    families = _families(asked)
    about = {
        "form": asked.form,
        "target": flags.target.address(),
        "tenant": flags.to_tenant,
        "how": json.dumps(
            [
                *(asked.labels, asked.label_from, asked.metadata_from, asked.time_field),
                *(asked.line_field, asked.time_format, asked.location, asked.join, asked.at),
                *(asked.since, asked.until),
            ]
        ),
    }
    now_ns = time.time_ns()
    start_ns, end_ns = _time(asked.since, "since", 0), _time(asked.until, "until", 2**63 - 1)
    if start_ns >= end_ns:
        raise HistoryError("--since is not before --until")
    files = sum(len(family.files) for family in families)
    wanted = Wanted(
        start_ns=start_ns or min(_oldest_ns(families), now_ns),
        end_ns=now_ns,
        now_ns=now_ns,
        rate_bytes=flags.rate_bytes,
        body_bytes=flags.body_bytes,
    )
    print(f"{files} files of {len(families)} logs", file=sys.stderr)
    if flags.check:
        return 0 if look_at_target(flags, flags.to_tenant, wanted, told=lambda _: None) else 1
    with resumable(State(flags.state, about)) as state:
        if not state.cursors():
            good = look_at_target(flags, flags.to_tenant, wanted, told=lambda _: None)
            if not good and not flags.force:
                raise NotBegunError("not begun; --force begins nevertheless")
        source = FileSource(families, flags.to_tenant, start_ns=start_ns, end_ns=end_ns)
        done = bring(source, state, flags, WINDOW_NS)
        if source.left_out:
            print(f"{source.left_out:,} entries are outside of the time", file=sys.stderr)
        status = 0 if tell(done, state) else EXIT_MISSING
        if flags.verify:
            status = verify_target(flags, state, flags.to_tenant, WINDOW_NS) or status
        return status


def _time(text: str, flag: str, default: int) -> int:
    """RFC 3339, or how long ago."""
    if not text:
        return default
    try:
        return time.time_ns() - parse_prometheus_duration(text)
    except AppError:
        return parse_time(text, flag)


def _oldest_ns(families: Sequence[Family]) -> int:
    """About: the first times that files tell of themselves, else when they were written last."""
    return min((first_time(family) for family in families), default=time.time_ns())


def _families(asked: FilesAsked) -> list[Family]:
    labels = dict(_pair(one, "label") for one in asked.labels)
    if asked.form in ("cri", "docker"):
        families_of = cri_families if asked.form == "cri" else docker_families
        found = [one for path in asked.paths for one in families_of(path, labels)]
        if not found:
            raise HistoryError(f"no logs of containers in {', '.join(map(str, asked.paths))}")
        return found
    own = labels or {"job": "import"}
    names = Names(
        labels=tuple(_pair(one, "label-from") for one in asked.label_from),
        metadata=tuple(_pair(one, "metadata-from") for one in asked.metadata_from),
        time=asked.time_field,
        line=asked.line_field,
    )
    group = f"{asked.form} {json.dumps(own, sort_keys=True)}"
    return [
        Family(group=group, files=[path], form=_form(asked, path, own, names))
        for path in plain_files(list(asked.paths))
    ]


def _form(
    asked: FilesAsked, path: Path, labels: dict[str, str], names: Names
) -> Callable[[], Form]:
    match asked.form:
        case "jsonl":
            return partial(JsonLines, names, labels)
        case "logcli":
            given = labels if asked.labels else {}
            return partial(LogcliLines, given)
        case "elastic":
            return partial(ElasticLines, names, labels)
    return partial(
        TextLines,
        labels,
        layout=asked.time_format,
        location=asked.location,
        now=datetime.fromtimestamp(path.stat().st_mtime, UTC),
        join=asked.join,
        name=str(path),
        moment=_given(asked.at, path),
    )


def _given(at: str, path: Path) -> Moment | None:
    """The time of lines that have none, which their place makes exact."""
    if not at:
        return None
    if at == "mtime":
        return Moment(int(path.stat().st_mtime) * 10**9, 0)
    return Moment(parse_time(at, "at"), 0)


def _pair(text: str, flag: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if flag != "label" and not equals:
        value = text
        name = "".join(c if c.isascii() and c.isalnum() else "_" for c in text).strip("_")
    if not name or not value:
        raise HistoryError(f"--{flag} {text!r} is not NAME=VALUE")
    return name, value
