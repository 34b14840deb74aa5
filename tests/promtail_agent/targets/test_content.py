"""Is a compressed file's content what was compressed, wherever it is read? What tells it apart?"""

import bz2
import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promtail_agent.known import Beside, Known
from promtail_agent.targets.content import (
    PackedContent,
    PlainContent,
    holds,
    is_copy,
    is_distinct,
    known_as,
    open_content,
    tail_at,
)

PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".z": zlib.compress,
    ".bz2": bz2.compress,
}
DATA = b"".join(b"%06d some text of a line\n" % number for number in range(20_000))


@pytest.mark.parametrize("form", sorted(PACK))
def test_any_place_of_a_compressed_file(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{form}"
    path.write_bytes(PACK[form](DATA))
    content = open_content(str(path))
    assert isinstance(content, PackedContent)
    for offset, size in ((0, 10), (400_000, 99), (5, 70_000), (len(DATA) - 3, 100), (0, 1)):
        assert content.pread(size, offset) == DATA[offset : offset + size]
    assert content.pread(5, len(DATA)) == b""
    assert content.length() == len(DATA)
    assert content.pread(7, 3) == DATA[3:10]
    content.close()


@pytest.mark.parametrize("form", sorted(PACK))
def test_several_streams_in_a_row_and_padding(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{form}"
    path.write_bytes(PACK[form](DATA[:1000]) + PACK[form](DATA[1000:5000]) + bytes(100))
    content = open_content(str(path))
    assert content.pread(9000, 0) == DATA[:5000]
    assert content.length() == 5000
    content.close()


@pytest.mark.parametrize("form", sorted(PACK))
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_damage(form: str, damage: str, tmp_path: Path) -> None:
    """What comes before it is given; the length is not known."""
    path = tmp_path / f"a{form}"
    packed = bytearray(PACK[form](DATA))
    if damage == "cut":
        del packed[-20:]
    else:
        packed[-6] ^= 255
    path.write_bytes(packed)
    content = open_content(str(path))
    assert content.length() is None
    assert DATA.startswith(content.pread(1000, 0))
    content.close()


def test_a_name_alone_makes_no_compressed_file(tmp_path: Path) -> None:
    for name in ("a.gz", "a.z", "a.bz2", "a.log"):
        (tmp_path / name).write_bytes(b"plain\n")
        content = open_content(str(tmp_path / name))
        assert isinstance(content, PlainContent)
        assert content.pread(99, 0) == b"plain\n"
        content.close()


def test_what_holds_and_what_is_a_copy(tmp_path: Path) -> None:
    other = DATA[:300] + b"x"  # by what the shorter ends in: all of it is never compared
    for name, data in (("a", DATA), ("b", DATA[:5000]), ("c", other), ("d", b"same\n" * 99)):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "e").write_bytes(b"same\n" * 50)
    a, b, c, d, e = (open_content(str(tmp_path / name)) for name in "abcde")
    tail = tail_at(a, 301)
    assert holds(b, DATA[:256], 301, tail)
    assert not holds(c, DATA[:256], 301, tail)
    assert not holds(b, DATA[:256], 5001, tail_at(a, 5001))
    assert holds(a, b"", 0, b"")
    assert is_copy(b, a)
    assert is_copy(a, b)
    assert not is_copy(c, a)
    assert is_distinct(a)
    assert not is_distinct(d)
    assert not is_copy(e, d)  # any content of such lines would look like one
    for content in (a, b, c, d, e):
        content.close()


def test_history_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(DATA * 50))
    content = open_content(str(path))
    steps = 0
    plain = PackedContent._unpack_more

    def counted(self: PackedContent) -> None:
        nonlocal steps
        steps += 1
        plain(self)

    monkeypatch.setattr(PackedContent, "_unpack_more", counted)
    known = known_as(content, 0, whole=True)
    assert (known.size, known.length, known.whole) == (0, 256, True)
    assert steps == 1
    content.close()


KNOWN = st.builds(
    Known,
    device=st.integers(0, 2**63),
    inode=st.integers(0, 2**63),
    size=st.integers(0, 2**63),
    length=st.integers(0, 256),
    head=st.binary(max_size=8),
    tail=st.binary(max_size=8),
    whole=st.booleans(),
    base=st.integers(0, 2**80),
)


@given(st.lists(KNOWN, max_size=5), st.integers(0, 2**63))
def test_what_is_known_comes_out_of_a_file_as_it_went_in(known: list[Known], before: int) -> None:
    beside = Beside(tuple(known), before)
    assert Beside.from_row(beside.to_row()) == beside
