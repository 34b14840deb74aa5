"""`| logfmt`: pairs of a line as labels (reference/logql.md §6.3, §6.4)."""

from dataclasses import dataclass

import numpy as np

from logql.ast import LogfmtParser
from narfi.core.columns import LabelColumn, Spans
from narfi.core.kernels.logfmt_scan import ERRORS, scan_pairs
from narfi.core.text.label_names import sanitise
from narfi.core.text.logfmt_key import check_logfmt_key
from querier.frame import Frame
from querier.operators.base import Demand, Operator
from querier.operators.fields import add_fields, add_pairs, set_errors, taken_rows, with_side
from querier.operators.json_parser import FIRST_TABLE, wanted_keys

ERROR = "LogfmtParserErr"


def build_logfmt(stage: LogfmtParser, demand: Demand) -> Operator:
    """The operator for a stage; only demanded labels are extracted."""
    if stage.extractions:
        return LogfmtExpressions(stage)
    wanted = None if demand.labels is None else frozenset(wanted_keys(demand.labels))
    return Logfmt(stage.strict, stage.keep_empty, wanted)


@dataclass(frozen=True, slots=True)
class Logfmt:
    """Every pair, or only the wanted names."""

    strict: bool
    keep_empty: bool
    wanted: frozenset[str] | None

    def apply(self, frame: Frame) -> Frame:
        """The frame with the pairs as labels."""
        if not len(frame):
            return frame
        found = scan(frame.lines.spans(), strict=self.strict, keep_empty=self.keep_empty)
        names: dict[str, int] = {}
        numbers = np.array([self._number(k, names) for k in found.keys] or [-1], np.int32)
        pair_name = numbers[found.pair_key]
        kept = pair_name >= 0
        values = found.values.take(kept)
        frame = add_pairs(frame, found.pair_row[kept], pair_name[kept], list(names), values)
        return found.with_errors(frame)

    def _number(self, key: str, names: dict[str, int]) -> int:
        name = sanitise(key)
        if not name or (self.wanted is not None and name not in self.wanted):
            return -1
        return names.setdefault(name, len(names))


@dataclass(frozen=True, slots=True)
class Scanned:
    """The pairs of a batch of lines."""

    pair_row: np.ndarray
    pair_key: np.ndarray
    values: Spans
    keys: list[str]
    error: np.ndarray
    place: np.ndarray

    def with_errors(self, frame: Frame) -> Frame:
        """The frame with the errors of a strict scan; each place has its own details."""
        failed = np.flatnonzero(self.error)
        if not len(failed):
            return frame
        details: dict[str, int] = {"": 0}
        codes = np.zeros(len(self.error), np.int32)
        for row in failed.tolist():
            text = f"logfmt syntax error at pos {self.place[row]} : {ERRORS[self.error[row]]}"
            codes[row] = details.setdefault(text, len(details))
        return set_errors(frame, ERROR, codes, tuple(details))


def scan(lines: Spans, *, strict: bool, keep_empty: bool) -> Scanned:
    """All pairs of the lines."""
    places = FIRST_TABLE
    while True:
        found = _scan(lines, places, strict=strict, keep_empty=keep_empty)
        if found is not None:
            return found
        places *= 8


def _scan(lines: Spans, places: int, *, strict: bool, keep_empty: bool) -> Scanned | None:
    size = lines.nbytes()
    room = size // 2 + len(lines) + 1
    pair_row, pair_key = np.empty(room, np.int32), np.empty(room, np.int32)
    pair_start, pair_length = np.empty(room, np.int64), np.empty(room, np.int32)
    key_start, key_hash = np.empty(places, np.int64), np.empty(places, np.int64)
    key_length = np.empty(places, np.int32)
    error, place = np.empty(len(lines), np.uint8), np.empty(len(lines), np.int32)
    side, sizes = np.empty(size, np.uint8), np.zeros(3, np.int64)
    pairs = scan_pairs(
        lines.data,
        lines.start,
        lines.length,
        strict,
        keep_empty,
        np.full(places, -1, np.int64),
        pair_row,
        pair_start,
        pair_length,
        pair_key,
        key_start,
        key_length,
        key_hash,
        sizes,
        error,
        place,
        side,
    )
    if pairs < 0:
        return None
    _, keys, used = sizes.tolist()
    texts = Spans(lines.data, key_start[:keys], key_length[:keys]).to_list()
    return Scanned(
        pair_row[:pairs],
        pair_key[:pairs],
        Spans(with_side(lines, side, used), pair_start[:pairs], pair_length[:pairs]),
        [(text or b"").decode("utf-8", "replace") for text in texts],
        error,
        place,
    )


class LogfmtExpressions:
    """`| logfmt a="key", b`: only the named keys; a missing one gives an empty label."""

    def __init__(self, stage: LogfmtParser) -> None:
        self._strict = stage.strict
        self._keys = {e.name: check_logfmt_key(e.expression) for e in stage.extractions}

    def apply(self, frame: Frame) -> Frame:
        """The frame with a label per expression; the last value of a key counts."""
        if not len(frame):
            return frame
        found = scan(frame.lines.spans(), strict=self._strict, keep_empty=True)
        rows = len(frame)
        fields: dict[str, LabelColumn] = {}
        for name, key in self._keys.items():
            start, length = np.zeros(rows, np.int64), np.full(rows, -1, np.int32)
            chosen = [k for k, t in enumerate(found.keys) if t == key or sanitise(t) == name]
            mine = np.flatnonzero(np.isin(found.pair_key, chosen))
            taken = taken_rows(frame, name)
            if taken is not None:  # of a renamed label the first value counts
                mine = np.concatenate([mine, mine[taken[found.pair_row[mine]]][::-1]])
            start[found.pair_row[mine]] = found.values.start[mine]
            length[found.pair_row[mine]] = found.values.length[mine]
            absent = length < 0
            length[absent if taken is None else absent & ~taken] = 0
            fields[name] = LabelColumn(spans=Spans(found.values.data, start, length))
        return found.with_errors(add_fields(frame, fields, replace=True))
