"""Is a block that was encoded by what earlier ones had as good as one that was cut anew?"""

import random
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.real import formats_of
from narfi.core.columns import Spans
from narfi.core.kernels.shape_scan import JSON, LOGFMT, TEXT
from narfi.core.labels import Labels
from narfi.core.tenant import TenantId
from storage.block.hole_columns import is_sound
from storage.block.metrics import REFUSED_SHAPES
from storage.block.shapes import matched, warm
from storage.block.shapes.cut import cut
from storage.block.shapes.encode import EncodedShape, encode_group, encode_shapes
from storage.block.shapes.group import MAX_SHAPES, group_lines
from storage.block.shapes.run import Run
from storage.block.shapes.warm import WarmEncoder
from storage.lines.decode import decode_lines
from storage.lines.template import HoleKind, LineKind, classes_of
from tests.reference.budget import examples
from tests.reference.shapes import slow_lines
from tests.reference.similar import TEMPLATES, damaged, print_rows, similar_lines

TENANT = TenantId("t")
LOGHUB = Path("/work/shared/data/loghub")
REAL = Path("/work/shared/data/real")
HOW = {LineKind.JSON: JSON, LineKind.LOGFMT: LOGFMT, LineKind.TEXT: TEXT}


def labels(count: int) -> list[Labels]:
    """So many streams of one service."""
    return [Labels.of({"pod": f"p{n:05}", "service_name": "s"}) for n in range(count)]


def encoded(
    encoder: WarmEncoder, lines: Sequence[bytes], min_rows: int = 1, streams: int = 1
) -> list[EncodedShape]:
    """The shapes of a block, all rows of which are compared with what came."""
    spans = Spans.of(lines)
    stream = np.sort(np.arange(len(lines), dtype=np.int32) % streams)
    shapes = list(encoder.shapes(Run(TENANT, labels(streams), stream, spans), min_rows))
    seen: set[int] = set()
    for shape in shapes:
        rows = shape.rows.tolist()
        assert rows == sorted(rows)
        assert len(rows) >= min_rows
        assert not seen & set(rows)
        seen.update(rows)
        wanted = [lines[row] for row in rows]
        assert decode_lines(shape.template, shape.columns, len(rows)).to_list() == wanted
        assert slow_lines(shape) == wanted
        check_stamps(shape)
        found = cut(Spans.of(wanted), fine=False)
        assert (found.how == HOW[shape.template.kind]).all()
        if shape.template.kind is not LineKind.TEXT:
            assert (found.skeleton == found.skeleton[0]).all()
    assert len(shapes) <= MAX_SHAPES
    return shapes


def check_stamps(shape: EncodedShape) -> None:
    """Stamps say what lengths there are, and no less than the bytes that occur."""
    for hole, column in zip(shape.template.holes, shape.columns, strict=True):
        texts = [text or b"" for text in column.spans().to_list()]
        assert (hole.min_length, hole.max_length) == (min(map(len, texts)), max(map(len, texts)))
        assert not classes_of(b"".join(texts)) & ~hole.classes
        assert is_sound(hole, column)


def rows_in(shapes: Sequence[EncodedShape]) -> int:
    """Rows that are not plain."""
    return sum(len(shape.rows) for shape in shapes)


@given(st.lists(similar_lines(), min_size=1, max_size=2), st.integers(0, 1 << 16))
@settings(max_examples=examples(60), deadline=None)
def test_blocks_of_lines_like_those_before(blocks: list[list[bytes]], seed: int) -> None:
    encoder, r = WarmEncoder(), random.Random(seed)
    for lines in [*blocks, *blocks]:
        more = [damaged(line, r) if r.random() < 0.3 else line for line in lines]
        for block in (lines, more):
            encoded(encoder, block, min_rows=r.choice([1, 2, 5]), streams=r.choice([1, 3]))


@given(st.lists(similar_lines(), min_size=2, max_size=2), st.integers(1, 5))
@settings(max_examples=examples(20), deadline=None)
def test_lines_are_matched_in_steps(blocks: list[list[bytes]], step: int) -> None:
    """It is told how far the work is, and changes nothing else."""
    whole, stepwise = WarmEncoder(), WarmEncoder()
    for lines in [*blocks, *blocks]:
        one = encoded(whole, lines)
        told: list[float] = []
        run = Run(TENANT, labels(1), np.zeros(len(lines), np.int32), Spans.of(lines))
        with mock.patch.object(matched, "STEP", step):
            other = list(stepwise.shapes(run, 1, told.append))
        assert [s.rows.tolist() for s in one] == [s.rows.tolist() for s in other]
        assert [s.template for s in one] == [s.template for s in other]
        ends = [min(n + step, len(lines)) for n in range(0, len(lines), step)]
        warm_steps = [end / len(lines) for end in ends]
        assert told[:-1] in ([], warm_steps), "nothing is known, or all steps are told"
        assert told[-1] == (1.0 if told[:-1] else warm.FOUND_COLD)


