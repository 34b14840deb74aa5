"""Is the `line` of the SQL views the line that was stored? Over random lines that are alike."""

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from querier.sql.line_text import time_format
from storage.block.identity import Layout
from storage.lines.template import HoleKind
from tests.querier.sql.stored import LAYOUTS, asked, store
from tests.reference.budget import examples
from tests.storage.batches import Entry

pytest.importorskip("duckdb")

ROWS = 24
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _decimal(number: int, scale: int) -> str:
    sign, digits = "-" if number < 0 else "", f"{abs(number):0{scale + 1}d}"
    return sign + (f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits)


def _trimmed(number: int, scale: int, least: int) -> str:
    text = _decimal(number, scale)
    while scale > least and text.endswith("0"):
        text, scale = text[:-1], scale - 1
    return text.removesuffix(".")


def _time(second: int, nanos: int, form: int) -> str:
    moment = EPOCH + timedelta(seconds=second)
    if form == 0:
        return moment.strftime("%d/%b/%Y:%H:%M:%S +0000")
    digits = (0, 0, 3, 6, 9)[form]
    fraction = "." + f"{nanos:09d}"[:digits] if digits else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _rows(values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(values, min_size=ROWS, max_size=ROWS)


NANOS = st.integers(0, 10**9 - 1)
NUMBERS = st.integers(-(10**9), 10**9) | st.integers(-20, 20)
WORDS = ("GET", "it's", "100%", "é", "a b", "", "𝄞", "x\\y", "%d{0}")
SCALES = st.tuples(st.integers(0, 4), st.integers(0, 4)).filter(lambda pair: pair[1] <= pair[0])
HOLES: st.SearchStrategy[list[str]] = st.one_of(
    SCALES.flatmap(lambda s: _rows(NUMBERS.map(lambda n: _trimmed(n, *s)))),
    _rows(st.integers(0, 99999).map("{:05d}".format)),
    _rows(st.integers(-(10**17), 10**17).map(str)),
    _rows(st.integers(0, 2**64 - 1).map("{:016x}".format)),
    _rows(st.uuids(version=4).map(str)),
    _rows(st.integers(0, 2**32 - 1).map(lambda n: str(IPv4Address(n)))),
    st.integers(0, 4).flatmap(
        lambda form: _rows(
            st.builds(_time, st.integers(-(8 * 10**9), 8 * 10**9), NANOS, st.just(form))
        )
    ),
    _rows(st.sampled_from(WORDS)),
    _rows(st.text(st.characters(codec="utf-8"), max_size=12)),
)
AROUND = ('{"a":"%s"}', '{"a":%s,"k\'":"é"}', "k=%s end=1", "at %s there", "<%s>", 'm="%s"')


@given(
    st.lists(st.tuples(st.sampled_from(AROUND), HOLES), min_size=1, max_size=4),
    st.sampled_from(LAYOUTS),
)
@settings(max_examples=examples(60))
def test_lines_are_given_back(
    groups: list[tuple[str, list[str]]], layouts: Sequence[Layout]
) -> None:
    lines = [around.replace("%s", text) for around, texts in groups for text in texts]
    entries: list[Entry] = [("x", ts, line.encode(), {}) for ts, line in enumerate(lines)]
    with tempfile.TemporaryDirectory() as folder:
        stored = store(Path(folder), entries, layouts=layouts)
        found = asked(stored, "select line from logs order by ts")
    assert [row["line"] for row in found] == lines


def test_every_kind_of_hole_is_there(tmp_path: Path) -> None:
    lines = [
        f"n={k}.{k % 9 + 1} pad={k:05d} id={k * 7919:016x} uuid={UUID(int=k * 2**70)} "
        f"ip=10.0.{k % 250}.1 at={_time(k, k, 3)} "
        f"word={'ab'[k % 2]} any={'zyx'[: k % 3]}{k}q{k * k}"
        for k in range(600)
        if k % 7
    ]
    entries: list[Entry] = [("x", ts, line.encode(), {}) for ts, line in enumerate(lines)]
    stored = store(tmp_path, entries)
    kinds = {hole.type.kind for hole in stored.shapes[0].template.holes}  # type: ignore[union-attr]
    assert kinds >= set(HoleKind) - {HoleKind.BYTES}
    found = asked(stored, "select line from logs order by ts")
    assert [row["line"] for row in found] == lines


@pytest.mark.parametrize("layouts", LAYOUTS)
def test_bytes_that_are_no_text_are_escaped(tmp_path: Path, layouts: Sequence[Layout]) -> None:
    lines = [b"id=%d text=\xff%d" % (k, k * k) for k in range(40)] + [b"\xfe lone"]
    lines += [b"word=\xc3\xa9%dz\xc3 n=%d" % (k * k, k) for k in range(40)]
    entries: list[Entry] = [("x", ts, line, {}) for ts, line in enumerate(lines)]
    found = asked(store(tmp_path, entries, layouts=layouts), "select line from logs order by ts")
    shown = [str(row["line"]) for row in found]
    assert [text for text in shown if "\\xFF" in text] == [
        f"id={k} text=\\xFF{k * k}" for k in range(40)
    ]
    assert shown[40] == "\\xFE lone"


def test_formats_of_times() -> None:
    assert time_format(b"YYYY-MM-DDThh:mm:ss.fffffffffZ") == "%Y-%m-%dT%H:%M:%S.%nZ"
    assert time_format(b"DD/bbb/YYYY:hh:mm:ss +0000") == "%d/%b/%Y:%H:%M:%S +0000"
