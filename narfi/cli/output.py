"""How are answers shown? default, raw and jsonl, as logcli; data on stdout, the rest on stderr."""

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from narfi.core.labels import labels_text

Labels = Mapping[str, str]


class Mode(StrEnum):
    """Forms of output."""

    DEFAULT = "default"
    RAW = "raw"
    JSONL = "jsonl"


def shown_time(ts_ns: int, *, utc: bool) -> str:
    """RFC 3339 with whole seconds, local unless told otherwise."""
    moment = datetime.fromtimestamp(ts_ns // 10**9, UTC)
    text = (moment if utc else moment.astimezone()).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")


def text_of(labels: Labels) -> str:
    """`{a="b"}`."""
    return labels_text(sorted(labels.items()))


def common_labels(streams: Iterable[Labels]) -> dict[str, str]:
    """Labels that every stream has alike."""
    common: dict[str, str] | None = None
    for labels in streams:
        if common is None:
            common = dict(labels)
        else:
            common = {n: v for n, v in common.items() if labels.get(n) == v}
    return common or {}


class EntryPrinter:
    """Prints log entries."""

    def __init__(self, mode: Mode, *, utc: bool, no_labels: bool, quiet: bool) -> None:
        self._mode, self._utc, self._no_labels, self._quiet = mode, utc, no_labels, quiet
        self._common: dict[str, str] = {}

    def announce(self, streams: Iterable[Labels]) -> None:
        """Tell the common labels, which are then left out of each line."""
        self._common = common_labels(streams)
        if self._common and not self._quiet and self._mode is Mode.DEFAULT:
            print(f"Common labels: {text_of(self._common)}", file=sys.stderr)

    def entry(self, ts_ns: int, labels: Labels, line: str) -> None:
        """Print one entry."""
        if self._mode is Mode.RAW:
            print(line)
        elif self._mode is Mode.JSONL:
            stamp = datetime.fromtimestamp(ts_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            fraction = f"{ts_ns % 10**9:09d}".rstrip("0")
            time = f"{stamp}{'.' + fraction if fraction else ''}Z"
            content: dict[str, Any] = {"labels": dict(labels), "line": line, "timestamp": time}
            print(json.dumps(content, ensure_ascii=False))
        else:
            rest = {n: v for n, v in labels.items() if self._common.get(n) != v}
            shown = "" if self._no_labels else f"{text_of(rest)} "
            print(f"{shown_time(ts_ns, utc=self._utc)} {shown}{line}")


def print_json(value: Any) -> None:
    """Metric answers, readable."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_lines(values: Iterable[str]) -> None:
    """One value a line."""
    for value in values:
        print(value)