@given(TEMPLATES, st.integers(0, 1 << 16))
@settings(max_examples=examples(60), deadline=None)
def test_a_program_that_goes_on_printing(template: list[object], seed: int) -> None:
    lines = print_rows(template, 60, seed)  # type: ignore[arg-type]
    encoder = WarmEncoder()
    encoded(encoder, lines, 20)
    again = encoded(encoder, print_rows(template, 60, seed + 1), 20)  # type: ignore[arg-type]
    assert rows_in(again) <= 60
    same = encoded(encoder, lines, 20)
    assert rows_in(same) >= rows_in(list(encode_shapes(Spans.of(lines), 20))) - 3


def web(n: int) -> bytes:
    """A line of a program."""
    return b"GET /item/%d took %d ms from 10.0.%d.%d" % (n, n % 97, n % 250, n % 7)


def kinds_of(shape: EncodedShape) -> list[HoleKind]:
    """The types of the holes."""
    return [hole.type.kind for hole in shape.template.holes]


def test_what_was_learnt_is_not_cut_again() -> None:
    encoder = WarmEncoder()
    (first,) = encoded(encoder, [web(n) for n in range(300)], 100)
    with mock.patch.object(warm, "group_lines", side_effect=group_lines) as grouped:
        (second,) = encoded(encoder, [web(n) for n in range(1000, 1200)], 100)
    assert second.template.cut_key() == first.template.cut_key()
    assert [len(call.args[0].lines) for call in grouped.call_args_list] == [0]


def test_too_few_lines_of_a_known_shape_stay_plain() -> None:
    encoder = WarmEncoder()
    encoded(encoder, [web(n) for n in range(300)], 100)
    assert encoded(encoder, [web(n) for n in range(99)], 100) == []
    assert encoded(encoder, [web(n) for n in range(99)] + [b""], 100) == []
    assert rows_in(encoded(encoder, [web(n) for n in range(100)] + [b""], 100)) == 100


def test_what_no_hole_was_becomes_one() -> None:
    encoder = WarmEncoder()
    lines = [b"user %d of eu logged in" % n for n in range(200)]
    encoded(encoder, lines, 100)
    mixed = [line.replace(b"eu", b"us") if n % 20 == 0 else line for n, line in enumerate(lines)]
    for _ in range(2):
        (shape,) = encoded(encoder, mixed, 100)
        assert len(shape.rows) == 200
        assert kinds_of(shape) == [HoleKind.NUMBER, HoleKind.WORDS]
    assert len(encoder.known) == 1


def test_a_number_that_is_larger_than_all_before() -> None:
    encoder = WarmEncoder()
    encoded(encoder, [b"id %d." % n for n in range(200)], 100)
    large = [b"id %d." % (10**17 * 9 + n) for n in range(150)]
    assert rows_in(encoded(encoder, large + [b"id 1234567890123456789012."] * 9, 100)) == 159
    assert rows_in(encoded(encoder, large + [b"id 1234567890123456789012."] * 9, 100)) == 159


def test_a_dictionary_that_fills_becomes_texts() -> None:
    encoder, r = WarmEncoder(), random.Random(3)

    def line(users: int) -> bytes:
        return b"a=1 u=%s" % b"".join(b"%c" % (97 + r.randrange(users)) for _ in range(4))

    (few,) = encoded(encoder, [line(3) for _ in range(2000)], 100)
    assert kinds_of(few) == [HoleKind.WORDS]
    with mock.patch.object(matched, "MAX_WORDS", 300):  # full in the middle of the block
        (full,) = encoded(encoder, [line(9) for _ in range(4000)], 100)
    assert kinds_of(full) == [HoleKind.BYTES]
    assert len(encoder.known) == 0, "learnt anew by the next block"
    encoder = WarmEncoder()
    encoded(encoder, [line(3) for _ in range(2000)], 100)
    (many,) = encoded(encoder, [line(26) for _ in range(2000)], 100)  # more than a quarter
    assert kinds_of(many) == [HoleKind.BYTES]


def test_texts_that_are_few_words_become_a_dictionary() -> None:
    encoder, r = WarmEncoder(), random.Random(3)
    many = [b"a=1 u=%s" % r.randbytes(6).hex().encode() for _ in range(1000)]
    (texts,) = encoded(encoder, [line.replace(b"0", b"z") for line in many], 100)
    assert kinds_of(texts) == [HoleKind.BYTES]
    (few,) = encoded(encoder, [b"a=1 u=%s" % r.choice([b"ab", b"cz"]) for _ in range(500)], 100)
    assert kinds_of(few) == [HoleKind.WORDS]


def test_a_new_stream_begins_with_the_shapes_of_its_service() -> None:
    encoder = WarmEncoder()
    encoded(encoder, [web(n) for n in range(300)], 100)
    with mock.patch.object(warm, "encode_group") as never:
        assert rows_in(encoded(encoder, [web(n) for n in range(300)], 100, streams=3)) == 300
    assert not never.called


