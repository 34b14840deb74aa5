"""Are shapes the lines that they were made of, and do they answer as the bytes would?"""

from concurrent.futures import ThreadPoolExecutor
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.columns import Spans
from narfi.core.errors import AppError
from narfi.core.regex import compile_regex
from storage.lines.contains import MAX_REMEMBERED, plan_contains, plan_pieces
from storage.lines.plain import PlainLines
from storage.lines.search import may_match
from tests.reference.budget import examples
from tests.reference.shapes import check_template, shaped_lines, shapes_of, slow_lines
from tests.reference.similar import THRESHOLDS, similar_lines

Limits = tuple[int, int, int] | None
MIN_ROWS = st.sampled_from([1, 2, 5])
LINES = similar_lines()
ANY = st.lists(st.binary(max_size=40) | st.text(max_size=20).map(str.encode), max_size=20)


def check_lossless(lines: list[bytes], min_rows: int, limits: Limits) -> None:
    seen: list[int] = []
    for shape in shapes_of(lines, min_rows, limits):
        wanted = [lines[row] for row in shape.rows.tolist()]
        assert shaped_lines(shape).spans().to_list() == wanted
        assert slow_lines(shape) == wanted
        check_template(shape)
        seen += shape.rows.tolist()
    assert len(set(seen)) == len(seen), "a row is in one shape at most"


@settings(max_examples=examples(200))
@given(LINES, MIN_ROWS, THRESHOLDS)
def test_decoding_gives_back_similar_lines(lines: list[bytes], least: int, limits: Limits) -> None:
    check_lossless(lines, least, limits)


@settings(max_examples=examples(100))
@given(ANY, MIN_ROWS, THRESHOLDS)
def test_decoding_gives_back_any_bytes(lines: list[bytes], least: int, limits: Limits) -> None:
    check_lossless(lines, least, limits)


def needles(lines: list[bytes], random: Random) -> list[bytes]:
    """Pieces of the lines, whole lines, and the like with a byte changed."""
    found = [b"", b"a", b'"', b"\x00", b"\xff", bytes([random.randrange(256)])]
    for _ in range(12):
        line = random.choice(lines)
        at = random.randrange(len(line) + 1)
        needle = line[at : at + random.choice([1, 2, 3, 5, 9, 17, 40])]
        found += [needle, needle + random.choice([b"a", b"1", b" ", b'"', b"-"])]
        if needle:
            k = random.randrange(len(needle))
            found.append(needle[:k] + random.choice([b"", b"0", b"f", b" "]) + needle[k + 1 :])
    line = random.choice(lines)
    return [*found, line, line + b"x", b"x" + line, line[1:], line[:-1], line.upper()]


@settings(max_examples=examples(150))
@given(LINES, THRESHOLDS, st.integers(0, 1 << 16))
def test_contains(lines: list[bytes], limits: Limits, seed: int) -> None:
    random = Random(seed)
    for shape in shapes_of(lines, 1, limits):
        wanted = [lines[row] for row in shape.rows.tolist()]
        for needle in needles(lines, random):
            found = shaped_lines(shape).contains(needle).tolist()
            assert found == [needle in line for line in wanted], needle


@settings(max_examples=examples(100))
@given(LINES, THRESHOLDS, st.integers(0, 1 << 16))
def test_sizes_and_taken_rows(lines: list[bytes], limits: Limits, seed: int) -> None:
    random = Random(seed)
    for shape in shapes_of(lines, 1, limits):
        found = shaped_lines(shape)
        wanted = [lines[row] for row in shape.rows.tolist()]
        for _ in range(3):
            assert len(found) == len(wanted)
            assert found.lengths().tolist() == [len(line) for line in wanted]
            assert found.nbytes() == sum(map(len, wanted))
            needle = random.choice(needles(lines, random))
            assert found.contains(needle).tolist() == [needle in line for line in wanted], needle
            assert found.spans().to_list() == wanted
            rows = list(range(len(wanted)))
            if random.random() < 0.5:
                mask = np.array([random.random() < 0.7 for _ in rows], np.bool_)
                found = found.take(mask)
                wanted = [line for line, kept in zip(wanted, mask, strict=True) if kept]
            else:
                random.shuffle(rows)
                rows = rows[: random.randrange(len(rows) + 1)]
                found = found.take(np.array(rows, np.int64))
                wanted = [wanted[row] for row in rows]


def slow_matches(lines: list[bytes], pattern: str) -> list[bool]:
    """Each line is asked, and nothing else."""
    compile_regex(pattern)
    found = pc.match_substring_regex(pa.array(lines, pa.binary()).view(pa.string()), pattern)
    return [bool(one) for one in found.to_pylist()]


