"""What came of samples for which nothing is expected yet? Written down, to be read and corrected.

A draft is what the stages do, not what they should do: it is worth nothing until somebody has
looked at every line of it.
"""

import json
import time
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path
from typing import Any

from narfi.packs.compare import GIVEN, Stored, stored_of
from narfi.packs.gather import Sent, entries_of_files, push_body
from narfi.packs.rendered import files_job, promtail_file
from narfi.server.lab import Bench
from promtail_agent.packs.pack import Pack
from querier.result import StreamsResult

_LATEST_NS = 2**62
_FRESH_NS = 600 * 10**9
"""What is younger was given the time of reading."""


def draft_expected(pack: Pack, folder: Path, bench: Bench, scratch: Path) -> list[Path]:
    """Write the expectations that are missing beside the samples of a folder; their files."""
    made: list[Path] = []
    for file in sorted(folder.glob("*.log")):
        expected = file.with_suffix(".expected.jsonl")
        if expected.exists() or file.stem.startswith("syslog-"):
            continue
        job = files_job(pack.name, pack, {file.stem: file})
        sent, _ = entries_of_files(promtail_file(scratch / "draft.yaml", job, pack))
        tenant = f"draft-{pack.name}-{file.stem}"
        if sent:
            bench.push(tenant, push_body(sent))
        result = bench.query(tenant, f'{{app="{pack.name}"}}', 0, _LATEST_NS).result
        assert isinstance(result, StreamsResult)
        records = _records(file.read_bytes(), sent, stored_of(result))
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
        expected.write_text("".join(lines), encoding="utf-8")
        made.append(expected)
    return made


def _records(data: bytes, sent: Iterable[Sent], stored: list[Stored]) -> list[dict[str, Any]]:
    lines = data.removesuffix(b"\n").split(b"\n")
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    ordered = sorted(sent, key=lambda one: one.offset)
    firsts = [bisect_right(starts, one.offset) for one in ordered]
    found: list[dict[str, Any]] = []
    for one, first, behind in zip(ordered, firsts, [*firsts, len(lines) + 1][1:], strict=True):
        last = max(behind - 1, first)
        there = next(s for s in stored if s.line == one.line and s.ts_ns == one.ts_ns)
        record: dict[str, Any] = {"lines": [first, last]}
        if not there.time.endswith("000000000Z") and time.time_ns() - one.ts_ns > _FRESH_NS:
            record["time"] = there.time
        if there.level != "unknown":
            record["level"] = there.level
        labels = {n: v for n, v in there.labels.items() if n not in GIVEN}
        if labels:
            record["labels"] = labels
        if there.fields:
            record["fields"] = there.fields
        text = b"\n".join(lines[first - 1 : last])
        if there.line != text:
            record["line"] = there.line.decode("utf-8", "replace")
        found.append(record)
    return found