def test_tenants_know_nothing_of_each_other() -> None:
    encoder = WarmEncoder()
    lines = Spans.of(web(n) for n in range(300))
    stream = np.zeros(300, np.int32)
    for tenant in ("a", "b"):
        run = Run(TenantId(tenant), labels(1), stream, lines)
        with mock.patch.object(warm, "encode_group", side_effect=encode_group) as cold:
            list(encoder.shapes(run, 100))
        assert cold.called


def noise(r: random.Random, count: int) -> list[bytes]:
    """Lines that are like nothing: letters and as many kinds of brackets as there are."""
    marks = b" ()[]{}<>,;=|'"
    return [bytes(r.choice(b"ab" + marks) for _ in range(40)) for _ in range(count)]


def test_what_gave_nothing_is_tried_by_a_sample() -> None:
    encoder, r = WarmEncoder(), random.Random(1)
    sizes = []
    for _ in range(3):
        with mock.patch.object(warm, "cut", side_effect=cut) as cutting:
            assert encoded(encoder, noise(r, 3000), 200) == []
        sizes.append([len(call.args[0]) for call in cutting.call_args_list])
    assert sizes == [[3000], [188, 0], [188, 0]]
    changed = [*noise(r, 2000), *(web(n) for n in range(1000))]
    assert rows_in(encoded(encoder, changed, 200)) == 1000
    assert rows_in(encoded(encoder, changed, 200)) == 1000


def test_a_fault_costs_space_but_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = WarmEncoder()
    lines = [web(n) for n in range(300)]
    encoded(encoder, lines, 100)
    before = float(REFUSED_SHAPES._value.get())
    real = matched.Columns.encode

    def wrong(self: matched.Columns, number: int, rows: np.ndarray) -> EncodedShape:
        shape = real(self, number, rows)
        return EncodedShape(rows, shape.template, shape.columns[::-1])

    with monkeypatch.context() as patched:
        patched.setattr(matched.Columns, "encode", wrong)
        assert encoded(encoder, lines, 100) == []
    assert float(REFUSED_SHAPES._value.get()) == before + 1
    assert len(encoder.known) == 0
    assert rows_in(encoded(encoder, lines, 100)) == 300


def test_memory_is_bounded_and_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matched, "FIRST_CELLS", 64)  # grows many times
    encoder = WarmEncoder()
    encoded(encoder, [web(n) for n in range(3000)], 100)
    encoded(encoder, [web(n) for n in range(3000)], 100)
    (scratch,) = encoder._scratch
    cells = scratch.cells
    assert len(cells) >= 3000
    encoded(encoder, [web(n) for n in range(3000)], 100)
    assert encoder._scratch == [scratch]
    assert scratch.cells is cells
    assert encoder.nbytes < 12 << 20
    monkeypatch.setattr(matched, "KEPT_CELLS", 1000)
    encoded(encoder, [web(n) for n in range(3000)], 100)
    assert len(scratch.cells) == 64


def test_two_blocks_at_a_time() -> None:
    encoder = WarmEncoder()
    runs = [
        Run(TENANT, labels(1), np.zeros(300, np.int32), Spans.of(web(n * k) for n in range(300)))
        for k in (1, 2, 3)
    ]
    list(encoder.shapes(runs[0], 100))
    one, two = encoder.shapes(runs[1], 100), encoder.shapes(runs[2], 100)
    first, second = next(one), next(two)
    for shape, run in ((first, runs[1]), (second, runs[2])):
        assert decode_lines(shape.template, shape.columns, 300).to_list() == run.lines.to_list()
    assert list(one) == list(two) == []


@pytest.mark.skipif(not LOGHUB.exists(), reason="the real logs are not on this machine")
@pytest.mark.parametrize("name", ["Hadoop_2k", "OpenSSH_2k", "nginx_json", "postgres", "redis"])
def test_real_logs_have_no_more_plain_lines_than_when_cut(name: str) -> None:
    lines = formats_of([LOGHUB, REAL])[name]
    encoder = WarmEncoder()
    plain = cold = 0
    for first in range(0, min(len(lines), 20_000), 1000):
        block = lines[first : first + 1000]
        plain += len(block) - rows_in(encoded(encoder, block, 50))
        cold += len(block) - rows_in(list(encode_shapes(Spans.of(block), 50)))
    assert plain <= 1.02 * cold


def test_what_is_known_never_keeps_a_block_from_being_written() -> None:
    """Whatever goes wrong with what is known, the next try is cold."""
    encoder = WarmEncoder()
    lines = [b"user %d logged in after %d ms" % (n, n * 7) for n in range(50)]
    assert rows_in(encoded(encoder, lines)) == 50
    assert len(encoder.known) == 1

    def damaged_match(lines: Spans, stream: object, candidates: object, *more: object) -> object:
        if candidates.known:  # type: ignore[attr-defined]
            raise ValueError("what is known is wrong")
        return matched.match(lines, stream, candidates, *more)  # type: ignore[arg-type]

    with mock.patch.object(warm, "match", damaged_match):
        with pytest.raises(ValueError, match="what is known"):
            encoded(encoder, lines)
        assert rows_in(encoded(encoder, lines)) == 50
