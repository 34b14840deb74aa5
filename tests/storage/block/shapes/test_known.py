"""Is what a store remembers of shapes bounded, and the newest first?"""

import pytest

from narfi.core.kernels.shape_scan import JSON, LOGFMT, TEXT
from narfi.core.labels import Labels
from narfi.core.tenant import TenantId
from storage.block.shapes import known
from storage.block.shapes.known import KnownShape, KnownShapes, Model, known_shape, matchable
from storage.lines.template import Hole, HoleKind, HoleType, LineKind, Role, Template

TENANT = TenantId("t")


def stream(number: int) -> Labels:
    """One of many."""
    return Labels.of({"pod": f"p{number}", "service_name": f"s{number % 3}"})


def hole(role: Role, kind: HoleKind = HoleKind.BYTES) -> Hole:
    """A hole of any text."""
    kind_of = HoleType(kind=kind)
    return Hole(name="v", type=kind_of, role=role, classes=0, min_length=0, max_length=9)


def template(kind: LineKind, role: Role, *constants: bytes) -> Template:
    """A template with the constants, and a hole of that role between any two."""
    return Template(kind, constants, tuple(hole(role) for _ in constants[1:]))


def shape(number: int) -> KnownShape:
    """A shape like no other."""
    made = template(LineKind.TEXT, Role.WORD, b"n%d " % number, b" end")
    return known_shape(made, Model(TEXT, number, []))


@pytest.mark.parametrize(
    ("made", "how", "wanted"),
    [
        (template(LineKind.TEXT, Role.WORD, b"took ", b" ms"), TEXT, True),
        (template(LineKind.TEXT, Role.WORD, b'{"a', b'"x'), TEXT, False),  # JSON but for a value
        (template(LineKind.TEXT, Role.WORD, b"{ ", b' "a"}'), TEXT, True),
        (template(LineKind.TEXT, Role.WORD, b"a=", b" b=", b""), TEXT, False),  # logfmt but for one
        (template(LineKind.LOGFMT, Role.VALUE, b"a=", b" b=", b""), LOGFMT, True),
        (template(LineKind.JSON, Role.STRING, b'{"a":"', b'"}'), JSON, True),
        (template(LineKind.JSON, Role.PART, b'{"a":"x/', b'"}'), JSON, True),
        (template(LineKind.JSON, Role.PART, b'{"a":"x\\', b'"}'), JSON, False),  # half an escape
    ],
)
def test_only_shapes_whose_lines_are_cut_alike(made: Template, how: int, wanted: bool) -> None:
    assert matchable(made, how) is wanted


def test_the_newest_shape_is_tried_first_and_no_more_than_so_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known, "MAX_TRIED", 3)
    memory = KnownShapes()
    shapes = [shape(n) for n in range(5)]
    for one in shapes:
        memory.learn(TENANT, one, [stream(1)])
    found = memory.candidates(TENANT, [stream(1), stream(2), stream(4)])
    assert found.known == [shapes[4], shapes[3], shapes[2]]
    assert found.tried_from.tolist() == [0, 3, 3, 6]  # the third is of the first one's service


def test_the_shape_that_was_not_used_for_longest_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known, "MAX_KNOWN", 2)
    memory = KnownShapes()
    a, b, c = (shape(n) for n in range(3))
    memory.learn(TENANT, a, [stream(1)])
    memory.learn(TENANT, b, [stream(1)])
    memory.learn(TENANT, a, [])
    memory.learn(TENANT, c, [stream(1)])
    assert memory.candidates(TENANT, [stream(1)]).known == [c, a]
    assert memory.nbytes == a.nbytes + c.nbytes
    memory.forget(TENANT, a)
    memory.forget(TENANT, a)
    assert memory.nbytes == c.nbytes


def test_bytes_and_streams_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MAX_BYTES", 10 * shape(1).nbytes)
    monkeypatch.setattr(known, "MAX_STREAMS", 20)
    memory = KnownShapes()
    for n in range(200):
        memory.learn(TENANT, shape(n), [stream(n)])
        memory.tell(TENANT, stream(n), vain=True)
    assert len(memory) <= 10
    assert memory.nbytes <= known.MAX_BYTES
    assert len(memory._tried) <= 20
    assert len(memory._vain) <= 20


def test_equal_shapes_are_one() -> None:
    memory = KnownShapes()
    memory.learn(TENANT, shape(1), [stream(1)])
    memory.learn(TENANT, shape(1), [stream(2)])
    memory.learn(TenantId("other"), shape(1), [stream(3)])
    assert len(memory) == 2
    assert len(memory.candidates(TENANT, [stream(1), stream(2)]).known) == 1
    assert memory.candidates(TENANT, [stream(0)]).known == []


def test_a_stream_that_gave_nothing_is_told_until_it_gives_something() -> None:
    memory = KnownShapes()
    memory.tell(TENANT, stream(1), vain=True)
    assert memory.candidates(TENANT, [stream(1), stream(2)]).vain.tolist() == [True, False]
    memory.tell(TENANT, stream(1), vain=False)
    assert not memory.candidates(TENANT, [stream(1)]).vain.any()
