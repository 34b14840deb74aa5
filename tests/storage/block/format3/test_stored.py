"""Does the index give back the shapes of a family with all that they say?"""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from storage.block.format3.stored import (
    StoredColumn,
    StoredFamily,
    StoredShape,
    family_from_json,
    family_to_json,
)
from storage.lines.template import Hole, HoleKind, HoleType, LineKind, Role, Template

COLUMNS = (
    StoredColumn("status", HoleType(kind=HoleKind.NUMBER, scale=2)),
    StoredColumn("at", HoleType(kind=HoleKind.TIME, layout=b"hh:mm:ss")),
    StoredColumn("ts_extracted", HoleType(kind=HoleKind.WORDS)),
)


@st.composite
def shapes(draw: st.DrawFn) -> StoredShape:
    """A shape over some of the columns, in any order."""
    columns = tuple(draw(st.permutations(range(3)))[: draw(st.integers(0, 3))])
    holes = []
    for number in columns:
        kind = COLUMNS[number].type
        holes.append(
            Hole(
                name=draw(st.sampled_from([COLUMNS[number].name, "ts", "é.x"])),
                type=HoleType(
                    kind=kind.kind,
                    scale=kind.scale,
                    least=draw(st.integers(0, 2)),
                    width=draw(st.integers(1, 4)),
                    layout=kind.layout,
                ),
                role=draw(st.sampled_from(list(Role))),
                classes=draw(st.integers(0, 1 << 17)),
                min_length=draw(st.integers(0, 4)),
                max_length=draw(st.integers(4, 9)),
            )
        )
    inner = [draw(st.binary(min_size=1, max_size=4)) for _ in holes[1:]]
    ends = [draw(st.binary(max_size=4)) for _ in range(2 if holes else 1)]
    constants = (ends[0], *inner, *ends[1:])
    template = Template(draw(st.sampled_from(list(LineKind))), constants, tuple(holes))
    return StoredShape(template, columns, draw(st.integers(1, 9)), draw(st.integers(0, 99)))


@given(st.lists(shapes(), max_size=3), st.integers(0, 9))
def test_it_comes_back(found: list[StoredShape], plain: int) -> None:
    family = StoredFamily(
        name="api", columns=COLUMNS, shapes=tuple(found), plain_rows=plain, plain_bytes=3 * plain
    )
    assert family_from_json(orjson.loads(orjson.dumps(family_to_json(family)))) == family
    assert family.rows == sum(shape.rows for shape in found) + plain
