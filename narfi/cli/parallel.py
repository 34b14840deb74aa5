"""How is a long range downloaded by several workers? In parts, each a paged query (§4)."""

import os
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from narfi.cli.flags import TimeSpan, UsageError

Download = Callable[[TimeSpan, IO[str]], None]
"""Writes the entries of a span to a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """How parts are cut and kept."""

    duration_ns: int
    workers: int
    prefix: str = ""
    overwrite: bool = False
    merge: bool = False
    keep: bool = False
    forward: bool = False


def spans_of(span: TimeSpan, parts: Parts) -> list[TimeSpan]:
    """The jobs in the order in which their entries are wanted."""
    if parts.duration_ns <= 0:
        raise UsageError("Parallel duration has to be a positive value")
    found: list[TimeSpan] = []
    if parts.forward:
        at = span.start_ns
        while at < span.end_ns:
            found.append(TimeSpan(at, min(at + parts.duration_ns, span.end_ns)))
            at += parts.duration_ns
    else:
        at = span.end_ns
        while at > span.start_ns:
            found.append(TimeSpan(max(at - parts.duration_ns, span.start_ns), at))
            at -= parts.duration_ns
    return found


def download(span: TimeSpan, parts: Parts, work: Download) -> None:
    """Run all jobs; with `merge`, copy their parts to stdout in order, with progress on stderr."""
    jobs = spans_of(span, parts)
    with ThreadPoolExecutor(max(1, parts.workers)) as pool:
        running = [pool.submit(_job, job, parts, work) for job in jobs]
        for done, (job, future) in enumerate(zip(jobs, running, strict=True), start=1):
            _finish(future, job, parts)
            _progress(done, len(jobs))


def _finish(future: "Future[None]", job: TimeSpan, parts: Parts) -> None:
    future.result()
    if parts.prefix and parts.merge:
        path = part_path(job, parts)
        with path.open(encoding="utf-8") as file:
            shutil.copyfileobj(file, sys.stdout)
        if not parts.keep:
            path.unlink()


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        filled = 30 * done // total
        bar = "#" * filled + "." * (30 - filled)
        print(f"\r[{bar}] {done}/{total} parts", end="" if done < total else "\n", file=sys.stderr)


def part_path(job: TimeSpan, parts: Parts) -> Path:
    """The file of a part."""
    return Path(f"{parts.prefix}_{_stamp(job.start_ns)}_{_stamp(job.end_ns)}.part")


def _stamp(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns // 10**9, UTC).strftime("%Y%m%dT%H%M%S")


def _job(job: TimeSpan, parts: Parts, work: Download) -> None:
    if not parts.prefix:
        work(job, sys.stdout)
        return
    path = part_path(job, parts)
    if path.exists() and not parts.overwrite:
        print(f"Skip range: {path.name}: already downloaded", file=sys.stderr)
        return
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        work(job, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