def patterns(lines: list[bytes], random: Random) -> list[str]:
    """Regexes out of pieces of the lines."""
    found = [
        "",
        "^$",
        ".",
        r"^\{",
        r"\d+$",
        r"(?i)ERROR",
        r"(?s).",
        r"[^a-z]{3}",
        r"\bGET\b",
        "a|b",
        r"error|GET|\d{7}",
        r"(?i)(error|get|post) ",
        r"[GP](?i:ost|ET)",
    ]
    for _ in range(6):
        parts = []
        for _ in range(random.choice([1, 2, 3])):
            line = random.choice(lines)
            at = random.randrange(len(line) + 1)
            text = line[at : at + random.choice([1, 2, 4, 8])].decode("utf-8", "replace")
            text = random.choice([text, text, text.upper(), text.swapcase()])
            parts.append("".join(f"\\{c}" if c.isascii() and not c.isalnum() else c for c in text))
        joint = random.choice(["|", ".", ".*", r"\d+", "[^,]*", "", r"\b", r"\s*", ".?"])
        frame = random.choice(
            ["%s", "(?i)%s", "^%s", "%s$", "(%s)?", "(?:%s)", "%s+", "(?m)^%s", "x*%s", "%s{0,1}"]
        )
        found.append(frame % joint.join(parts))
    return found


@settings(max_examples=examples(100))
@given(LINES, THRESHOLDS, st.integers(0, 1 << 16))
def test_matches(lines: list[bytes], limits: Limits, seed: int) -> None:
    random = Random(seed)
    for shape in shapes_of(lines, 1, limits):
        mine = [lines[row] for row in shape.rows.tolist()]
        for pattern in patterns(lines, random):
            try:
                wanted = slow_matches(mine, pattern)
            except AppError:
                continue
            assert PlainLines(Spans.of(mine)).matches(pattern).tolist() == wanted, pattern
            assert shaped_lines(shape).matches(pattern).tolist() == wanted, pattern
            may = may_match(shaped_lines(shape), pattern).tolist()
            assert all(one or not match for one, match in zip(may, wanted, strict=True)), pattern


@settings(max_examples=examples(100))
@given(LINES, THRESHOLDS, st.integers(0, 1 << 16))
def test_text_between(lines: list[bytes], limits: Limits, seed: int) -> None:
    random = Random(seed)
    for shape in shapes_of(lines, 1, limits):
        found = shaped_lines(shape)
        if random.random() < 0.5:
            kept = [row for row in range(len(found)) if random.random() < 0.7]
            found = found.take(np.array(kept, np.int64))
        values = [found.column(k).spans().to_list() for k in range(len(found.template.holes))]
        pieces = found.template.pieces
        low, high = sorted([random.randrange(len(pieces) + 1), random.randrange(len(pieces) + 1)])
        wanted = [
            b"".join(p if isinstance(p, bytes) else values[p][row] or b"" for p in pieces[low:high])
            for row in range(len(found))
        ]
        column = found.text_between(pieces[low:high])
        assert column.present().all()
        assert [
            column.texts[code].encode("utf-8", "surrogateescape") for code in column.codes
        ] == wanted
        assert len(set(column.texts)) == len(column.texts)
        assert found.text_between(pieces[low:high]).spans.to_list() == wanted
        mask = np.array([random.random() < 0.5 for _ in wanted], np.bool_)
        part = found.text_between(pieces[low:high]).take(mask)
        assert part.spans.to_list() == [w for w, kept in zip(wanted, mask, strict=True) if kept]
        numbers = found.text_between(pieces[low:high]).numbers()
        if numbers is not None:
            assert numbers.tolist() == [float(text) for text in wanted]


def test_many_ways_to_lay_a_needle_end_soon() -> None:
    """Holes that may hold what stands between them: the ways to try are as many as paths."""
    values = [b"x" + rb"\" \"" * 60 * (n % 2) + b"%d" % n for n in range(4)]
    lines = [b" ".join(b'"' + value + b'"' for _ in range(24)) for value in values]
    (shape,) = shapes_of(lines, 1)
    for count in (1, 12, 40):
        needle = b'" "' * count + b"~"
        assert shaped_lines(shape).contains(needle).tolist() == [needle in line for line in lines]


def test_plans_are_remembered_by_many_threads_at_once() -> None:
    """More needles than are kept, so that each thread clears what another has just found out."""
    lines = [b"user %d took %d ms" % (n, n * 7) for n in range(50)]
    (shape,) = shapes_of(lines)
    needles = [b"%d took" % n for n in range(2 * MAX_REMEMBERED)]
    template = shape.template
    wanted = [plan_pieces(template.pieces, template.holes, needle) for needle in needles]

    def ask(_: int) -> bool:
        return [plan_contains(template, needle) for needle in needles] == wanted

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(8)))
