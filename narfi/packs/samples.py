"""What should come of a system's lines? A folder of samples: lines, entries, questions, alerts.

`<component>.log` holds lines, `<component>.expected.jsonl` an object an entry; `queries.jsonl` asks
of all of them, with `$range` for a range that covers them; `fires.yaml` names for each alert the
samples that make it fire. A sample called `syslog-…` holds messages, one a line.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from narfi.core.errors import AppError, ErrorKind

SYSLOG = "syslog-"
"""Samples of this name are sent to the syslog source: what is expected is what that makes."""
ENTRY_KEYS = frozenset(("lines", "time", "level", "labels", "fields", "line"))


class SampleError(AppError):
    """Samples that cannot be used; the text names file and line."""

    kind = ErrorKind.INVALID


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One entry; what is None is not looked at."""

    first: int
    last: int
    line: bytes
    time: str | None = None
    level: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """Lines of one component and the entries that should come of them."""

    component: str
    file: Path
    entries: Sequence[Expected]

    @property
    def is_syslog(self) -> bool:
        """Whether its lines are messages for the syslog source."""
        return self.component.startswith(SYSLOG)

    @property
    def lines(self) -> list[bytes]:
        """Without their ends."""
        return self.file.read_bytes().removesuffix(b"\n").split(b"\n")


@dataclass(frozen=True, slots=True)
class Question:
    """A query over all samples, and its answer: values by labels."""

    ask: str
    query: str
    answer: Sequence[tuple[Mapping[str, str], float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSet:
    """The samples of one system."""

    system: str
    samples: Sequence[Sample]
    questions: Sequence[Question]
    fires: Mapping[str, Sequence[str]] | None
    """Samples by alert; None where the folder does not say."""


def read_samples(folder: Path, system: str) -> SampleSet:
    """Raises `SampleError`."""
    files = sorted(folder.glob("*.log"))
    if not files:
        raise SampleError(f"{folder}: there is no sample (*.log)")
    return SampleSet(
        system=system,
        samples=[_sample(file) for file in files],
        questions=_questions(folder / "queries.jsonl"),
        fires=_fires(folder / "fires.yaml"),
    )


def _sample(file: Path) -> Sample:
    expected = file.with_suffix(".expected.jsonl")
    lines = file.read_bytes().removesuffix(b"\n").split(b"\n")
    found: list[Expected] = []
    for number, record in _records(expected):
        unknown = record.keys() - ENTRY_KEYS
        if unknown:
            raise SampleError(f"{expected}:{number}: unknown key {min(unknown)}")
        first, last = record["lines"]
        if not 1 <= first <= last <= len(lines):
            raise SampleError(f"{expected}:{number}: {file.name} has no lines {first} to {last}")
        text = record.get("line")
        found.append(
            Expected(
                first=first,
                last=last,
                line=b"\n".join(lines[first - 1 : last]) if text is None else text.encode(),
                time=record.get("time"),
                level=record.get("level"),
                labels=record.get("labels", {}),
                fields=record.get("fields", {}),
            )
        )
    return Sample(file.stem, file, found)


def _records(file: Path) -> list[tuple[int, dict[str, Any]]]:
    """Objects and their lines."""
    try:
        texts = file.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise SampleError(f"{file}: cannot be read: {error.strerror}") from error
    found: list[tuple[int, dict[str, Any]]] = []
    for number, text in enumerate(texts, 1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except json.JSONDecodeError as error:
            raise SampleError(f"{file}:{number}: not JSON: {error}") from error
        if not isinstance(record, dict):
            raise SampleError(f"{file}:{number}: an object was expected")
        found.append((number, record))
    return found


def _questions(file: Path) -> list[Question]:
    if not file.exists():
        return []
    return [
        Question(
            record["ask"],
            record["query"],
            [(one["labels"], float(one["value"])) for one in record["answer"]],
        )
        for _, record in _records(file)
    ]


def _fires(file: Path) -> dict[str, list[str]] | None:
    if not file.exists():
        return None
    found = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return {str(name): [str(one) for one in samples or []] for name, samples in found.items()}
