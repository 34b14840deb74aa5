"""What are holes called?"""

import pytest

from storage.block.shapes.fields import UniqueNames, field_names
from storage.lines.template import LineKind, Role

S, L, A = Role.STRING, Role.LITERAL, Role.ARRAY


@pytest.mark.parametrize(
    ("constants", "roles", "names"),
    [
        ((b'{"a":"', b'","b":', b"}"), (S, L), ["a", "b"]),
        ((b'{"u":{"id":', b',"tags":', b"}}"), (L, A), ["u.id", "u.tags"]),
        ((b'{"a":', b',"a":', b"}"), (L, L), ["v1", "a"]),
        ((b'{"\\ud83d":', b"}"), (L,), ["v1"]),
    ],
)
def test_members_of_json(
    constants: tuple[bytes, ...], roles: tuple[Role, ...], names: list[str]
) -> None:
    assert list(field_names(LineKind.JSON, constants, roles)) == names


def test_keys_of_logfmt() -> None:
    constants = (b"level=", b' msg="', b'" x.y=', b"")
    roles = (Role.VALUE, Role.QUOTED, Role.VALUE)
    assert list(field_names(LineKind.LOGFMT, constants, roles)) == ["level", "msg", "x.y"]


def test_words_have_numbers() -> None:
    assert list(field_names(LineKind.TEXT, (b"", b" ", b""), (Role.WORD,) * 2)) == ["v1", "v2"]


def test_no_name_is_given_twice() -> None:
    names = UniqueNames(frozenset(("row",)))
    given = ["a", "A", "a", "row", "row.x", "metadata.b", "a_2"]
    assert [names.of(name) for name in given] == [
        "a",
        "A_2",
        "a_3",
        "row_extracted",
        "row.x",
        "metadata_extracted.b",
        "a_2_2",
    ]
